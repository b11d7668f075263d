"""How a checkpoint becomes a `DebugModel`: the bundled one, a folder, or a name on the Hugging Face hub.

The steps, each a module: find it (`source`), look for what a hostile one could do (`safety`), choose its generation
(`families`), reckon what it needs (`memory`) and where it fits (`place`), read its tokenizer and image processor
(`parts`) and its weights (`weights`), and apply a LoRA where the folder is one (`lora`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from qwenvl_debug.errors import Cancelled, ModelLoadError
from qwenvl_debug.model import lora
from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.decoding import GREEDY, read_own
from qwenvl_debug.model.few_bits import can_quantise, kept_whole
from qwenvl_debug.model.forecast import inspect
from qwenvl_debug.model.machine import hardware, known_device
from qwenvl_debug.model.modes import Mode, mode_of
from qwenvl_debug.model.parts import has_template, read_image_processor, read_template, read_tokenizer
from qwenvl_debug.model.place import Wishes, choose
from qwenvl_debug.model.quantisation import Quantised, check_quantised
from qwenvl_debug.model.safety import check_files
from qwenvl_debug.model.source import MICRO, download, fingerprint
from qwenvl_debug.model.weights import patches_as_product, read_network
from qwenvl_debug.settings import read_settings

__all__ = ["MICRO", "load_model"]

Progress = Callable[[int, int, str], Any]
STEPS = 100
"""What `progress` counts to."""


def load_model(
    name: str | os.PathLike[str] = "micro",
    *,
    base: str | os.PathLike[str] | None = None,
    mode: str = "basic",
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    bits: int | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
    local_files_only: bool = False,
    max_image_tokens: int | None = None,
    check_memory: bool = True,
    decoding: str = GREEDY,
    seed: int = 0,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> DebugModel:
    """Load a Qwen-VL checkpoint with its attention in view.

    Args:
        name: "micro" for the bundled model, a folder, or a name on the hub such as "Qwen/Qwen2.5-VL-3B-Instruct". A
            folder or name of a LoRA is applied to the model it was made for; that takes the package peft. What its
            folder holds of a tokenizer, a chat template and settings of the image processor is used, for it was
            trained with them.
        base: of a LoRA, the model to apply it to where the one that it names is somewhere else now.
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
        decoding: how answers are generated unless a question says otherwise: "greedy", or "checkpoint" for what the
            checkpoint's own generation_config.json says; see `DebugModel.ask`.
        seed: of the random numbers, where the checkpoint samples.
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
    found = inspect(name, base=base, local_files_only=local_files_only)
    folder, family, there = found.folder, found.family, hardware()
    if found.own is not None:
        check_quantised(found.own, shown, gpu=bool(there.gpus))
        if bits is not None:
            raise ModelLoadError(
                f"“{shown}” is published quantised ({found.own.title}) and cannot be stored in {bits} bits besides: "
                "leave bits out, or choose the plain checkpoint."
            )
    report(2, "reckoning the memory")
    place = choose(
        found.skeleton,
        family,
        shown,
        how,
        there,
        wishes,
        quantises=can_quantise() and found.adapter is None,
        own=found.own,
        weigh=found.weigh,
        anyway=not check_memory or max_memory is not None,
    )
    if found.revision is not None:
        report(3, "fetching the checkpoint")
        folder = download(found.base, found.revision, local_files_only, pickled=family.pickled)
        if found.adapter is None and lora.is_adapter(folder):  # a LoRA with a copy of its base's config.json
            found = inspect(folder, base=base, local_files_only=local_files_only)
            folder, family = found.folder, found.family
            if found.revision is not None:
                folder = download(found.base, found.revision, local_files_only, pickled=family.pickled)
    check_files(folder, shown, native=family.pickled)
    if found.adapter is not None:
        check_files(found.adapter.folder, shown, native=family.pickled, adapter=True)
    report(5, "reading the tokenizer")
    most = max_image_tokens if max_image_tokens is not None else how.max_image_tokens
    parts = _whose(folder, found.adapter)
    configured = found.skeleton.config
    tokenizer = read_tokenizer(parts["tokenizer"], shown, family, configured)
    image_processor = read_image_processor(parts["image processor"], shown, family, most)
    beside = tokenizer  # a tokenizer's own settings may hold the template
    if parts["chat template"] == folder != parts["tokenizer"]:
        beside = read_tokenizer(folder, shown, family, configured)
    template = read_template(parts["chat template"], beside, shown, family)
    tokenizer.chat_template = template.text
    network, loading = read_network(
        folder,
        shown,
        family,
        found.config,
        device=place.device,
        dtype=place.dtype,
        own=found.own,
        bits=place.bits,
        whole=kept_whole(found.skeleton, place.bits),
        max_memory=max_memory,
        progress=lambda done, of, text: report(10 + done * 88 // max(1, of), text),
        cancel=cancel,
    )
    notes = [*found.notes, *_low_memory_note(found.own, how), *loading.notes]
    if found.adapter is not None:
        report(98, "applying the LoRA")
        notes += lora.apply(network, found.adapter, shown)
    _check_parts(network, tokenizer, image_processor, shown)
    patches_as_product(family.patch_embedding(network))  # after the LoRA, which may be one of the convolution
    own = read_own(parts["generation settings"], found.config)
    stop_ids = _make_greedy(network, tokenizer, (*own.stops,), family.stops)
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
        bits=place.bits if found.own is None else found.own.bits,
        max_image_tokens=None if family.picture_tokens else most,  # a generation may give every image the same number
        own=own,
        loading=replace(loading, notes=tuple(notes), from_adapter=_brought(parts, folder)),
    ).decoded(decoding, seed)


def allow(name: str) -> None:
    """Refuse a model that the setting QWENVL_DEBUG_MODELS does not name.

    Raises:
        ModelLoadError: it is not among them.
    """
    allowed = read_settings().models
    if allowed is not None and name not in allowed:
        raise ModelLoadError(f"“{name}” is not among the models allowed here: {', '.join(allowed)}.")


def _make_greedy(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, own: tuple[int, ...], more: tuple[str, ...]
) -> tuple[int, ...]:
    """Give the network greedy settings, which it has unless told otherwise; return what ends an answer."""
    stops: list[int] = []
    for end in (tokenizer.eos_token_id, own, getattr(network.config.get_text_config(), "eos_token_id", None)):
        stops += [end] if isinstance(end, int) else (end or [])
    stops += tokenizer.convert_tokens_to_ids(list(more))
    stops = list(dict.fromkeys(stops))
    if not stops:
        raise ModelLoadError("This checkpoint names no token that ends an answer: add eos_token to its tokenizer.")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    network.generation_config = GenerationConfig(do_sample=False, eos_token_id=stops, pad_token_id=pad)
    return tuple(stops)


def _whose(folder: Path, adapter: lora.Adapter | None) -> dict[str, Path]:
    """By part, the folder it is read from: the LoRA's where it brings its own, which it was trained with."""
    files = {
        "tokenizer": ("tokenizer.json", "vocab.json"),
        "image processor": ("preprocessor_config.json", "processor_config.json"),
        "generation settings": ("generation_config.json",),
    }
    if adapter is None:
        return dict.fromkeys((*files, "chat template"), folder)
    whose = {part: adapter.folder if adapter.brings(*names) else folder for part, names in files.items()}
    own = has_template(adapter.folder, tokenizer=whose["tokenizer"] == adapter.folder)
    return {"tokenizer": whose["tokenizer"], "chat template": adapter.folder if own else folder} | whose


def _check_parts(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, image_processor: Any, name: str) -> None:
    """Refuse a tokenizer or an image processor that is another model's.

    Raises:
        ModelLoadError: the tokenizer has tokens that the network has no embedding for, or patches have another size.
    """
    known, rows = len(tokenizer), network.get_input_embeddings().weight.shape[0]
    if known > rows:
        raise ModelLoadError(
            f"“{name}” is broken: its tokenizer knows {known:,} tokens, and the model has embeddings of {rows:,}."
        )
    vision = getattr(network.config, "vision_config", None)
    for ours, theirs in (("patch_size", "patch_size"), ("merge_size", "spatial_merge_size")):
        found, wanted = getattr(image_processor, ours, None), getattr(vision, theirs, None)
        if wanted is not None and found != wanted:
            raise ModelLoadError(
                f"“{name}” is broken: pictures are prepared with {ours} {found}, and the model takes {wanted}."
            )


def _brought(parts: Mapping[str, Path], folder: Path) -> tuple[str, ...]:
    return tuple(part for part, place in parts.items() if place != folder)


def _low_memory_note(own: Quantised | None, mode: Mode) -> tuple[str, ...]:
    if own is None or not mode.small:
        return ()
    return (f"The weights are published quantised ({own.title}) and stay so: “low memory” reduces pictures only.",)


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
