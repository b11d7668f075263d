"""How do the two runs differ over the layers and heads? Charts; a click on one asks the viewer to go there.

The correct run is blue-green and drawn with round points, the failing one orange with square points, everywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from qwenvl_debug.compare.figures import DISTANCE, SHARE

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison

CORRECT, FAILING, DIFFERENCE = "#0f8a99", "#d9620f", "#7b6fd0"
"""Okabe-Ito-like hues that stay apart with every kind of colour blindness, and readable on light and dark."""

LAYER_CLICK = "layer"
CELL_CLICK = "cell"
# Each click toggles its place in the selection, so that a second click on one place is noticed too: the viewer may have
# moved on in between. `clicked` tells which place it was; the selection itself is shown nowhere.

_HEIGHTS = {"image share": 150, "entropy": 112, "map distance": 150}
"""Pixels, axes and legend included."""


def layer_chart(comparison: Comparison, measure: str) -> alt.LayerChart:
    """One measure over the layers, both sides (or their difference); a click chooses the nearest layer.

    Args:
        comparison: what is compared.
        measure: "image share", "entropy" or "map distance", each of the mean over heads.
    """
    table, title, sides = _layers(comparison, measure)
    last = measure == "map distance"
    x = alt.X(
        "layer:Q",
        title="layer" if last else None,
        axis=alt.Axis(tickMinStep=1, format="d", grid=False, titlePadding=4),
        scale=alt.Scale(nice=False),
    )
    share = measure == "image share"
    y = alt.Y(
        "value:Q",
        title=title,
        scale=alt.Scale(domain=[0, 1]) if measure == "entropy" else alt.Scale(domainMin=0, nice=True),
        axis=alt.Axis(format=".0%" if share else ".2~f", tickCount=3, minExtent=30, titlePadding=6),
    )
    names = list(sides)
    legend = alt.Legend(title=None, orient="top", offset=0) if share else None
    colour = alt.Color("side:N", scale=alt.Scale(domain=names, range=list(sides.values())), legend=legend)
    shapes = ["circle", "square"][: len(sides)]
    shape = alt.Shape("side:N", scale=alt.Scale(domain=names, range=shapes), legend=legend)
    tips = [
        alt.Tooltip("layer:Q", format="d"),
        *[alt.Tooltip(f"{side}:Q", format=".1%" if share else ".3f") for side in sides],
    ]
    click = alt.selection_point(
        name=LAYER_CLICK, fields=["layer"], nearest=True, on="click", toggle="true", clear=False, empty=False
    )
    hover = alt.selection_point(fields=["layer"], nearest=True, on="pointerover", clear="pointerout", empty=False)
    base = alt.Chart(table)
    wide = table.pivot(index="layer", columns="side", values="value").reset_index()
    rule = (
        alt.Chart(wide)
        .mark_rule(strokeWidth=10)
        .encode(x=x, tooltip=tips, opacity=alt.when(hover).then(alt.value(0.16)).otherwise(alt.value(0)))
        .add_params(click, hover)
    )
    line = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    points = base.mark_point(filled=True, size=36, opacity=1).encode(x=x, y=y, color=colour, shape=shape)
    return alt.layer(line, points, rule).properties(height=_HEIGHTS[measure])


def head_figure(comparison: Comparison) -> tuple[str, np.ndarray]:
    """What the heads are told apart by: the map distance, or without one how far their image shares lie apart.

    Returns:
        Its name, and float32 [layers, heads + 1], the mean of the heads last; NaN without a map.
    """
    if comparison.pieces is not None:
        return "map distance", comparison.figures.values[DISTANCE]
    return "image share", comparison.figures.values[SHARE]


def head_chart(comparison: Comparison) -> alt.LayerChart:
    """How far apart every layer and head is, the mean of the heads on top; a click chooses a layer and a head."""
    name, figure = head_figure(comparison)
    layers, heads = comparison.divergence.shape
    values = np.roll(figure, 1, axis=1)
    title = name if name == "map distance" else f"{name}, apart"
    names = ["mean", *map(str, range(heads))]
    table = pd.DataFrame(
        {
            "layer": np.repeat(np.arange(layers), heads + 1),
            "head": np.tile(np.arange(-1, heads), layers),
            "name": names * layers,
            name: values.ravel().astype(float),
        }
    )
    click = alt.selection_point(
        name=CELL_CLICK, fields=["layer", "head"], on="click", toggle="true", clear=False, empty=False
    )
    hover = alt.selection_point(fields=["layer", "head"], on="pointerover", clear="pointerout", empty=False)
    top = max(float(np.nanmax(values)) if np.isfinite(values).any() else 0.0, 0.05)
    return (
        alt.Chart(table)
        .mark_rect(cursor="pointer")
        .encode(
            x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("name:O", title="head", sort=names, axis=alt.Axis(labelOverlap=True)),
            color=alt.Color(
                f"{name}:Q",
                scale=alt.Scale(scheme="viridis", domain=[0, top]),
                legend=alt.Legend(title=title, orient="right", gradientLength=240, format=".2~f"),
            ),
            stroke=alt.when(hover).then(alt.value(FAILING)).otherwise(alt.value(None)),
            strokeWidth=alt.value(3),
            tooltip=[
                alt.Tooltip("layer:O"),
                alt.Tooltip("name:O", title="head"),
                alt.Tooltip(f"{name}:Q", title=title, format=".3f"),
            ],
        )
        .add_params(click, hover)
        .properties(height=sum(_HEIGHTS.values()))
    )


def clicked(before: set[tuple], points: list[dict]) -> tuple[set[tuple], tuple[int, int | None] | None]:
    """Which place of a chart was clicked, from the places that were toggled on before and now.

    Args:
        before: what this function returned first the last time, at first an empty set.
        points: the chart's selection, one {layer} or {layer, head} for each place toggled on.

    Returns:
        The places toggled on now, and (layer, head) of the click, head None on a chart of layers; None where it
        was no single click.
    """
    now = {(point["layer"], point.get("head")) for point in points if "layer" in point}
    changed = before ^ now
    if len(changed) != 1:
        return now, None
    layer, head = changed.pop()
    return now, (int(layer), None if head is None else int(head))


def describe(comparison: Comparison, measure: str) -> str:
    """What a chart shows, in words, for someone who cannot see it."""
    if measure == "heads":
        name, figure = head_figure(comparison)
        values = figure[:, :-1]
        if np.isnan(values).all():
            return f"Heatmap of the {name} of every layer and head; no layer has a map on both sides."
        layer, head = np.unravel_index(np.nanargmax(values), values.shape)
        return (
            f"Heatmap of how far the two runs lie apart in {name}, for every layer and head. "
            f"Highest at layer {layer}, head {head}: {values[layer, head]:.2f}."
        )
    table, _, sides = _layers(comparison, measure)
    parts = []
    for side in sides:
        values = table.loc[table["side"] == side].dropna()
        if len(values):
            top = values.loc[values["value"].idxmax()]
            parts.append(
                f"{side} from {values['value'].min():.2f} to {top['value']:.2f}, highest at layer {top['layer']}"
            )
    return f"Line chart of {measure} over the layers: {'; '.join(parts) or 'no values'}."


def _layers(comparison: Comparison, measure: str) -> tuple[pd.DataFrame, str, dict[str, str]]:
    """Long table (layer, side, value) of a measure, its axis title, and the colour of each side."""
    table = comparison.layers()
    columns, title = {
        "image share": ({"correct": "left", "failing": "right"}, "image share"),
        "entropy": ({"correct": "left_entropy", "failing": "right_entropy"}, "entropy"),
        "map distance": ({"map distance": "difference"}, "map distance"),
    }[measure]
    colours = {"correct": CORRECT, "failing": FAILING, "map distance": DIFFERENCE}
    long = pd.concat(
        [
            pd.DataFrame({"layer": table["layer"], "side": side, "value": table[name].astype(float)})
            for side, name in columns.items()
        ],
        ignore_index=True,
    ).dropna()  # layers without a map are passed over by the curve, not drawn as gaps or zeros
    return long, title, {side: colours[side] for side in columns}
