"""The flow of a model as a drawing: boxes with their weights, arrows with one picture's numbers, a mark per layer.

The component is plain HTML, CSS and JavaScript in the folder `architecture`: no build step, no outside request.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import streamlit as st

from qwenvl_debug.model.architecture import KINDS, Architecture, Part, TokenBudget, flow
from qwenvl_debug.report.text import percent

_FOLDER = files("qwenvl_debug.ui") / "architecture"
_DIAGRAM = st.components.v2.component(
    "qwenvl_debug_architecture",
    html=(_FOLDER / "diagram.html").read_text(encoding="utf-8"),
    css=(_FOLDER / "diagram.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "diagram.js").read_text(encoding="utf-8"),
)
_DEEPSTACK = "A dot: features taken from this vision block, or added after this language layer."


def diagram(architecture: Architecture, budget: TokenBudget, *, key: str) -> None:
    """Draw the flow of a model with one picture on its way through it."""
    _DIAGRAM(data=diagram_data(architecture, budget), key=key)


def diagram_data(architecture: Architecture, budget: TokenBudget) -> dict[str, Any]:
    """Everything the drawing shows, JSON-ready: boxes and arrows by name, a list of layers for each strip."""
    drawn = flow(architecture, budget)
    blocks = {}
    for block in drawn.blocks:
        own = {"title": block.title, "facts": list(block.facts), "plain": block.plain}
        counted = block.parameters or None  # a tied head has none of its own
        share = counted / architecture.total if counted else None
        size = f"{short_count(counted)} · {percent(share)}" if counted else None
        exact = f"{counted:,} weights, {percent(share)} of the model" if counted else None
        blocks[block.key] = own | {"size": size, "exact": exact, "share": share}
    return {
        "alt": f"{architecture.family}: {drawn.in_words()}",
        "blocks": blocks,
        "edges": {f"{edge.source}>{edge.target}": edge.label for edge in drawn.edges},
        "strips": {
            "vision": _strip(architecture, "vision", "block", architecture.deepstack),
            "decoder": _strip(architecture, "language", "layer", range(len(architecture.deepstack))),
        },
        "legend": _legend(architecture),
    }


def short_count(count: int) -> str:
    """A number of weights as people say it: 3.75 B, 632 M, 18 K."""
    for size, unit in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 1000 * size else f"{count / size:,.0f} {unit}"
    return f"{count}"


def _strip(architecture: Architecture, part: Part, noun: str, tapped: Any) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "words": f"{noun} {layer}: {kind}", "tapped": layer in tapped}
        for layer, kind in enumerate(architecture.layer_kinds(part))
    ]


def _legend(architecture: Architecture) -> list[dict[str, str]]:
    lines = []
    for kind in KINDS:
        part = next((group.part for group in architecture.attention if group.kind == kind), None)
        if part in ("vision", "language"):
            lines.append({"part": part, "name": kind, "words": KINDS[kind]})
    if architecture.deepstack:
        lines.append({"part": "connector", "name": "deepstack", "words": _DEEPSTACK})
    return lines
