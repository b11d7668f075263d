"""How much memory will a model need, and in which mode does it fit? Answered from its configuration, before a weight
is read.

The network is built without memory (on torch's "meta" device), so its weights are counted exactly, with the number of
bits that each would be stored in. Beside them stand three things that grow with the question: the cache of keys and
values, the work of the widest moment (the vision tower, or the language model reading the prompt), and what capture
keeps. Attention itself needs little: the fast kernels never hold a matrix of tokens x tokens, and neither does capture.
Not counted is what the program takes without a model, about 0.5 GB.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.configuration import network_config
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.few_bits import BLOCK, few_bits

WORDS = 128
"""Tokens of the question and the chat around it in the case that is estimated."""

ANSWER = 64
"""Tokens of its answer."""

IMAGE_TOKENS = 1024
"""Tokens of its picture where the mode sets no lower limit: about a megapixel."""


@dataclass(frozen=True)
class Estimate:
    """The bytes that a model will need for a question about one picture.

    Attributes:
        weights: all of them, as stored.
        cache: keys and values of the whole sequence, and the states of linear layers.
        work: passing values at the widest moment.
        capture: the query rows and keys that are kept for the maps.
        parameters: how many numbers the weights are.
        dtype: precision of the whole weights.
        bits: in how many bits the language model's matrices are stored, or None for whole.
        image_tokens: tokens of the picture that was reckoned with.
    """

    weights: int
    cache: int
    work: int
    capture: int
    parameters: int
    dtype: str
    bits: int | None
    image_tokens: int

    @property
    def total(self) -> int:
        """Bytes of everything."""
        return self.weights + self.cache + self.work + self.capture


def skeleton(config: Mapping[str, Any], name: str, family: Family) -> PreTrainedModel:
    """The network of a checkpoint without its weights, in no time and no memory.

    Args:
        config: the content of config.json, which `safety.check_config` has passed; see `configuration.as_known`.
        name: what to call the checkpoint in an error.
        family: its generation.

    Raises:
        ModelLoadError: the configuration does not make a network.
    """
    try:
        built = network_config(config)
        with torch.device("meta"):
            return family.auto_class.from_config(built)
    except Exception as error:  # every class of transformers has its own ways to reject a configuration
        raise ModelLoadError(f"“{name}” is broken: its config.json does not describe a model.") from error


def estimate(
    network: PreTrainedModel,
    family: Family,
    *,
    dtype: torch.dtype = torch.float32,
    bits: int | None = None,
    whole: Sequence[str] | None = None,
    vision: bool = False,
    image_tokens: int = IMAGE_TOKENS,
    words: int = WORDS,
    answer: int = ANSWER,
) -> Estimate:
    """Reckon what a model needs to answer a question about one picture.

    Args:
        network: its skeleton (or the network itself, where its weights are whole).
        family: its generation.
        dtype: precision of the weights that stay whole, and of all passing values.
        bits: 8 or 4 when the language model's matrices are stored in so few.
        whole: names (as patterns) of the modules that stay whole then; by default those of `weights.kept_whole`.
        vision: whether the rows of the vision tower are kept as well.
        image_tokens: tokens of the picture.
        words: tokens of everything else in the prompt.
        answer: tokens of the answer.
    """
    size, text = dtype.itemsize, _text(network.config)
    tokens, asked = image_tokens + words + answer, words + answer
    layers = family.language_attention(network)
    keys = len(layers) * tokens * text["key_heads"] * text["head_dim"] * size
    queries = len(layers) * asked * text["heads"] * text["head_dim"] * size
    eyes = _eyes(network)
    patches = image_tokens * eyes["merge"] ** 2
    rows = len(family.vision_attention(network)) * patches * eyes["width"] * 2 * size if vision else 0
    if family.picture_tokens is not None:  # a resampler's queries and keys are always kept, for they place the cells
        rows += (image_tokens + patches) * text["width"] * size
    return Estimate(
        weights=_weigh(network, size, bits, whole),
        cache=2 * keys + _states(network.config, size),
        work=max(_looking(patches, eyes, size), _reading(tokens, text, size))
        + _unpacking(few_bits(network, bits, whole), bits, tokens),
        capture=queries + rows,
        parameters=sum(weight.numel() for weight in network.parameters()),
        dtype=str(dtype).removeprefix("torch."),
        bits=bits,
        image_tokens=image_tokens,
    )


def size_text(count: float) -> str:
    """Bytes for people: "17.2 GB" or "45 MB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _weigh(network: nn.Module, size: int, bits: int | None, whole: Sequence[str] | None) -> int:
    """Bytes of all weights and buffers; a weight that two modules share counts once."""
    total = sum(tensor.numel() for tensor in network.parameters()) * size
    total += sum(tensor.numel() * tensor.element_size() for tensor in network.buffers())
    for module in few_bits(network, bits, whole):
        numbers = module.weight.numel()
        # A scale of four bytes per row with 8 bits, per block of numbers with 4.
        scales = 4 * (module.out_features if bits == 8 else numbers // BLOCK)
        total += numbers * bits // 8 + scales - numbers * size
    return total


def _text(config: Any) -> dict[str, int]:
    """Sizes of the language model under one set of names."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    experts = getattr(text, "num_experts_per_tok", None)
    wide = getattr(text, "intermediate_size", None) or 0
    if experts:
        wide = max(wide, experts * text.moe_intermediate_size)
    return {
        "width": text.hidden_size,
        "heads": heads,
        "key_heads": getattr(text, "num_key_value_heads", None) or heads,
        "head_dim": getattr(text, "head_dim", None) or text.hidden_size // heads,
        "mlp": wide or 4 * text.hidden_size,
        "vocabulary": text.vocab_size,
    }


def _eyes(network: PreTrainedModel) -> dict[str, int]:
    """Sizes of the vision tower under one set of names, of all generations."""
    config = getattr(network.config, "vision_config", None) or getattr(network.config, "visual", None)

    def value(*names: str, otherwise: float) -> int:
        found = (config.get(n) if isinstance(config, Mapping) else getattr(config, n, None) for n in names)
        return int(next((number for number in found if isinstance(number, (int, float)) and number), otherwise))

    width = value("embed_dim", "width", "hidden_size", otherwise=1280)
    patch = value("patch_size", otherwise=14)
    return {
        "width": width,
        "mlp": value("intermediate_size", otherwise=width * value("mlp_ratio", otherwise=4)),
        # The first generation's resampler makes a quarter as many tokens of its patches, too.
        "merge": value("spatial_merge_size", otherwise=2),
        "patch": 3 * value("temporal_patch_size", otherwise=1) * patch**2,
    }


def _looking(patches: int, eyes: Mapping[str, int], size: int) -> int:
    """Passing values of the vision tower: pixels, and the wider of a block's two halves."""
    pixels = patches * eyes["patch"] * 4 * 2  # as float32, once more while they are put in order
    attention = 6 * eyes["width"] * size + 4 * eyes["width"] * 4  # queries and keys are rotated in float32
    mlp = (2 * eyes["width"] + 2 * eyes["mlp"]) * size
    return pixels + patches * max(attention, mlp)


def _reading(tokens: int, text: Mapping[str, int], size: int) -> int:
    """Passing values of the language model while it reads the prompt, and the odds of one step."""
    attention = 4 * text["width"] + 3 * text["heads"] * text["head_dim"]
    mlp = 3 * text["width"] + 3 * text["mlp"]
    return tokens * max(attention, mlp) * size + 3 * text["vocabulary"] * 4


def _unpacking(matrices: Sequence[nn.Linear], bits: int | None, tokens: int) -> int:
    """What bitsandbytes passes through on a CPU: with 4 bits a matrix is reordered at its first use, by way of int32
    and two of uint8; with 8 bits products are int32, then twice float32."""
    if bits == 8:
        return tokens * 12 * max((one.out_features for one in matrices), default=0)
    return 6 * max((one.weight.numel() for one in matrices), default=0)


def _states(config: Any, size: int) -> int:
    """What layers of linear attention keep in place of keys: of one size, however long the text."""
    text = config.get_text_config()
    linear = sum(kind == "linear_attention" for kind in getattr(text, "layer_types", None) or ())
    if not linear:
        return 0
    keys, values = text.linear_num_key_heads, text.linear_num_value_heads
    channels = 2 * keys * text.linear_key_head_dim + values * text.linear_value_head_dim
    matrix = values * text.linear_key_head_dim * text.linear_value_head_dim
    return linear * (matrix * 4 + channels * text.linear_conv_kernel_dim * size)
