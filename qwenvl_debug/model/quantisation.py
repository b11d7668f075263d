"""How are a checkpoint's weights stored, where it was published quantised, and can they be read here?

config.json says so in `quantization_config`. transformers reads every method it knows; most need a package, some a GPU.
FP8 in blocks (the published "-FP8" checkpoints) is expanded while it is read: each stored number times the scale of
its block, which is what transformers itself does where the hardware has no FP8 kernels. The products are then computed
in the precision of all else, and activations are not rounded to FP8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.safetensors_header import read_headers

EXPANDED = ("fp8", "mxfp8")
"""Methods whose weights are expanded to whole numbers while they are read."""


@dataclass(frozen=True)
class _Method:
    """What a method is called, the packages it needs (by the module that each is imported as), and whether a GPU."""

    title: str
    packages: Mapping[str, str] = field(default_factory=dict)
    gpu: bool = False


_METHODS = {
    "fp8": _Method("FP8"),
    "mxfp8": _Method("MXFP8"),
    "bitsandbytes": _Method("bitsandbytes", {"bitsandbytes": "bitsandbytes"}),
    "awq": _Method("AWQ", {"gptqmodel": "gptqmodel"}),
    "gptq": _Method("GPTQ", {"optimum": "optimum", "gptqmodel": "gptqmodel"}),
    "auto-round": _Method("AutoRound", {"auto_round": "auto-round"}),
    "compressed-tensors": _Method("compressed-tensors (llm-compressor)", {"compressed_tensors": "compressed-tensors"}),
    "aqlm": _Method("AQLM", {"aqlm": "aqlm[gpu,cpu]"}),
    "hqq": _Method("HQQ", {"hqq": "hqq"}),
    "quanto": _Method("Quanto", {"optimum.quanto": "optimum-quanto"}),
    "torchao": _Method("torchao", {"torchao": "torchao"}),
    "eetq": _Method("EETQ", {"kernels": "kernels"}, gpu=True),
    "higgs": _Method(
        "HIGGS", {"flute": "flute-kernel", "fast_hadamard_transform": "fast_hadamard_transform"}, gpu=True
    ),
    "fbgemm_fp8": _Method("FBGEMM FP8", {"fbgemm_gpu": "fbgemm-gpu"}, gpu=True),
    "fp_quant": _Method("FP-Quant", {"fp_quant": "fp_quant"}, gpu=True),
    "spqr": _Method("SpQR", {"spqr_quant": "spqr_quant[gpu]"}, gpu=True),
    "vptq": _Method("VPTQ", {"vptq": "vptq"}, gpu=True),
    "quark": _Method("Quark", {"quark": "amd-quark"}),
    "mxfp4": _Method("MXFP4", {"kernels": "kernels"}),
    "bitnet": _Method("BitNet"),
    "sinq": _Method("SINQ", {"sinq": "sinq"}),
    "metal": _Method("Metal"),
    "fouroversix": _Method("Four Over Six", {"fouroversix": "fouroversix"}, gpu=True),
}


@dataclass(frozen=True)
class Quantised:
    """How a checkpoint stores its quantised weights.

    Attributes:
        method: what transformers calls it, such as "fp8" or "awq".
        name: what people call it.
        bits: how many bits a quantised number has in memory once it is read; None where it is expanded or unknown.
        whole: names (as patterns) of the modules that keep whole weights, as far as config.json tells.
        settings: the `quantization_config` to read the weights with.
    """

    method: str
    name: str
    bits: int | None
    whole: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def expanded(self) -> bool:
        """Whether the weights become whole numbers while they are read."""
        return self.method in EXPANDED

    @property
    def title(self) -> str:
        """How the weights are stored, for people, such as "AWQ in 4 bits"."""
        return f"{self.name} in {self.bits} bits" if self.bits else self.name

    def precision(self, dtype: torch.dtype) -> str:
        """How the weights are held, for people, beside numbers of `dtype`."""
        return f"{self.title} {'expanded to' if self.expanded else 'with'} {str(dtype).removeprefix('torch.')}"


def quantised(config: Mapping[str, Any], name: str) -> Quantised | None:
    """What a config.json says of its weights, or None where they are whole.

    Args:
        config: its content.
        name: what to call the checkpoint in an error.

    Raises:
        ModelLoadError: it names a method that transformers does not know, or describes none.
    """
    if "quantization" in config and "quantization_config" not in config and isinstance(config["quantization"], Mapping):
        raise ModelLoadError(
            f"“{name}” is quantised for MLX, which runs on Apple's own framework only: choose the checkpoint it was "
            "made from."
        )
    text = config.get("text_config")
    found = config.get("quantization_config") or (
        text.get("quantization_config") if isinstance(text, Mapping) else None
    )
    if found is None and config.get("compression_config"):  # what early versions of compressed-tensors called it
        found = {"quant_method": "compressed-tensors", **dict(config["compression_config"])}
    if not found:
        return None
    if not isinstance(found, Mapping):
        raise ModelLoadError(f"“{name}” is broken: its quantization_config is not an object.")
    bits = 4 if found.get("load_in_4bit") else 8 if found.get("load_in_8bit") else None
    method = "bitsandbytes" if bits else str(found.get("quant_method") or "").lower()
    known = _METHODS.get(method)
    if known is None:
        said = f"by the method “{method[:60]}”" if method else "in a way that its config.json does not name"
        raise ModelLoadError(
            f"“{name}” is quantised {said}, which transformers cannot read: choose the checkpoint it was made from."
        )
    title = known.title
    if method in EXPANDED and (block := found.get("weight_block_size")):
        title += f" in blocks of {' x '.join(str(side) for side in block)}"
    whole = found.get("llm_int8_skip_modules") or found.get("modules_to_not_convert") or found.get("ignore") or ()
    settings = dict(found) | ({"dequantize": True} if method in EXPANDED else {})
    return Quantised(
        method, title, None if method in EXPANDED else bits or _bits(found), tuple(map(str, whole)), settings
    )


def check_quantised(stored: Quantised, name: str, *, gpu: bool) -> None:
    """Refuse what cannot be read on this machine, before anything large is fetched.

    Args:
        stored: from `quantised`.
        name: what to call the checkpoint in an error.
        gpu: whether there is an NVIDIA GPU.

    Raises:
        ModelLoadError: a package is missing, there is no GPU, or transformers does not take it.
    """
    method = _METHODS[stored.method]
    missing = [package for module, package in method.packages.items() if not _installed(module)]
    if missing:
        extra = "'qwenvl-debug[models]'" if missing == ["bitsandbytes"] else " ".join(f"'{one}'" for one in missing)
        raise ModelLoadError(
            f"“{name}” is quantised with {stored.name} and needs a package that is not installed: pip install "
            f"{extra}, or choose the plain checkpoint."
        )
    if method.gpu and not gpu:
        raise ModelLoadError(
            f"“{name}” is quantised with {stored.name}, which runs on a GPU only, and there is none here: choose the "
            "plain checkpoint."
        )
    if stored.method == "metal" and not torch.backends.mps.is_available():
        return  # transformers expands it
    from transformers.quantizers.auto import AutoHfQuantizer

    try:
        quantiser = AutoHfQuantizer.from_config(dict(stored.settings), pre_quantized=True)
        quantiser.validate_environment(device_map={"": "cuda:0"} if gpu else None, weights_only=True)
    except Exception as error:  # each method has its own ways to reject a machine or its settings
        raise ModelLoadError(
            f"“{name}” is quantised with {stored.name} and cannot be read here: {_first(error)}"
        ) from error


def check_blocks(folder: Path, stored: Quantised, name: str) -> None:
    """Refuse FP8 matrices that end within a block: transformers would spread their scales evenly, which is wrong.

    Raises:
        ModelLoadError: there is such a matrix.
    """
    block = stored.settings.get("weight_block_size")
    if not stored.expanded or not block:
        return
    headers = read_headers(folder)
    for scale, found in headers.items():
        weight = headers.get(scale.removesuffix("_scale_inv"))
        if weight is None or not scale.endswith("_scale_inv") or len(found.shape) < 2:
            continue
        for side, count, one in zip(weight.shape[-2:], found.shape[-2:], block, strict=True):
            if count > 1 and count != side and side != count * one and count == -(-side // one):
                shape = " x ".join(map(str, weight.shape))
                raise ModelLoadError(
                    f"“{name}” cannot be expanded: {scale.removesuffix('_scale_inv')} of {shape} numbers is no whole "
                    f"number of FP8 blocks of {block[0]} x {block[1]}."
                )


def stored_bytes(folder: Path, dtype: torch.dtype) -> int:
    """Bytes that the weights of a quantised checkpoint take once they are read; 0 where the files are not here.

    Whole numbers of 16 bits take the precision they are read in, all else what it takes in the file.
    """
    size = 0
    for one in read_headers(folder).values():
        size += one.numbers * dtype.itemsize if one.dtype in ("F16", "BF16") else one.bytes
    return size or sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _bits(settings: Mapping[str, Any]) -> int | None:
    groups = settings.get("config_groups")
    if isinstance(groups, Mapping):
        weights = [group.get("weights") for group in groups.values() if isinstance(group, Mapping)]
        found = [one.get("num_bits") for one in weights if isinstance(one, Mapping)]
    else:
        found = [settings.get("bits"), settings.get("w_bit"), settings.get("nbits")]
    return next((number for number in found if number in (2, 3, 4, 8)), None)


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it is missing
        return False


def _first(error: Exception) -> str:
    """The first sentence of an error, on one line."""
    said = " ".join(str(error).split()) or type(error).__name__
    return f"{said.split('. ')[0].rstrip('.')[:200]}."
