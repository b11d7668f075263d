"""How does one map lie on each region? A card per region: every measure of both sides, mass beside chance."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from qwenvl_debug.regions import REGION_MEASURES, Score
from qwenvl_debug.regions.baselines import PLACES, Baselines, held_against
from qwenvl_debug.regions.undefined import undefined_measures, undefined_on
from qwenvl_debug.report.text import percent
from qwenvl_debug.ui.region_scores import SIDES, RegionScores

if TYPE_CHECKING:
    import numpy as np

EXPECT = {"look": "look here", "avoid": "not here", "measure": "just measure"}
SHOWN = tuple(name for name in REGION_MEASURES if name != "chance")  # chance stands beside mass
BESIDE = {
    "picture’s middle": "Mass that a map scores which knows nothing but that the middle of a picture matters more.",
    "other places": f"Random-region baseline: the same map on the same shape at {PLACES} random placements in the "
    "picture, always the same ones, and how many of them get less mass. Each placement overlaps the region by at most "
    f"half of its pixels; where the picture has fewer than {PLACES} such placements, all of them are used.",
}
STYLE = """<style>
.score-card { border: 1px solid color-mix(in srgb, currentColor 16%, transparent); border-radius: 0.5rem;
  padding: 0.625rem 0.875rem; font-size: 0.875rem; }
.score-card h4 { margin: 0 0 0.375rem; padding: 0; font-size: 1rem; font-weight: 600; }
.score-card .expect { opacity: 0.65; font-weight: 400; font-size: 0.8125rem; margin-left: 0.5rem; }
.score-card table { border-collapse: collapse; width: 100%; table-layout: fixed; font-variant-numeric: tabular-nums; }
.score-card th, .score-card td { border: 0; border-top: 1px solid color-mix(in srgb, currentColor 9%, transparent);
  padding: 0.1875rem 0.5rem 0.1875rem 0; text-align: left; vertical-align: middle; }
.score-card thead th { border-top: 0; font-weight: 600; }
.score-card tbody th { font-weight: 400; opacity: 0.75; cursor: help; width: 34%; }
.score-card .correct { color: #0f8a99; } .score-card .failing { color: #d9620f; }
.score-card .chance, .score-card .none { opacity: 0.65; font-size: 0.8125rem; }
.score-card .none { cursor: help; }
.score-card .amount { position: relative; height: 0.375rem; margin-top: 0.125rem; max-width: 11rem; border-radius: 2px;
  background: color-mix(in srgb, currentColor 10%, transparent); }
.score-card .amount i { position: absolute; inset: 0 auto 0 0; border-radius: 2px; }
.score-card .amount b { position: absolute; top: -0.125rem; bottom: -0.125rem; width: 2px; background: currentColor; }
</style>"""


def card(
    scores: RegionScores,
    name: str,
    layer: int,
    head: int,
    places: tuple[np.ndarray | None, np.ndarray | None] | None = None,
) -> str:
    """The HTML of one region's card; names are escaped.

    Args:
        scores: both sides'.
        name: the region.
        layer, head: whose map; head -1 is the mean.
        places: each side's coverage of the region moved to other places of its picture (`covers_elsewhere`), to say
            how many of them score less, and how many there are; None leaves that out.
    """
    found = {number: scores.sides[number].score(name, layer, head) for number in scores.drawn_on(name)}
    expect = " / ".join(dict.fromkeys(EXPECT[score.expect] for score in found.values()))
    head_row = "".join(f'<th class="{side}">{side}</th>' for side in SIDES)
    rows = "".join(
        f'<tr><th title="{escape(_explain(measure))}">{escape(REGION_MEASURES[measure].name)}</th>'
        + "".join(
            f'<td data-side="{SIDES[number]}" data-measure="{measure}">{_cell(found.get(number), measure, number)}</td>'
            for number in (0, 1)
        )
        + "</tr>"
        for measure in SHOWN
    )
    if places is not None:
        rows += _beside(scores, name, layer, head, places)
    return (
        f'{STYLE}<div class="score-card" data-region="{escape(name)}"><h4>{escape(name)}'
        f'<span class="expect">{expect}</span></h4>'
        f"<table><thead><tr><th></th>{head_row}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _beside(scores: RegionScores, name: str, layer: int, head: int, places: tuple[np.ndarray | None, ...]) -> str:
    """Rows of what the mass may be held against: the picture's middle, and the same shape in other places."""
    cells: dict[str, list[str]] = {label: [] for label in BESIDE}
    for number in (0, 1):
        side = scores.sides[number]
        if name not in side.regions:
            for row in cells.values():
                row.append(_none(f"Not drawn on the {SIDES[number]} picture.", "not drawn"))
            continue
        values = side.stack.map(layer, head).values
        found = held_against(values, side.covers[name], places[number])
        why = undefined_on(side.covers[name]).get("mass")
        cells["picture’s middle"].append(_none(why) if why else f'<span class="value">{percent(found.centre)}</span>')
        reasons = undefined_measures(values.ravel(), side.covers[name])
        cells["other places"].append(_rank(found, reasons.get("mass")))
    return "".join(
        f'<tr class="beside"><th title="{escape(BESIDE[label])}">{label}</th>'
        + "".join(
            f'<td data-side="{side}" data-beside="{label}">{one}</td>' for side, one in zip(SIDES, row, strict=True)
        )
        + "</tr>"
        for label, row in cells.items()
    )


def _rank(found: Baselines, why: str | None) -> str:
    """In words, how many other places of the picture score less, and how many there are where they are few."""
    places = len(found.elsewhere)
    if why is not None:
        return _none(why)
    if not places:
        return _none("The region is too large: wherever else it fits, it overlaps itself by more than half.")
    words = f"more than all {places}" if found.less == places else f"more than {found.less or 'none'} of {places}"
    few = f' <span class="chance">only {places} possible</span>' if places < PLACES else ""
    return f'<span class="value">{words}</span>{few}'


def _none(why: str, text: str = "–") -> str:
    return f'<span class="none" title="{escape(why)}">{text}</span>'


def _explain(measure: str) -> str:
    one = REGION_MEASURES[measure]
    return f"{one.plain} {one.formula}. {one.reference[0].upper()}{one.reference[1:]}."


def _cell(score: Score | None, measure: str, number: int) -> str:
    if score is None:
        return _none(f"Not drawn on the {SIDES[number]} picture.", "not drawn")
    value = getattr(score, measure)
    if math.isnan(value):
        return _none(score.reasons[measure])
    if measure == "mass":
        bar = (
            f'<div class="amount"><i class="{SIDES[number]}" style="width:{min(1, value):.2%};'
            f'background:currentColor"></i><b style="left:{min(1, score.chance):.2%}"></b></div>'
        )
        chance = f'<span class="chance">chance {percent(score.chance)}</span>'
        return f'<span class="value">{percent(value)}</span> {chance}{bar}'
    text = f"{value:.2f} ×" if measure == "lift" else f"{value:.2f}"
    return f'<span class="value">{text}</span>'
