"""How much attention fell into a region over layers and heads? A curve beside chance, and a heatmap to click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import pandas as pd

from qwenvl_debug.ui.charts import CELL_CLICK, CORRECT, FAILING, LAYER_CLICK
from qwenvl_debug.ui.region_scores import SIDES

if TYPE_CHECKING:
    from qwenvl_debug.ui.region_scores import RegionScores

HEIGHT = 300
"""Pixels, axes and legend included."""

COLOURS = {"correct": CORRECT, "failing": FAILING}


def mass_chart(scores: RegionScores, name: str) -> alt.LayerChart:
    """Mass of the mean map over the layers, each side's chance dashed; a click chooses the nearest layer."""
    table = scores.layer_table(name)
    sides = [side for side in SIDES if side in set(table["side"])]
    x = alt.X(
        "layer:Q",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False, titlePadding=4),
        scale=alt.Scale(nice=False),
    )
    y = alt.Y("mass:Q", title="mass", scale=alt.Scale(domainMin=0, nice=True), axis=alt.Axis(format=".0%", tickCount=4))
    range_ = [COLOURS[side] for side in sides]
    colour = alt.Color(
        "side:N", scale=alt.Scale(domain=sides, range=range_), legend=alt.Legend(title=None, orient="top", offset=0)
    )
    shape = alt.Shape("side:N", scale=alt.Scale(domain=sides, range=["circle", "square"][: len(sides)]), legend=None)
    wide = table.pivot(index="layer", columns="side", values="mass").reset_index()
    for side in sides:
        wide[f"chance, {side}"] = table.loc[table["side"] == side, "chance"].iloc[0]
    tips = [alt.Tooltip("layer:Q", format="d")]
    tips += [alt.Tooltip(f"{column}:Q", format=".1%") for side in sides for column in (side, f"chance, {side}")]
    click = alt.selection_point(
        name=LAYER_CLICK, fields=["layer"], nearest=True, on="click", toggle="true", clear=False, empty=False
    )
    hover = alt.selection_point(fields=["layer"], nearest=True, on="pointerover", clear="pointerout", empty=False)
    base = alt.Chart(table)
    chance = base.mark_line(strokeDash=[5, 4], strokeWidth=1.5, opacity=0.8).encode(
        x=x, y=alt.Y("chance:Q"), color=colour
    )
    line = base.mark_line(strokeWidth=2).encode(x=x, y=y, color=colour)
    points = base.mark_point(filled=True, size=36, opacity=1).encode(x=x, y=y, color=colour, shape=shape)
    rule = (
        alt.Chart(wide)
        .mark_rule(strokeWidth=10)
        .encode(x=x, tooltip=tips, opacity=alt.when(hover).then(alt.value(0.16)).otherwise(alt.value(0)))
        .add_params(click, hover)
    )
    return alt.layer(line, chance, points, rule).properties(height=HEIGHT)


def head_chart(scores: RegionScores, name: str, dark: bool = False) -> alt.Chart:
    """Difference in mass of every layer and head (mass itself, of a region on one side); a click chooses one."""
    difference = scores.difference(name)
    values = scores.sides[scores.drawn_on(name)[0]].mass[name] if difference is None else difference
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
    top = max(float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0, 0.02)
    middle = "#22282c" if dark else "#f1f2f1"
    scale, title = (
        (alt.Scale(scheme="viridis", domain=[0, top]), "mass")
        if difference is None
        else (alt.Scale(domain=[-top, 0, top], range=[FAILING, middle, CORRECT], interpolate="rgb"), "more in correct")
    )
    click = alt.selection_point(
        name=CELL_CLICK, fields=["layer", "head"], on="click", toggle="true", clear=False, empty=False
    )
    hover = alt.selection_point(fields=["layer", "head"], on="pointerover", clear="pointerout", empty=False)
    return (
        alt.Chart(table)
        .mark_rect(cursor="pointer")
        .encode(
            x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            y=alt.Y("name:O", title="head", sort=names, axis=alt.Axis(labelOverlap=True)),
            color=alt.Color(
                "value:Q", scale=scale, legend=alt.Legend(title=title, orient="right", gradientLength=180, format=".0%")
            ),
            stroke=alt.when(hover).then(alt.value("#7b6fd0")).otherwise(alt.value(None)),
            strokeWidth=alt.value(3),
            tooltip=[
                alt.Tooltip("layer:O"),
                alt.Tooltip("name:O", title="head"),
                alt.Tooltip("value:Q", title="mass" if difference is None else "difference in mass", format="+.1%"),
            ],
        )
        .add_params(click, hover)
        .properties(height=HEIGHT)
    )


def describe(scores: RegionScores, name: str, chart: str) -> str:
    """What a chart shows, in words, for someone who cannot see it."""
    if chart == "heads":
        table = scores.head_table(name)
        best, column = table.iloc[0], table.columns[-1]
        if np.isnan(best[column]):
            return f"Heatmap of layers and heads for {name}; no layer has a score."
        return (
            f"Heatmap of layers and heads for {name}. Largest {column} at layer {best.layer:.0f}, head "
            f"{best['head']:.0f}: {best[column]:+.1%}."
        )
    parts = []
    for side, part in scores.layer_table(name).groupby("side"):
        known = part.dropna(subset=["mass"])
        if len(known):
            top = known.loc[known["mass"].idxmax()]
            parts.append(f"{side} highest at layer {top.layer:.0f}: {top.mass:.0%}, chance {top.chance:.0%}")
    return f"Mass on {name} over the layers; " + ("; ".join(parts) or "no layer has a score") + "."
