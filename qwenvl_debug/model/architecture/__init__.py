"""What a model is made of: parts and their weights, every attention module, the way of a picture, exactly counted.

`describe` needs torch and is imported on first use; everything else here, with the shipped descriptions, does not.
"""

from typing import TYPE_CHECKING, Any

from qwenvl_debug.model.architecture.budget import PictureRules, TokenBudget, token_budget
from qwenvl_debug.model.architecture.description import (
    KINDS,
    PARTS,
    Architecture,
    AttentionGroup,
    AttentionModule,
    Component,
    Part,
)
from qwenvl_debug.model.architecture.flow import Block, Edge, Flow, flow
from qwenvl_debug.model.architecture.record import record
from qwenvl_debug.model.architecture.shipped import described, published

if TYPE_CHECKING:
    from qwenvl_debug.model.architecture.discover import describe

__all__ = [
    "KINDS",
    "PARTS",
    "Architecture",
    "AttentionGroup",
    "AttentionModule",
    "Block",
    "Component",
    "Edge",
    "Flow",
    "Part",
    "PictureRules",
    "TokenBudget",
    "describe",
    "described",
    "flow",
    "published",
    "record",
    "token_budget",
]


def __getattr__(name: str) -> Any:
    """Import `describe`, and torch with it, when it is first used."""
    if name != "describe":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = import_module(f"{__name__}.discover").describe
    globals()["describe"] = value
    return value
