"""How much attention fell into a region over layers and heads? A curve beside chance, and heatmaps to click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from qwenvl_debug.ui.charts import CELL_CLICK, CORRECT, FAILING, LAYER_CLICK
from qwenvl_debug.ui.region_scores import MEAN, SIDES

if TYPE_CHECKING:
    from qwenvl_debug.ui.region_scores import RegionScores, Shown

HEIGHT = 300
"""Pixels, axes and legend included."""

COLOURS = {"correct": CORRECT, "failing": FAILING}
CHOSEN = "#7b6fd0"
NUMBERS = {"mass": (".0%", ".1%", "+.1%"), "lift": (".1~f", ".2f", "+.2f")}
"""How axes, values and differences are written."""


def layer_chart(scores: RegionScores, name: str, shown: Shown, layer: int) -> alt.LayerChart:
    """Mass or lift of the mean map over the layers, each side's chance dashed; a click chooses the nearest layer.

    Args:
        scores: both sides'.
        name: the region.
        shown: "mass" or "lift".
        layer: the chosen one, marked by a line.
    """
    table = scores.layer_table(name, shown)
    sides = [side for side in SIDES if side in set(table["side"])]
    axis, value, _ = NUMBERS[shown]
    x = alt.X(
        "layer:Q", axis=alt.Axis(tickMinStep=1, format="d", grid=False, titlePadding=4), scale=alt.Scale(nice=False)
    )
    y = alt.Y("value:Q", title=shown, scale=alt.Scale(domainMin=0, nice=True), axis=alt.Axis(format=axis, tickCount=4))
    colour = alt.Color(
        "side:N",
        scale=alt.Scale(domain=sides, range=[COLOURS[side] for side in sides]),
        legend=alt.Legend(title=None, orient="top", offset=0),
    )
    shape = alt.Shape("side:N", scale=alt.Scale(domain=sides, range=["circle", "square"][: len(sides)]), legend=None)
    wide = table.pivot(index="layer", columns="side", values="value").reset_index()
    for side in sides:
        wide[f"chance, {side}"] = table.loc[table["side"] == side, "chance"].iloc[0]
    tips = [alt.Tooltip("layer:Q", format="d")]
    tips += [alt.Tooltip(f"{column}:Q", format=value) for side in sides for column in (side, f"chance, {side}")]
    click = alt.selection_point(
        name=LAYER_CLICK, fields=["layer"], nearest=True, on="click", toggle="true", clear=False, empty=False
    )
    hover = alt.selection_point(fields=["layer"], nearest=True, on="pointerover", clear="pointerout", empty=False)
    base, known = alt.Chart(table), alt.Chart(table.dropna(subset=["value"]))  # curves pass over layers without a map
    here = (
        alt.Chart(pd.DataFrame({"layer": [layer]}))
        .mark_rule(strokeWidth=2, color=CHOSEN, opacity=0.7)
        .encode(x=alt.X("layer:Q"))
    )
    chance = base.mark_line(strokeDash=[5, 4], strokeWidth=1.5, opacity=0.8).encode(
        x=x, y=alt.Y("chance:Q"), color=colour
    )
    line = known.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    points = known.mark_point(filled=True, size=36, opacity=1).encode(x=x, y=y, color=colour, shape=shape)
    rule = (
        alt.Chart(wide)
        .mark_rule(strokeWidth=10)
        .encode(x=x, tooltip=tips, opacity=alt.when(hover).then(alt.value(0.16)).otherwise(alt.value(0)))
        .add_params(click, hover)
    )
    return alt.layer(here, line, chance, points, rule).properties(height=HEIGHT)


def head_maps(scores: RegionScores, name: str) -> tuple[str, ...]:
    """Which heatmaps there are of a region: one a side, and the difference of the two."""
    sides = tuple(SIDES[number] for number in scores.drawn_on(name))
    return sides if scores.difference(name) is None else (*sides, "difference")


def head_chart(
    scores: RegionScores, name: str, which: str, shown: Shown, place: tuple[int, int], dark: bool = False
) -> alt.LayerChart:
    """Mass or lift of every layer and head of one side, or the difference; a click chooses a layer and a head.

    Both sides have one colour scale, so that the same colour means the same value.

    Args:
        scores: both sides'.
        name: the region.
        which: one of `head_maps`.
        shown: "mass" or "lift".
        place: the chosen layer and head (-1 the mean), outlined.
        dark: whether the page is.
    """
    values = _head_values(scores, name, which, shown)
    layers, heads = values.shape
    names = ["mean", *map(str, range(heads - 1))]
    table = pd.DataFrame(
        {
            "layer": np.repeat(np.arange(layers), heads),
            "head": np.tile(np.arange(-1, heads - 1), layers),
            "name": names * layers,
            "value": np.roll(values, 1, axis=1).ravel(),
        }
    )
    axis, value, signed = NUMBERS[shown]
    if which == "difference":
        top = _highest(values)
        middle = "#22282c" if dark else "#f1f2f1"
        scale = alt.Scale(domain=[-top, 0, top], range=[FAILING, middle, CORRECT], interpolate="rgb")
    else:
        top = max(_highest(_head_values(scores, name, side, shown)) for side in head_maps(scores, name)[:2])
        scale = alt.Scale(scheme="viridis", domain=[0, top])
    click = alt.selection_point(
        name=CELL_CLICK, fields=["layer", "head"], on="click", toggle="true", clear=False, empty=False
    )
    hover = alt.selection_point(fields=["layer", "head"], on="pointerover", clear="pointerout", empty=False)
    x = alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, labelOverlap=True))
    y = alt.Y("name:O", title="head", sort=names, axis=alt.Axis(labelOverlap=True))
    cells = (
        alt.Chart(table)
        .mark_rect(cursor="pointer")
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "value:Q",
                scale=scale,
                legend=alt.Legend(
                    title=None, orient="bottom", gradientLength=180, gradientThickness=10, format=axis, tickCount=3
                ),
            ),
            stroke=alt.when(hover).then(alt.value(CHOSEN)).otherwise(alt.value(None)),
            strokeWidth=alt.value(3),
            tooltip=[
                alt.Tooltip("layer:O"),
                alt.Tooltip("name:O", title="head"),
                alt.Tooltip("value:Q", title=which, format=signed if which == "difference" else value),
            ],
        )
        .add_params(click, hover)
    )
    chosen = pd.DataFrame({"layer": [place[0]], "name": ["mean" if place[1] == MEAN else str(place[1])]})
    outline = (
        alt.Chart(chosen)
        .mark_rect(filled=False, stroke="#ffffff" if dark else "#1b1f24", strokeWidth=2, tooltip=None)
        .encode(x=x, y=y)
    )
    return alt.layer(cells, outline).properties(height=HEIGHT)


def describe(scores: RegionScores, name: str, chart: str, shown: Shown = "mass") -> str:
    """What a chart shows, in words, for someone who cannot see it.

    Args:
        scores: both sides'.
        name: the region.
        chart: "layers", or one of `head_maps`.
        shown: "mass" or "lift".
    """
    _, value, signed = NUMBERS[shown]
    if chart != "layers":
        values = _head_values(scores, name, chart, shown)[:, :-1]
        if not np.isfinite(values).any():
            return f"Heatmap of the {chart} in {shown} for {name}; no layer has a score."
        layer, head = np.unravel_index(np.nanargmax(np.abs(values)), values.shape)
        what = f"the difference in {shown}" if chart == "difference" else f"{shown} in the {chart} run"
        number = format(values[layer, head], signed if chart == "difference" else value)
        return f"Heatmap of {what} on {name}, layers by heads. Largest at layer {layer}, head {head}: {number}."
    parts = []
    for side, part in scores.layer_table(name, shown).groupby("side"):
        known = part.dropna(subset=["value"])
        if len(known):
            top = known.loc[known["value"].idxmax()]
            parts.append(f"{side} highest at layer {top.layer:.0f}: {top.value:{value}}, chance {top.chance:{value}}")
    return f"{shown.capitalize()} on {name} over the layers; " + ("; ".join(parts) or "no layer has a score") + "."


def _head_values(scores: RegionScores, name: str, which: str, shown: Shown) -> np.ndarray:
    """float64 [layers, heads + 1], the mean of the heads last."""
    if which == "difference":
        return scores.difference(name, shown)
    return scores.sides[SIDES.index(which)].values(name, shown)


def _highest(values: np.ndarray) -> float:
    """The largest size of a value, for a scale that has to end somewhere; at least 0.02."""
    return max(float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0, 0.02)
