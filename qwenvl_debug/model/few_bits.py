"""Which matrices are stored in 8 or 4 bits, and how? bitsandbytes does it, on GPUs and on CPUs."""

from __future__ import annotations

import ctypes
import logging
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec

import torch
from torch import nn
from transformers import BitsAndBytesConfig
from transformers.quantizers.quantizers_utils import should_convert_module

WHOLE = [".*visual", "lm_head", ".*indexer", ".*shared_expert_gate"]
"""Modules that keep whole weights beside quantised ones: the vision tower, whose maps are looked at and which is small
beside the language model; the layer that chooses words; and what chooses experts or tokens."""

BLOCK = 64
"""Numbers that share a scale in 4 bits. Matrices with rows that are no multiple of it stay whole, and so do those whose
number of rows is no multiple of 32, which the product on a CPU needs."""


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


def few_bits(network: nn.Module, bits: int | None, whole: Sequence[str] | None = None) -> list[nn.Linear]:
    """The matrices of a network that are stored in few bits; `whole` names others than `kept_whole` does."""
    if bits is None:
        return []
    whole = kept_whole(network, bits) if whole is None else list(whole)
    linear = ((name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear))
    return [module for name, module in linear if should_convert_module(name, whole)]


def be_quiet() -> None:
    """Silence bitsandbytes, which tells of every product on a CPU that it rounds, and of kernels it would fetch."""
    _hold_nothing_back()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message="MatMul8bitLt: inputs will be cast")


def quantisation(bits: int | None, dtype: str | torch.dtype, whole: list[str]) -> BitsAndBytesConfig | None:
    """The settings with which transformers stores weights in 8 or 4 bits while it reads them; None for whole ones."""
    if bits is None:
        return None
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=whole)
    computed = getattr(torch, dtype, torch.bfloat16) if isinstance(dtype, str) else dtype
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=computed, llm_int8_skip_modules=whole
    )


def whole_where_needed(network: nn.Module) -> None:
    """Expand the 4-bit matrices that bitsandbytes cannot multiply with on a CPU, to the very numbers they stand for.

    Published checkpoints hold such matrices, mostly in the vision tower: with rows that end within a block, or a number
    of rows that is no multiple of 32.
    """
    few = [(name, module) for name, module in network.named_modules() if type(module).__name__ == "Linear4bit"]
    for name, module in few:
        from bitsandbytes.functional import dequantize_4bit

        if module.weight.device.type != "cpu":
            continue
        state = module.weight.quant_state
        if module.in_features % state.blocksize == 0 and module.out_features % 32 == 0:
            continue
        whole = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None, device="meta")
        numbers = dequantize_4bit(module.weight.data, state).to(network.dtype)
        whole.weight = nn.Parameter(numbers, requires_grad=False)
        if module.bias is not None:
            whole.bias = nn.Parameter(module.bias.data.to(network.dtype), requires_grad=False)
        network.set_submodule(name, whole)


def _hold_nothing_back() -> None:
    """Have freed memory returned to the system at once, for the rest of the process.

    Weights in few bits pass through larger numbers, while they are read and at every step. The C library of Linux keeps
    such memory for later use once it is freed: as much again as the weights take. From 128 KiB on, its own smallest
    bound, every piece is given back. Other systems lack this call.
    """
    blocks_of_their_own, from_bytes = -3, 1 << 17  # M_MMAP_THRESHOLD in malloc.h
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(blocks_of_their_own, from_bytes)
