"""Which kind of token does each layer read, and does one case stand out of a group? The charts of the Explore page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from qwenvl_debug.maps import RowShares

KIND_COLOURS = {
    "picture": "#5b7fb5",
    "sinks": "#a9c2e3",
    "question": "#b0709b",
    "earlier": "#d3a8c6",
    "system": "#8c6d5a",
    "template": "#a3aab0",
    "thought": "#e6d29a",
    "answer": "#d3a52f",
}
"""By kind of token. Not the colours of the two sides, for here both sides have every colour."""

HEIGHT = 250
"""Pixels, axes included."""


def kinds_chart(shares: RowShares, head: int, legend: bool) -> alt.Chart:
    """Each layer's attention by the kind of token it goes to, one bar a layer, all kinds on top of each other.

    Args:
        shares: of one side.
        head: counted from 0; -1 is the mean of the heads.
        legend: whether to name the colours here.
    """
    table = kinds_table(shares, head)
    kinds = [kind for kind in shares.kinds if (table.loc[table["kind"] == kind, "share"] > 0).any()]
    layers = shares.values.shape[0]
    return (
        alt.Chart(table)
        .mark_bar(width={"band": 1})
        .encode(
            x=alt.X(
                "layer:O",
                scale=alt.Scale(domain=list(range(layers))),
                axis=alt.Axis(labelAngle=0, labelOverlap=True, titlePadding=4),
            ),
            y=alt.Y(
                "share:Q",
                title=None,
                stack="zero",
                scale=alt.Scale(domain=[0, 1], nice=False),
                axis=alt.Axis(format=".0%", tickCount=4, minExtent=34),
            ),
            color=alt.Color(
                "kind:N",
                scale=alt.Scale(domain=kinds, range=[colour_of(kind) for kind in kinds]),
                legend=alt.Legend(title=None, orient="top", offset=4) if legend else None,
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("layer:O"),
                alt.Tooltip("kind:N", title="goes to"),
                alt.Tooltip("share:Q", format=".1%"),
            ],
        )
        .properties(height=HEIGHT)
    )


def kinds_table(shares: RowShares, head: int = -1) -> pd.DataFrame:
    """Long table: layer, kind, share (0..1), order of the kinds; layers without a map are left out."""
    values = shares.values.mean(axis=1) if head < 0 else shares.values[:, head]
    layers, kinds = values.shape
    table = pd.DataFrame(
        {
            "layer": np.repeat(np.arange(layers), kinds),
            "kind": list(shares.kinds) * layers,
            "share": values.ravel().astype(float),
            "order": np.tile(np.arange(kinds), layers),
        }
    )
    return table.dropna()


def describe_kinds(shares: RowShares, head: int, side: str) -> str:
    """What `kinds_chart` shows, in words, for someone who cannot see it."""
    table = kinds_table(shares, head)
    if table.empty:
        return f"The {side} run has no layer with an attention map."
    most = table.groupby("kind", sort=False)["share"].mean().sort_values(ascending=False)
    return f"Attention of the {side} run by kind of token, mean over the layers: " + ", ".join(
        f"{kind} {share:.0%}" for kind, share in most.items()
    )


def colour_of(kind: str) -> str:
    """The colour of a kind of token."""
    return KIND_COLOURS.get(kind, "#6b7280")
