"""What is given to programs? A model with one picture on its way through it, as one record ready for JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from qwenvl_debug.model.architecture.budget import TokenBudget
from qwenvl_debug.model.architecture.description import Architecture
from qwenvl_debug.model.architecture.flow import flow


def record(architecture: Architecture, budget: TokenBudget, text_tokens: int) -> dict[str, Any]:
    """The architecture, the shares of its components, the picture's tokens, the flow, and every attention module.

    Args:
        architecture: the model.
        budget: the picture.
        text_tokens: tokens of the prompt beside the picture's own.
    """
    made = architecture.to_dict()
    for component, own in zip(architecture.components, made["components"], strict=True):
        own["share"] = architecture.share(component)
    picture = asdict(budget) | {"patches": budget.patches, "text_tokens": text_tokens}
    return made | {
        "picture": picture,
        "flow": flow(architecture, budget).to_dict(),
        "attention_modules": [asdict(module) for module in architecture.modules(budget, text_tokens)],
    }
