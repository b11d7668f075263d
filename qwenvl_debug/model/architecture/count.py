"""How many weights does each part have? Counted on the network itself, which may hold no numbers (the meta device).

Every weight belongs to exactly one component, found by its name; what no rule knows is counted as "other", so that the
total is always the sum of the parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from torch import nn

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (key, re.compile(pattern))
    for key, pattern in (
        ("connector.resampler", r"visual\.attn_pool\."),
        ("connector.deepstack", r"visual\.deepstack_merger_list\."),
        ("connector.merger", r"visual\.merger\."),
        ("vision.patches", r"visual\.(patch_embed|conv1)\."),
        ("vision.positions", r"visual\.(pos_embed\.|positional_embedding$)"),
        ("connector.projection", r"visual\.(ln_post\.|proj$)"),
        ("vision.attention", r"visual\..*\.attn\."),
        ("vision.mlp", r"visual\..*\.mlp\."),
        ("vision.norms", r"visual\..*(norm|ln_)"),
        ("language.embedding", r"\b(embed_tokens|wte)\."),
        ("language.head", r"\blm_head\."),
        ("language.linear", r"\.linear_attn\."),
        ("language.attention", r"\.(self_attn|attn)\."),
        ("language.experts", r"\.mlp\.experts\."),
        ("language.shared_expert", r"\.mlp\.shared_expert"),
        ("language.router", r"\.mlp\.gate\."),
        ("language.mlp", r"\.mlp\."),
        ("language.norms", r"(norm|ln_)"),
    )
)
"""Component and what the names of its weights look like; the first that fits counts."""

OTHER = "language.other"
_LAYER = re.compile(r"\b(?:blocks|resblocks|layers|h|deepstack_merger_list)\.(\d+)\.")


@dataclass
class Tally:
    """What was found of one component.

    Attributes:
        parameters: its weights.
        layers: the layers that have it; empty where it exists once.
        shapes: from a weight's name within its layer to its shape (of the first layer that has it).
    """

    parameters: int = 0
    layers: set[int] = field(default_factory=set)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def has(self, *endings: str) -> bool:
        """Whether one of its weights has a name that ends so."""
        return any(name.endswith(endings) for name in self.shapes)


def count(network: nn.Module) -> dict[str, Tally]:
    """The weights of each component; a weight that stands in two places is counted once, at the first."""
    found: dict[str, Tally] = {}
    for name, weight in network.named_parameters():
        tally = found.setdefault(component_of(name), Tally())
        tally.parameters += weight.numel()
        layer = _LAYER.search(name)
        if layer:
            tally.layers.add(int(layer[1]))
        tally.shapes.setdefault(name[layer.end() :] if layer else name, tuple(weight.shape))
    return found


def component_of(name: str) -> str:
    """The component that a weight of this name belongs to."""
    return next((key for key, pattern in _RULES if pattern.search(name)), OTHER)
