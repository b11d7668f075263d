"""Which figures does a configuration give? The two dialects of Qwen-VL's config.json, read into one record.

Later generations keep a `vision_config` and a `text_config` with the names that transformers uses everywhere; the first
one keeps its language figures at the top and a block `visual`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any

from transformers import PreTrainedConfig


@dataclass(frozen=True)
class VisionFigures:
    """Of the vision encoder: see `Architecture` and `PictureRules` for the meaning of each."""

    depth: int
    heads: int
    width: int
    patch: int
    merge: int
    frames: int
    window: int | None
    full_blocks: tuple[int, ...]
    deepstack: tuple[int, ...]
    learned_grid: int | None
    rotary: bool
    square: int | None
    queries: int | None
    query_heads: int | None


@dataclass(frozen=True)
class LanguageFigures:
    """Of the language decoder.

    Attributes:
        kinds: of each layer, the configuration's own word, such as "full_attention".
        positions: how positions enter, in words.
        experts, chosen: experts of a layer and how many a token goes through; 0 where there are none.
        linear_heads: (key heads, value heads, width of a head) of the linear layers; None where there are none.
        context: most tokens of a sequence.
    """

    layers: int
    kinds: tuple[str, ...]
    heads: int
    kv_heads: int
    head_width: int
    width: int
    vocabulary: int
    positions: str
    experts: int
    chosen: int
    linear_heads: tuple[int, int, int] | None
    context: int | None


def figures(config: PreTrainedConfig) -> tuple[VisionFigures, LanguageFigures]:
    """What a configuration says."""
    if getattr(config, "vision_config", None) is None:
        return _first_vision(config), _first_language(config)
    return _vision(config.vision_config), _language(config.get_text_config())


def _vision(config: PreTrainedConfig) -> VisionFigures:
    # Qwen2-VL calls the tower's width embed_dim, and hidden_size what it hands on.
    width = getattr(config, "embed_dim", None) or config.hidden_size
    full = getattr(config, "fullatt_block_indexes", None)
    positions = getattr(config, "num_position_embeddings", None)
    return VisionFigures(
        depth=config.depth,
        heads=config.num_heads,
        width=width,
        patch=config.patch_size,
        merge=config.spatial_merge_size,
        frames=config.temporal_patch_size,
        window=config.window_size if full is not None else None,
        full_blocks=tuple(full) if full is not None else tuple(range(config.depth)),
        deepstack=tuple(getattr(config, "deepstack_visual_indexes", None) or ()),
        learned_grid=isqrt(positions) if positions else None,
        rotary=True,
        square=None,
        queries=None,
        query_heads=None,
    )


def _language(config: PreTrainedConfig) -> LanguageFigures:
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    linear = getattr(config, "linear_num_key_heads", None)
    return LanguageFigures(
        layers=layers,
        kinds=tuple(getattr(config, "layer_types", None) or ("full_attention",) * layers),
        heads=heads,
        kv_heads=config.num_key_value_heads,
        head_width=getattr(config, "head_dim", None) or config.hidden_size // heads,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
        positions=_rope(config),
        experts=getattr(config, "num_experts", None) or 0,
        chosen=getattr(config, "num_experts_per_tok", None) or 0,
        linear_heads=(linear, config.linear_num_value_heads, config.linear_key_head_dim) if linear else None,
        context=getattr(config, "max_position_embeddings", None),
    )


def _rope(config: PreTrainedConfig) -> str:
    rope: dict[str, Any] = dict(getattr(config, "rope_parameters", None) or {})
    if "rope_theta" not in rope:  # one set per kind of layer, of which the full ones matter here
        rope = dict(rope.get("full_attention") or {})
    words = "rotary positions"
    sections = rope.get("mrope_section")
    if sections:
        mixed = "interleaved" if rope.get("mrope_interleaved") else "in blocks"
        words = f"M-RoPE (time, row and column, {mixed}: {' + '.join(map(str, sections))} pairs)"
    if rope.get("partial_rotary_factor", 1) != 1:
        words += f" on {rope['partial_rotary_factor']:.0%} of each head"
    if rope.get("rope_theta"):
        words += f", base {rope['rope_theta']:,.0f}"
    return words


def _first_vision(config: PreTrainedConfig) -> VisionFigures:
    from qwenvl_debug.model.qwen_vl_1.configuration import QUERIES, QUERY_WIDTH

    visual = config.visual
    return VisionFigures(
        depth=visual.layers,
        heads=visual.heads,
        width=visual.width,
        patch=visual.patch_size,
        merge=1,
        frames=1,
        window=None,
        full_blocks=tuple(range(visual.layers)),
        deepstack=(),
        learned_grid=isqrt(QUERIES),
        rotary=False,
        square=visual.image_size,
        queries=QUERIES,
        query_heads=visual.output_dim // QUERY_WIDTH,
    )


def _first_language(config: PreTrainedConfig) -> LanguageFigures:
    words = f"rotary positions in one dimension, base {config.rotary_emb_base:,}"
    if config.use_dynamic_ntk:
        words += f", stretched (dynamic NTK) beyond {config.seq_length:,} tokens"
    if config.use_logn_attn:
        words += ", queries scaled by the logarithm of their position there (logn)"
    return LanguageFigures(
        layers=config.num_hidden_layers,
        kinds=("full_attention",) * config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_attention_heads,
        head_width=config.kv_channels,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
        positions=words,
        experts=0,
        chosen=0,
        linear_heads=None,
        context=config.max_position_embeddings,
    )
