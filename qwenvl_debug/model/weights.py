"""How do a checkpoint's weights become a network? Read with attention in view, weight by weight, so that it can be
watched and stopped; in 8 or 4 bits where memory is short; and with nothing made up where something is missing, and
nothing dropped that was learned (see `leftovers`)."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from qwenvl_debug.errors import Cancelled, ModelLoadError, QwenVLDebugError
from qwenvl_debug.model.capture import ATTENTION
from qwenvl_debug.model.configuration import network_config
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.few_bits import WHOLE, be_quiet, quantisation, whole_where_needed
from qwenvl_debug.model.leftovers import Loading, check_weights, tying_note
from qwenvl_debug.model.quantisation import Quantised, check_blocks
from qwenvl_debug.model.safetensors_header import INDEX, read_headers, weight_files, written_by
from qwenvl_debug.model.source import other_program

Progress = Callable[[int, int, str], Any]


class PatchProduct(nn.Module):
    """A patch embedding as the matrix product that it is.

    Kernel and stride of the convolution are one patch, so each patch meets each kernel once. On a CPU the product is
    many times faster than the convolution; the numbers differ by rounding only. It shares the convolution's weights.
    """

    def __init__(self, convolution: nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From [patches, channels, frames, height, width] to [patches, width of the tower]."""
        return nn.functional.linear(patches.flatten(1), self.weight.flatten(1), self.bias)


def read_network(
    folder: Path,
    name: str,
    family: Family,
    config: Mapping[str, Any],
    *,
    device: str | torch.device,
    dtype: str | torch.dtype,
    own: Quantised | None = None,
    bits: int | None = None,
    whole: Sequence[str] = WHOLE,
    max_memory: Mapping[int | str, int | str] | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> tuple[PreTrainedModel, Loading]:
    """Build a checkpoint's network and read its weights.

    Args:
        folder: the checkpoint, complete and checked.
        name: what to call it in an error.
        family: its generation.
        config: the content of its config.json, see `configuration.as_known`.
        device: where to; "auto" spreads it over all GPUs, main memory and disk.
        dtype: precision of the weights that stay whole; "auto" for the checkpoint's own.
        own: how its weights are quantised in the files, or None where they are whole.
        bits: 8 or 4 to store the language model's matrices in so few.
        whole: which modules stay whole then, see `kept_whole`.
        max_memory: with "auto", what may be filled: bytes or text such as "10GB" by GPU number and for "cpu".
        progress: called as progress(weights read, of, words).
        cancel: an event; when it is set reading stops before the next weight, and nothing is kept.

    Returns:
        The network, and what came of reading it.

    Raises:
        ModelLoadError: weights are missing, misshapen or unreadable, have no place in the network, or do not fit.
        Cancelled: `cancel` was set.
    """
    pickled = _pickled(folder, name, family)
    if own is not None:
        check_blocks(folder, own, name)
    if bits is not None or (own is not None and own.method == "bitsandbytes"):
        be_quiet()
    offload = tempfile.mkdtemp(prefix="qwenvl-debug-weights-") if device == "auto" or max_memory else None
    try:
        with _watched(progress, cancel):
            network, told = family.auto_class.from_pretrained(
                folder,
                config=network_config(config, None if own is None else own.settings),
                dtype=dtype,
                device_map=device if max_memory is None else "auto",
                max_memory=None if max_memory is None else dict(max_memory),
                offload_folder=offload,
                attn_implementation=ATTENTION,
                quantization_config=quantisation(bits, dtype, list(whole)),
                generation_config=GenerationConfig(),  # the checkpoint's own, perhaps an impossible one: see `decoding`
                ignore_mismatched_sizes=True,  # they are told, and refused below
                use_safetensors=not pickled,
                weights_only=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
    except QwenVLDebugError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelLoadError(
            f"“{name}” does not fit into memory: use a smaller model, or mode='low memory'."
        ) from error
    except Exception as error:  # safetensors, transformers, pickle and the file system each raise their own kinds
        if pickled and "weights_only" in str(error).lower().replace("weights only", "weights_only"):
            raise ModelLoadError(
                f"“{name}” is refused: its .bin files hold something else than tensors, which could be code; nothing "
                "of it was run."
            ) from error
        if own is not None:
            raise ModelLoadError(
                f"“{name}” is quantised with {own.title} and cannot be read here ({type(error).__name__}): choose the "
                "plain checkpoint."
            ) from error
        raise ModelLoadError(f"“{name}” is broken: its configuration and weights cannot be read together.") from error
    if offload is not None:  # the network needs what waits on disk as long as it lives, and nobody needs it longer
        weakref.finalize(network, shutil.rmtree, offload, ignore_errors=True)
    whole_where_needed(network)
    if own is not None and own.expanded:
        _one_precision(network, network.config.dtype)
    unused, filled = check_weights(network, told, {} if pickled else read_headers(folder), config, name)
    note = tying_note(network, config)
    return network.eval(), Loading(
        precision=_precision(network, own, bits),
        stored=None if own is None else own.title,
        unused=unused,
        filled=filled,
        notes=() if note is None else (note,),
    )


def _one_precision(network: PreTrainedModel, dtype: torch.dtype) -> None:
    """Give all weights the precision that was asked for: what is not FP8 is read as it stands in the file."""
    for weight in network.parameters():
        if weight.is_floating_point() and not weight.is_meta:
            weight.data = weight.data.to(dtype)


def _pickled(folder: Path, name: str, family: Family) -> bool:
    """Whether the weights lie in .bin files of a generation that was published so.

    Raises:
        ModelLoadError: there are no weights that can be read.
    """
    if weight_files(folder):
        if written_by(folder) == "mlx":
            raise ModelLoadError(
                f"“{name}” was written for MLX, Apple's own framework, which arranges weights differently: choose the "
                "checkpoint it was made from."
            )
        return False
    if any(folder.glob("model-*.safetensors")):
        raise ModelLoadError(f"“{name}” is incomplete: {INDEX}, which says which file holds what, is missing.")
    if family.pickled and any(folder.glob("*.bin")):
        return True
    why = " (weights in .bin files are not read, for they can hold code)" if any(folder.glob("*.bin")) else ""
    if (other := other_program(folder)) is not None:
        why = f", only weights for {other}: choose the checkpoint it was made from"
    raise ModelLoadError(f"“{name}” is incomplete: it holds no weights in a .safetensors file{why}.")


def _precision(network: PreTrainedModel, own: Quantised | None, bits: int | None) -> str:
    if own is not None:
        return own.precision(network.dtype)
    whole = str(network.dtype).removeprefix("torch.")
    return whole if bits is None else f"{bits}-bit with {whole}"


def patches_as_product(embedding: nn.Module) -> None:
    """Have a vision tower embed its patches by a product of matrices in place of the convolution, in place."""
    convolution = getattr(embedding, "proj", None)
    # A convolution whose weight waits elsewhere (offloaded) is brought by accelerate for that very module.
    if isinstance(convolution, nn.Conv3d) and not convolution.weight.is_meta and not hasattr(convolution, "_hf_hook"):
        embedding.proj = PatchProduct(convolution)


_hook_lock = threading.Lock()


@contextmanager
def _watched(progress: Progress | None, cancel: Event | None) -> Iterator[None]:
    """Report and stop between weights, through the hook that transformers offers on its progress bars.

    The hook is one for the whole process, so two models are read one after the other; other threads' bars stay bars.
    """
    thread = threading.get_ident()

    def hook(factory: Callable, args: tuple, kwargs: dict) -> Any:
        if threading.get_ident() != thread or kwargs.get("desc") != "Loading weights":
            return factory(*args, **kwargs)
        return _steps(args[0], progress, cancel)

    if cancel is not None and cancel.is_set():
        raise Cancelled("Loading was stopped.")
    with _hook_lock:
        transformers_logging.disable_progress_bar()  # `progress` reports instead
        level = transformers_logging.get_verbosity()
        transformers_logging.set_verbosity_error()  # its report of missing and unexpected weights: see `leftovers`
        before = transformers_logging.set_tqdm_hook(hook)
        try:
            yield
        finally:
            transformers_logging.set_tqdm_hook(before)
            transformers_logging.set_verbosity(level)


def _steps(items: Any, progress: Progress | None, cancel: Event | None) -> Iterator[Any]:
    count = len(items)
    for number, item in enumerate(items):
        if cancel is not None and cancel.is_set():
            raise Cancelled("Loading was stopped.")
        if progress is not None:
            progress(number, count, "reading the weights")
        yield item
