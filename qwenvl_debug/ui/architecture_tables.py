"""The figures of an architecture as tables: its parts, its attention modules, two models side by side."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from qwenvl_debug.model.architecture import PARTS, Architecture, TokenBudget
from qwenvl_debug.report.architecture_text import DASH, figures, shape_text


def component_table(architecture: Architecture) -> pd.DataFrame:
    """A row for every component: part, component, weights, share (percent), and its figures; NaN where it has none."""
    rows = [
        {
            "part": PARTS[one.part],
            "component": one.name,
            "weights": one.parameters if one.parameters else None,
            "share": 100 * architecture.share(one) if one.parameters else None,
            "layers": one.layers,
            "heads": one.heads,
            "KV heads": one.kv_heads,
            "head width": one.head_width,
            "width": one.width,
            "technique": one.technique,
        }
        for one in architecture.components
    ]
    whole = ["weights", "layers", "heads", "KV heads", "head width", "width"]
    return pd.DataFrame(rows).astype(dict.fromkeys(whole, "Int64"))


def attention_table(architecture: Architecture, budget: TokenBudget, text_tokens: int) -> pd.DataFrame:
    """A row for every attention module: where, layer, kind, heads, shape of its weights, whether a map exists."""
    rows = [
        {
            "part": PARTS[one.part],
            "layer": one.layer,
            "kind": one.kind,
            "heads": one.heads,
            "KV heads": one.kv_heads,
            "head width": one.head_width,
            "weights": shape_text(one.weights),
            "map": one.has_map,
            "name in the network": one.name,
        }
        for one in architecture.modules(budget, text_tokens)
    ]
    return pd.DataFrame(rows).astype({"layer": "Int64"})


def figure_table(architectures: Sequence[Architecture], budgets: Sequence[TokenBudget]) -> pd.DataFrame:
    """A row for every figure by which two models are compared, a column for each, and whether they differ."""
    names, rows = figures(architectures, budgets)
    if len(set(names)) < len(names):
        names = [f"{name} ({place})" for name, place in zip(names, ("left", "right"), strict=True)]
    table = pd.DataFrame([values for _, values in rows], columns=names)
    table.insert(0, "figure", [name for name, _ in rows])
    table["differs"] = [len(set(values)) > 1 for _, values in rows]
    return table


def budget_rows(architecture: Architecture, budget: TokenBudget, text_tokens: int) -> list[tuple[str, str]]:
    """A picture's way from pixels to tokens, a step and its numbers each."""
    rules = architecture.rules
    side = rules.patch
    if rules.square is not None:
        why = "every picture is stretched to this square"
    elif (budget.width, budget.height) == (budget.resized_width, budget.resized_height):
        why = "as it is"
    else:
        why = "to whole blocks of patches, within the model's limits"
    if rules.queries:
        tokens = f"{budget.tokens:,}, one for each learned query; they are no regions of the picture"
    else:
        tokens = f"{budget.rows:,} x {budget.cols:,} = {budget.tokens:,}, one for {rules.merge} x {rules.merge} patches"
    together = budget.tokens + text_tokens
    most = f" of {architecture.context:,} possible" if architecture.context else ""
    return [
        ("Picture", f"{budget.width:,} x {budget.height:,} pixels"),
        ("Resized", f"{budget.resized_width:,} x {budget.resized_height:,} pixels, {why}"),
        (
            "Patches",
            f"{budget.patch_rows:,} x {budget.patch_cols:,} = {budget.patches:,} of {side} x {side} pixels",
        ),
        ("Tokens", tokens),
        ("With the text", f"{budget.tokens:,} + {text_tokens:,} = {together:,} tokens{most}"),
    ]


def maps_in_words(architecture: Architecture) -> str:
    """How many attention modules have a map, such as "35 of 59"."""
    every = sum(len(group.layers) for group in architecture.attention)
    shown = sum(len(group.layers) for group in architecture.attention if group.has_map)
    return f"{shown} of {every}" if every else DASH
