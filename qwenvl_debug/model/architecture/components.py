"""What does each component do, in a few words? From the counted weights and the figures of the configuration.

Nothing is said that the network does not show: a bias, a norm or a gate is named because its weights are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from qwenvl_debug.model.architecture.count import Tally
from qwenvl_debug.model.architecture.description import Component, Part, numbered
from qwenvl_debug.model.architecture.figures import LanguageFigures, VisionFigures


def components(
    found: Mapping[str, Tally], vision: VisionFigures, language: LanguageFigures, tied: bool
) -> tuple[Component, ...]:
    """Every component that was counted, in the order of the flow; a tied output head as well, with no weights."""
    made = []
    for key, (name, words) in _ALL.items():
        tally = found.get(key)
        if tally is None:
            if not (tied and key == "language.head"):
                continue
            tally = Tally()
        part: Part = key.split(".")[0]  # type: ignore[assignment]
        heads, kv_heads, head_width = _heads(key, vision, language)
        made.append(
            Component(
                key=key,
                part=part,
                name=name,
                technique=words(tally, vision, language),
                layers=len(tally.layers) or None,
                heads=heads,
                kv_heads=kv_heads,
                head_width=head_width,
                width=_width(key, vision, language),
                parameters=tally.parameters,
            )
        )
    return tuple(made)


def _patches(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    size = f"{vision.patch} x {vision.patch} pixels"
    if vision.frames > 1:
        size += f" of {vision.frames} frames (a still picture is doubled)"
    return f"one linear map per patch of {size}{_bias(tally)}"


def _positions(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    side = vision.learned_grid
    return f"a learned grid of {side} x {side}, stretched to the picture's patches and added"


def _vision_attention(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    where = "full"
    if vision.window is not None:
        where = f"in windows of {vision.window} x {vision.window} pixels"
        if vision.full_blocks:
            where += f"; full in {numbered('block', vision.full_blocks)}"
    turned = ", rotary positions in two dimensions (row and column)" if vision.rotary else ""
    return f"multi-head (MHA), {where}{turned}"


def _feed_forward(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    inner = next((shape[0] for name, shape in tally.shapes.items() if len(shape) == 2 and "weight" in name), None)
    gated = tally.has("gate_proj.weight", "w1.weight")
    words = "gated (SwiGLU)" if gated else "two linear maps with a GELU between"
    return f"{words}, {inner:,} wide inside" if inner else words


def _norms(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return "LayerNorm" if tally.has("bias") else "RMSNorm"


def _merger(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    side = vision.merge
    return f"{side} x {side} neighbouring patches become one token: joined, then two linear maps with a GELU between"


def _deepstack(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    blocks, layers = numbered("block", vision.deepstack), numbered("layer", range(len(vision.deepstack)))
    return f"features of vision {blocks} are merged alike and added after language {layers}"


def _resampler(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return f"one cross-attention: {vision.queries} learned queries read all patches and become the picture's tokens"


def _projection(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return "LayerNorm, then one linear map to the width of the language decoder"


def _embedding(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return f"one vector for each of {language.vocabulary:,} tokens"


def _language_attention(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    queries, keys = language.heads, language.kv_heads
    words = ["multi-head (MHA)" if queries == keys else f"grouped queries (GQA): {queries // keys} share a key head"]
    if tally.has("q_proj.bias", "c_attn.bias"):
        words.append("bias on queries, keys and values")
    if tally.has("q_norm.weight"):
        words.append("queries and keys normed")
    if tally.shapes.get("self_attn.q_proj.weight", (0,))[0] == 2 * queries * language.head_width:
        words.append("a sigmoid gate on what comes out")
    return ", ".join([*words, language.positions])


def _linear(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return "linear attention: a running state updated by the delta rule, gated; no softmax, so no attention map"


def _experts(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return f"mixture of experts (MoE): {language.experts} feed-forwards per layer, {language.chosen} used for a token"


def _shared_expert(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return "one more feed-forward per layer that every token goes through, behind a gate"


def _router(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return f"chooses {language.chosen} of {language.experts} experts for each token"


def _head(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    if not tally.parameters:
        return "uses the word embedding's weights (tied), which are counted there"
    return f"a score for each of {language.vocabulary:,} tokens; weights of its own"


def _other(tally: Tally, vision: VisionFigures, language: LanguageFigures) -> str:
    return "weights of parts that this debugger has no name for"


_ALL: dict[str, tuple[str, Callable[[Tally, VisionFigures, LanguageFigures], str]]] = {
    "vision.patches": ("Patch embedding", _patches),
    "vision.positions": ("Learned positions", _positions),
    "vision.attention": ("Self-attention", _vision_attention),
    "vision.mlp": ("Feed-forward", _feed_forward),
    "vision.norms": ("Norms", _norms),
    "connector.merger": ("Merger", _merger),
    "connector.deepstack": ("Deepstack mergers", _deepstack),
    "connector.resampler": ("Resampler", _resampler),
    "connector.projection": ("Projection", _projection),
    "language.embedding": ("Word embedding", _embedding),
    "language.attention": ("Self-attention", _language_attention),
    "language.linear": ("Gated DeltaNet", _linear),
    "language.mlp": ("Feed-forward", _feed_forward),
    "language.router": ("Router", _router),
    "language.experts": ("Experts", _experts),
    "language.shared_expert": ("Shared expert", _shared_expert),
    "language.norms": ("Norms", _norms),
    "language.head": ("Output head", _head),
    "language.other": ("Other weights", _other),
}
"""Every component in the order of the flow: its name for people, and the words for its technique."""


def _heads(key: str, vision: VisionFigures, language: LanguageFigures) -> tuple[int | None, int | None, int | None]:
    """Query heads, key-and-value heads and width of a head, of components that have heads."""
    if key == "vision.attention":
        return vision.heads, vision.heads, vision.width // vision.heads
    if key == "connector.resampler" and vision.query_heads:
        return vision.query_heads, vision.query_heads, language.width // vision.query_heads
    if key == "language.attention":
        return language.heads, language.kv_heads, language.head_width
    if key == "language.linear" and language.linear_heads:
        keys, values, width = language.linear_heads
        return values, keys, width
    return None, None, None


def _width(key: str, vision: VisionFigures, language: LanguageFigures) -> int | None:
    """Numbers per vector that goes in."""
    if key == "language.other" or key == "vision.patches":
        return None
    if key in ("connector.merger", "connector.deepstack"):
        return vision.width * vision.merge**2
    return vision.width if key.startswith("vision.") or key == "connector.resampler" else language.width


def _bias(tally: Tally) -> str:
    return ", with bias" if tally.has("bias") else ""
