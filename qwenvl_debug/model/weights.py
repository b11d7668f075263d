"""How do a checkpoint's weights become a network? Read with attention in view, weight by weight, so that it can be
watched and stopped; in 8 or 4 bits where memory is short; and with nothing made up where something is missing."""

from __future__ import annotations

import ctypes
import logging
import shutil
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.quantizers.quantizers_utils import should_convert_module
from transformers.utils import logging as transformers_logging

from qwenvl_debug.errors import Cancelled, ModelLoadError, QwenVLDebugError
from qwenvl_debug.model.capture import ATTENTION
from qwenvl_debug.model.families import Family

WHOLE = [".*visual", "lm_head", ".*indexer", ".*shared_expert_gate"]
"""Modules that keep whole weights beside quantised ones: the vision tower, whose maps are looked at and which is small
beside the language model; the layer that chooses words; and what chooses experts or tokens."""

BLOCK = 64
"""Numbers that share a scale in 4 bits. Matrices with rows that are no multiple of it stay whole, and so do those whose
number of rows is no multiple of 32, which the product on a CPU needs."""

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


def can_quantise() -> bool:
    """Whether the package that stores weights in few bits is installed."""
    return find_spec("bitsandbytes") is not None


def kept_whole(network: nn.Module, bits: int | None) -> list[str]:
    """Names (as patterns) of the modules that stay whole when a network's matrices are stored in few bits."""
    odd = [
        name
        for name, one in network.named_modules()
        if isinstance(one, nn.Linear) and (one.in_features % BLOCK or one.out_features % 32)
    ]
    return WHOLE + odd if bits == 4 else WHOLE


def few_bits(network: nn.Module, bits: int | None) -> list[nn.Linear]:
    """The matrices of a network that are stored in few bits."""
    if bits is None:
        return []
    whole = kept_whole(network, bits)
    linear = ((name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear))
    return [module for name, module in linear if should_convert_module(name, whole)]


def read_network(
    folder: Path,
    name: str,
    family: Family,
    *,
    device: str | torch.device,
    dtype: str | torch.dtype,
    bits: int | None = None,
    whole: Sequence[str] = WHOLE,
    max_memory: Mapping[int | str, int | str] | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> PreTrainedModel:
    """Build a checkpoint's network and read its weights.

    Args:
        folder: the checkpoint, complete and checked.
        name: what to call it in an error.
        family: its generation.
        device: where to; "auto" spreads it over all GPUs, main memory and disk.
        dtype: precision of the weights that stay whole; "auto" for the checkpoint's own.
        bits: 8 or 4 to store the language model's matrices in so few.
        whole: which modules stay whole then, see `kept_whole`.
        max_memory: with "auto", what may be filled: bytes or text such as "10GB" by GPU number and for "cpu".
        progress: called as progress(weights read, of, words).
        cancel: an event; when it is set reading stops before the next weight, and nothing is kept.

    Raises:
        ModelLoadError: weights are missing, misshapen or unreadable, or do not fit.
        Cancelled: `cancel` was set.
    """
    pickled = not any(folder.glob("*.safetensors"))
    if pickled and not (family.pickled and any(folder.glob("*.bin"))):
        why = " (weights in .bin files are not read, for they can hold code)" if any(folder.glob("*.bin")) else ""
        raise ModelLoadError(f"“{name}” is incomplete: it holds no weights in a .safetensors file{why}.")
    if bits is not None:
        _hold_nothing_back()
    offload = tempfile.mkdtemp(prefix="qwenvl-debug-weights-") if device == "auto" or max_memory else None
    try:
        with _watched(progress, cancel):
            network, loaded = family.auto_class.from_pretrained(
                folder,
                dtype=dtype,
                device_map=device if max_memory is None else "auto",
                max_memory=None if max_memory is None else dict(max_memory),
                offload_folder=offload,
                attn_implementation=ATTENTION,
                quantization_config=_quantised(bits, dtype, list(whole)),
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
    except ImportError as error:
        raise ModelLoadError(
            f"“{name}” keeps its weights in a form that needs a package which is not installed: choose the plain "
            "checkpoint, with mode='low memory' where memory is short."
        ) from error
    except Exception as error:  # safetensors, transformers, pickle and the file system each raise their own kinds
        if pickled and "weights_only" in str(error).lower().replace("weights only", "weights_only"):
            raise ModelLoadError(
                f"“{name}” is refused: its .bin files hold something else than tensors, which could be code; nothing "
                "of it was run."
            ) from error
        raise ModelLoadError(f"“{name}” is broken: its configuration and weights cannot be read together.") from error
    if offload is not None:  # the network needs what waits on disk as long as it lives, and nobody needs it longer
        weakref.finalize(network, shutil.rmtree, offload, ignore_errors=True)
    # transformers would fill what is missing with random numbers.
    wrong = [*loaded["missing_keys"], *(key if isinstance(key, str) else key[0] for key in loaded["mismatched_keys"])]
    if wrong:
        raise ModelLoadError(f"“{name}” is broken: {len(wrong)} weights are missing or misshapen ({min(wrong)}).")
    _patches_as_product(family.patch_embedding(network))
    return network.eval()


def _hold_nothing_back() -> None:
    """Have freed memory returned to the system at once, for the rest of the process.

    Weights in few bits pass through larger numbers, while they are read and at every step. The C library of Linux keeps
    such memory for later use once it is freed: as much again as the weights take. From 128 KiB on, its own smallest
    bound, every piece is given back. Other systems lack this call.
    """
    blocks_of_their_own, from_bytes = -3, 1 << 17  # M_MMAP_THRESHOLD in malloc.h
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(blocks_of_their_own, from_bytes)


def _patches_as_product(embedding: nn.Module) -> None:
    convolution = getattr(embedding, "proj", None)
    # A convolution whose weight waits elsewhere (offloaded) is brought by accelerate for that very module.
    if isinstance(convolution, nn.Conv3d) and not convolution.weight.is_meta and not hasattr(convolution, "_hf_hook"):
        embedding.proj = PatchProduct(convolution)


def _quantised(bits: int | None, dtype: str | torch.dtype, whole: list[str]) -> BitsAndBytesConfig | None:
    if bits is None:
        return None
    # It tells of every product of matrices on a CPU that it rounds, and of kernels that it would like to download.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="MatMul8bitLt: inputs will be cast")
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=whole)
    computed = getattr(torch, dtype, torch.bfloat16) if isinstance(dtype, str) else dtype
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=computed, llm_int8_skip_modules=whole
    )


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
        before = transformers_logging.set_tqdm_hook(hook)
        try:
            yield
        finally:
            transformers_logging.set_tqdm_hook(before)


def _steps(items: Any, progress: Progress | None, cancel: Event | None) -> Iterator[Any]:
    count = len(items)
    for number, item in enumerate(items):
        if cancel is not None and cancel.is_set():
            raise Cancelled("Loading was stopped.")
        if progress is not None:
            progress(number, count, "reading the weights")
        yield item
