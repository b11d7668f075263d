"""What is a model made of? Plain frozen records of its parts, its attention and its flow, without torch.

`describe` fills them from a loaded model or from a configuration; the page, the command and JSON read them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from qwenvl_debug.model.architecture.budget import PictureRules, TokenBudget

Part = Literal["vision", "connector", "language"]
Kind = Literal[
    "vision full",
    "vision windowed",
    "resampler cross-attention",
    "language full",
    "language indexed",
    "language sliding",
    "language other",
    "linear",
]

PARTS: dict[Part, str] = {
    "vision": "Vision encoder",
    "connector": "Connector",
    "language": "Language decoder",
}
"""The three parts of every Qwen-VL model, in the order a picture goes through them."""

KINDS: dict[Kind, str] = {
    "vision full": "Every patch of a picture looks at every other patch of it.",
    "vision windowed": "A patch looks only at the patches of its own window.",
    "resampler cross-attention": "Learned queries look at all patches; each query becomes one picture token.",
    "language full": "A token looks at itself and at every token before it, those of the pictures included.",
    "language indexed": "A token looks only at the earlier tokens that the layer chooses for it; others get no weight.",
    "language sliding": "A token looks only at the latest tokens; older keys are dropped, so no whole map exists.",
    "language other": "A kind of attention that this debugger does not read, so it shows no map.",
    "linear": "A running summary takes the place of attention: there is no softmax, so no map exists.",
}
"""What each kind of attention means, in one sentence."""


@dataclass(frozen=True)
class Component:
    """One kind of weights, over all layers that have it.

    Attributes:
        key: a name for programs, such as "language.attention".
        part: which of the three parts it belongs to.
        name: its name for people.
        technique: how it works, in a few words.
        layers: how many layers have it; None where it exists once.
        heads, kv_heads, head_width: of an attention: query heads, key-and-value heads, numbers per head.
        width: numbers per vector that goes in.
        parameters: weights, counted; 0 where they are those of another component.
    """

    key: str
    part: Part
    name: str
    technique: str
    layers: int | None
    heads: int | None
    kv_heads: int | None
    head_width: int | None
    width: int | None
    parameters: int


@dataclass(frozen=True)
class AttentionGroup:
    """Attention modules that differ only in their layer.

    Attributes:
        part: where they stand.
        kind: see `KINDS`.
        path: the module's name in the network, with {} for the layer.
        layers: their layers, from 0.
        heads, kv_heads, head_width: query heads, key-and-value heads, numbers per head.
        has_map: whether attention weights exist and this debugger can show them.
    """

    part: Part
    kind: Kind
    path: str
    layers: tuple[int, ...]
    heads: int
    kv_heads: int
    head_width: int
    has_map: bool

    def weights(self, budget: TokenBudget, text_tokens: int) -> tuple[int, ...] | None:
        """Shape of one module's attention weights for one picture.

        Args:
            budget: the picture's patches and tokens.
            text_tokens: tokens of the prompt beside the picture's own.

        Returns:
            (heads, rows that look, columns looked at); (windows, heads, …) of the largest window where a picture is
            cut into windows; None where no weights exist.
        """
        if self.kind == "vision full":
            return self.heads, budget.patches, budget.patches
        if self.kind == "vision windowed":
            return budget.windows, self.heads, budget.window_patches, budget.window_patches
        if self.kind == "resampler cross-attention":
            return self.heads, budget.tokens, budget.patches
        if self.kind in ("language full", "language indexed"):
            tokens = budget.tokens + text_tokens
            return self.heads, tokens, tokens
        return None


@dataclass(frozen=True)
class AttentionModule:
    """One attention module: a line of the list that `Architecture.modules` gives."""

    part: Part
    layer: int | None
    kind: Kind
    name: str
    heads: int
    kv_heads: int
    head_width: int
    weights: tuple[int, ...] | None
    has_map: bool


@dataclass(frozen=True)
class Architecture:
    """A model's architecture.

    Attributes:
        name: what was described.
        family: generation, such as "Qwen2.5-VL".
        model_type: of its configuration.
        origin: where the figures come from: "config" or "loaded model".
        total: all weights; those that two components share are counted once.
        active: weights that one token passes through; less than `total` for a mixture of experts.
        tied: whether the output head uses the word embedding's weights.
        vision_layers, language_layers: how many.
        width: numbers per token in the language decoder.
        vocabulary: tokens the model knows.
        context: most tokens of a sequence; None where the configuration does not say.
        deepstack: blocks of the vision encoder whose features are added to the first language layers.
        components: every kind of weights, in the order of the flow.
        attention: every attention module, grouped.
        rules: how a picture becomes tokens.
    """

    name: str
    family: str
    model_type: str
    origin: str
    total: int
    active: int
    tied: bool
    vision_layers: int
    language_layers: int
    width: int
    vocabulary: int
    context: int | None
    deepstack: tuple[int, ...]
    components: tuple[Component, ...]
    attention: tuple[AttentionGroup, ...]
    rules: PictureRules

    def share(self, component: Component) -> float:
        """A component's part of all weights, 0..1."""
        return component.parameters / self.total

    def part_parameters(self, part: Part) -> int:
        """Weights of one of the three parts."""
        return sum(component.parameters for component in self.components if component.part == part)

    def component(self, key: str) -> Component | None:
        """The component of this key, or None."""
        return next((component for component in self.components if component.key == key), None)

    def modules(self, budget: TokenBudget, text_tokens: int) -> tuple[AttentionModule, ...]:
        """Every attention module, in the order of the flow, with the shape of its weights for a picture.

        Args: as for `AttentionGroup.weights`.
        """
        order = list(PARTS)
        rows = [
            AttentionModule(
                part=group.part,
                layer=None if "{}" not in group.path else layer,
                kind=group.kind,
                name=group.path.format(layer),
                heads=group.heads,
                kv_heads=group.kv_heads,
                head_width=group.head_width,
                weights=group.weights(budget, text_tokens),
                has_map=group.has_map,
            )
            for group in self.attention
            for layer in group.layers
        ]
        return tuple(sorted(rows, key=lambda row: (order.index(row.part), row.layer or 0)))

    def layer_kinds(self, part: Part) -> tuple[Kind, ...]:
        """The kind of attention of each layer of a part, from layer 0."""
        kinds = {layer: group.kind for group in self.attention if group.part == part for layer in group.layers}
        return tuple(kinds[layer] for layer in sorted(kinds))

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Architecture:
        """What `to_dict` wrote."""
        values = dict(record)
        values["deepstack"] = tuple(values["deepstack"])
        values["components"] = tuple(Component(**one) for one in values["components"])
        values["attention"] = tuple(
            AttentionGroup(**{**one, "layers": tuple(one["layers"])}) for one in values["attention"]
        )
        values["rules"] = PictureRules(**values["rules"])
        return cls(**values)


def numbered(noun: str, numbers: Sequence[int]) -> str:
    """Numbers with what they count: "block 7", "layers 0, 1, 2"."""
    return f"{noun}{'s' if len(numbers) != 1 else ''} {', '.join(map(str, numbers))}"
