"""How a checkpoint becomes a `DebugModel`: the bundled one, a folder, or a name on the Hugging Face hub.

The steps, each a module: find it (`source`), look for what a hostile one could do (`safety`), choose its generation
(`families`), reckon what it needs (`memory`) and where it fits (`place`), read its tokenizer and image processor
(`parts`) and its weights (`weights`), and apply a LoRA where the folder is one (`lora`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from threading import Event
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from qwenvl_debug.errors import Cancelled, ModelLoadError
from qwenvl_debug.model import lora
from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.forecast import inspect
from qwenvl_debug.model.machine import hardware, known_device
from qwenvl_debug.model.modes import mode_of
from qwenvl_debug.model.parts import read_image_processor, read_template, read_tokenizer
from qwenvl_debug.model.place import Wishes, choose
from qwenvl_debug.model.safety import check_files
from qwenvl_debug.model.source import MICRO, download, fingerprint
from qwenvl_debug.model.weights import can_quantise, kept_whole, read_network
from qwenvl_debug.settings import read_settings

__all__ = ["MICRO", "load_model"]

Progress = Callable[[int, int, str], Any]
STEPS = 100
"""What `progress` counts to."""


def load_model(
    name: str | os.PathLike[str] = "micro",
    *,
    mode: str = "basic",
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    bits: int | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
    local_files_only: bool = False,
    max_image_tokens: int | None = None,
    check_memory: bool = True,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> DebugModel:
    """Load a Qwen-VL checkpoint with its attention in view.

    Args:
        name: "micro" for the bundled model, a folder, or a name on the hub such as "Qwen/Qwen2.5-VL-3B-Instruct". A
            folder or name of a LoRA is applied to the model it was made for; that takes the package peft.
        mode: "basic" keeps the rows of the language model, "full" those of the vision tower too, "low memory" stores
            the language model in 8 or 4 bits and reduces pictures; see `model.modes`.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" to spread over all GPUs, main memory and disk; by default
            the best there is that it fits on.
        dtype: precision such as "bfloat16"; by default the checkpoint's own on a GPU, and float32 on the CPU where
            that fits.
        bits: 8 or 4 to store the language model's matrices in so few, in any mode; takes the package bitsandbytes.
        max_memory: spread the model, and fill at most this much: bytes or text such as "10GB", by GPU number and for
            "cpu"; the rest waits on disk.
        local_files_only: use only what was downloaded before.
        max_image_tokens: pictures that would take more tokens are reduced until they fit; by default the
            checkpoint's own limit, which for published models is thousands of tokens, or the mode's.
        check_memory: refuse what cannot fit before anything large is read.
        progress: called as progress(steps done, of, what is being done).
        cancel: an event; when it is set loading stops before the next weight, and nothing is kept.

    Returns:
        The model, ready to be asked from any thread.

    Raises:
        ModelLoadError: not found, no network, broken, incomplete or hostile, not a supported Qwen-VL model, too large
            for this machine, or not among the models that the setting QWENVL_DEBUG_MODELS allows.
        Cancelled: `cancel` was set.
    """

    def report(done: int, text: str) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled("Loading was stopped.")
        if progress is not None:
            progress(done, STEPS, text)

    shown, how = str(name), mode_of(mode)
    wishes = Wishes(_device(device, max_memory), _dtype(dtype), _bits(bits), _image_tokens(max_image_tokens))
    report(0, "finding the checkpoint")
    allow(shown)
    found = inspect(name, local_files_only=local_files_only)
    folder, family = found.folder, found.family
    report(2, "reckoning the memory")
    place = choose(
        found.skeleton,
        family,
        shown,
        how,
        hardware(),
        wishes,
        quantises=can_quantise() and found.adapter is None,
        stored=found.stored,
        anyway=not check_memory or max_memory is not None,
    )
    if found.revision is not None:
        report(3, "fetching the checkpoint")
        folder = download(found.base, found.revision, local_files_only, pickled=family.pickled)
    check_files(folder, shown, native=family.pickled)
    report(5, "reading the tokenizer")
    most = max_image_tokens if max_image_tokens is not None else how.max_image_tokens
    tokenizer, image_processor = (
        read_tokenizer(folder, shown, family),
        read_image_processor(folder, shown, family, most),
    )
    template = read_template(folder, tokenizer, shown, family)
    network = read_network(
        folder,
        shown,
        family,
        device=place.device,
        dtype=place.dtype if found.stored is None else "auto",
        bits=place.bits,
        whole=kept_whole(found.skeleton, place.bits),
        max_memory=max_memory,
        progress=lambda done, of, text: report(10 + done * 88 // max(1, of), text),
        cancel=cancel,
    )
    if found.adapter is not None:
        report(98, "applying the LoRA")
        lora.apply(network, found.adapter, shown)
    stop_ids = _make_greedy(network, tokenizer, family.stops)
    revision = found.revision or fingerprint(folder)
    if found.adapter is not None:  # or answers of its base, and of its earlier training, would count as its own
        revision += f"+{fingerprint(found.adapter.folder)}"
    report(STEPS, "ready")
    return DebugModel(
        name=shown,
        revision=revision,
        network=network,
        tokenizer=tokenizer,
        image_processor=image_processor,
        template=template,
        stop_ids=stop_ids,
        generation=family,
        mode=how,
        bits=place.bits,
        max_image_tokens=None if family.picture_tokens else most,  # a generation may give every image the same number
    )


def allow(name: str) -> None:
    """Refuse a model that the setting QWENVL_DEBUG_MODELS does not name.

    Raises:
        ModelLoadError: it is not among them.
    """
    allowed = read_settings().models
    if allowed is not None and name not in allowed:
        raise ModelLoadError(f"“{name}” is not among the models allowed here: {', '.join(allowed)}.")


def _make_greedy(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, more: tuple[str, ...]
) -> tuple[int, ...]:
    """Replace the checkpoint's generation settings (sampling, penalties) by greedy ones; return what ends an answer."""
    stops: list[int] = []
    for source in (tokenizer, network.generation_config, network.config.get_text_config()):
        end = getattr(source, "eos_token_id", None)
        stops += [end] if isinstance(end, int) else (end or [])
    stops += tokenizer.convert_tokens_to_ids(list(more))
    stops = list(dict.fromkeys(stops))
    if not stops:
        raise ModelLoadError("This checkpoint names no token that ends an answer: add eos_token to its tokenizer.")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    network.generation_config = GenerationConfig(do_sample=False, eos_token_id=stops, pad_token_id=pad)
    return tuple(stops)


def _device(device: str | torch.device | None, max_memory: object) -> str | None:
    if max_memory is not None:
        return "auto"
    return None if device is None else known_device(device)


def _dtype(dtype: str | torch.dtype | None) -> torch.dtype | None:
    if dtype is None or dtype == "auto":
        return None
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if found not in (torch.float32, torch.float16, torch.bfloat16):
        raise ModelLoadError(f"There is no precision “{dtype}”: use float32, bfloat16 or float16.")
    return found


def _image_tokens(most: int | None) -> int | None:
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        raise ModelLoadError(f"max_image_tokens is a whole number from 1, not {most!r}.")
    return most


def _bits(bits: int | None) -> int | None:
    if bits not in (None, 4, 8):
        raise ModelLoadError(f"Weights can be stored in 8 or 4 bits, not in {bits}.")
    if bits is not None and not can_quantise():
        raise ModelLoadError(
            "Weights in 8 or 4 bits take the package bitsandbytes: pip install 'qwenvl-debug[models]'."
        )
    return bits
