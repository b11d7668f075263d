"""How do the answer's probability and the attention on regions change as a picture gets harder? The sweep's charts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import pandas as pd

if TYPE_CHECKING:
    from qwenvl_debug.compare import Sweep

from qwenvl_debug.ui.charts import CORRECT, FAILING

HEIGHT = 240
"""Pixels, axes included."""
REGION_COLOURS = ("#7b6fd0", "#b8860b", "#4c8c4a", "#c2557a", "#6b7280")
VERDICTS = {True: "answer as expected", False: "another answer", None: "cut in its thoughts"}
TONES = {"answer as expected": CORRECT, "another answer": FAILING, "cut in its thoughts": "#98a1a8"}


def probability_chart(sweep: Sweep) -> alt.LayerChart:
    """Probability of the followed answer at each strength; the colour says what the model answered by itself."""
    table = steps_table(sweep)
    x = _strength(sweep)
    line = (
        alt.Chart(table).mark_line(strokeWidth=2, color="#98a1a8").encode(x=x, y=_share("probability", "probability"))
    )
    kinds = list(dict.fromkeys(table["verdict"]))
    points = (
        alt.Chart(table)
        .mark_point(filled=True, size=90, opacity=1)
        .encode(
            x=x,
            y=_share("probability", "probability"),
            color=alt.Color(
                "verdict:N",
                scale=alt.Scale(domain=kinds, range=[TONES[kind] for kind in kinds]),
                legend=alt.Legend(title=None, orient="top", offset=4),
            ),
            shape=alt.Shape(
                "verdict:N",
                scale=alt.Scale(
                    domain=kinds, range=["circle" if kind == VERDICTS[True] else "square" for kind in kinds]
                ),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("strength:Q", format=".3~g"),
                alt.Tooltip("answer:N"),
                alt.Tooltip("probability:Q", format=".1%", title=f"probability of “{sweep.target}”"),
            ],
        )
    )
    return alt.layer(line, points, *_flip(sweep, said=True)).properties(height=HEIGHT)


def mass_chart(sweep: Sweep) -> alt.LayerChart:
    """Mass on each region at each strength, in the head that is best on the first picture; its chance dashed."""
    table = mass_table(sweep)
    names = list(sweep.steps[0].masses)
    x = _strength(sweep)
    colour = alt.Color(
        "region:N",
        scale=alt.Scale(domain=names, range=[REGION_COLOURS[n % len(REGION_COLOURS)] for n in range(len(names))]),
        legend=alt.Legend(title=None, orient="top", offset=4),
    )
    tips = [
        alt.Tooltip("region:N"),
        alt.Tooltip("strength:Q", format=".3~g"),
        alt.Tooltip("mass:Q", format=".1%"),
        alt.Tooltip("chance:Q", format=".1%"),
    ]
    base = alt.Chart(table)
    line = base.mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=45)).encode(
        x=x, y=_share("mass", "share of the picture"), color=colour, tooltip=tips
    )
    chance = base.mark_line(strokeDash=[5, 4], strokeWidth=1.5, opacity=0.8).encode(
        x=x, y=_share("chance", "share of the picture"), color=colour
    )
    return alt.layer(chance, line, *_flip(sweep, said=False)).properties(height=HEIGHT)


def steps_table(sweep: Sweep) -> pd.DataFrame:
    """One row a step: strength, answer, probability of the followed answer, and whether it was as expected."""
    table = sweep.table()[["strength", "answer", "right", "probability"]]
    return table.assign(
        answer=table["answer"].replace("", "(no words)"), verdict=[VERDICTS[one] for one in table["right"].tolist()]
    )


def mass_table(sweep: Sweep) -> pd.DataFrame:
    """One row a step and region: strength, region, mass and chance; what is undefined is left out."""
    table = sweep.table()
    parts = [
        pd.DataFrame(
            {
                "strength": table["strength"],
                "region": name,
                "mass": table[f"mass_{name}"],
                "chance": table[f"chance_{name}"],
            }
        )
        for name in sweep.steps[0].masses
    ]
    return pd.concat(parts, ignore_index=True).dropna()


def _strength(sweep: Sweep) -> alt.X:
    return alt.X(
        "strength:Q",
        title=f"{sweep.perturbation.title.lower()} ({sweep.perturbation.unit})",
        axis=alt.Axis(grid=False, titlePadding=4),
        scale=alt.Scale(nice=False, padding=12),
    )


def _share(field: str, title: str) -> alt.Y:
    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(domainMin=0), axis=alt.Axis(format=".0%", tickCount=4))


def _flip(sweep: Sweep, said: bool) -> list[alt.Chart]:
    """A line between the last step that was answered as the first one was and the step where the answer flips."""
    if sweep.flip is None or sweep.flip == 0:
        return []
    between = (sweep.steps[sweep.flip - 1].strength + sweep.steps[sweep.flip].strength) / 2
    mark = alt.Chart(pd.DataFrame({"strength": [between], "text": ["the answer flips"]}))
    rule = mark.mark_rule(strokeDash=[2, 3], color="#98a1a8").encode(x="strength:Q")
    words = mark.mark_text(align="left", dx=5, y=8, color="#98a1a8").encode(x="strength:Q", text="text:N")
    return [rule, words] if said else [rule]
