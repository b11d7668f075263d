"""What do the scores of a region say, in one sentence? Computed, beside chance, and no more than they support."""

from __future__ import annotations

import warnings

import numpy as np

from qwenvl_debug.report.text import percent
from qwenvl_debug.ui.region_scores import MEAN, SIDES, RegionScores

ALIKE = 0.02
"""Below this difference in mass, in every layer, two runs are said to look there alike."""


def region_reading(scores: RegionScores, name: str) -> str:
    """Where over the layers the two runs differ most on a region, with both masses and both chances."""
    drawn = scores.drawn_on(name)
    if len(drawn) < 2:
        return _one_side(scores, name, drawn[0])
    difference = scores.difference(name)
    if difference is None or np.isnan(difference[:, MEAN]).all():
        return f"No layer has a score for “{name}” on both sides, so there is nothing to compare."
    over_layers, of = difference[:, MEAN], _attention(scores)
    first, last = stretch(over_layers)
    masses = [float(np.nanmean(side.mass[name][first : last + 1, MEAN])) for side in scores.sides]
    chances = [side.chance(name) for side in scores.sides]
    most = float(np.nanmax(np.abs(over_layers)))
    if most < ALIKE:
        return (
            f"At every layer the two runs put about the same share of their {of} on “{name}”: at most "
            f"{percent(most)} apart; {_layers(first, last)} it is {percent(masses[0])} in the correct run (chance "
            f"{percent(chances[0])}) and {percent(masses[1])} in the failing one (chance "
            f"{percent(chances[1])}). Heads averaged; single heads may differ more."
        )
    where = _layers(first, last)
    return (
        f"{where[0].upper()}{where[1:]} the correct run puts {percent(masses[0])} of its {of} on "
        f"“{name}” (chance {percent(chances[0])}), the failing one {percent(masses[1])} (chance "
        f"{percent(chances[1])}). Heads averaged; this is where they looked, not yet why the answers differ."
    )


def stretch(values: np.ndarray) -> tuple[int, int]:
    """The layers around the largest difference that share its sign and at least half of its size: first and last.

    Args:
        values: float [layers]; NaN ends a stretch. Not all NaN.
    """
    peak = int(np.nanargmax(np.abs(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        near = values * np.sign(values[peak]) >= 0.5 * abs(values[peak])
    first = last = peak
    while first > 0 and near[first - 1]:
        first -= 1
    while last + 1 < len(values) and near[last + 1]:
        last += 1
    return first, last


def _one_side(scores: RegionScores, name: str, number: int) -> str:
    side = scores.sides[number]
    mass = side.mass[name][:, MEAN]
    here = f"“{name}” is drawn on the {SIDES[number]} picture only"
    if np.isnan(mass).all():
        return f"{here}, and no layer has a score for it."
    layer = int(np.nanargmax(mass))
    return (
        f"{here}: its run puts most on it at layer {layer}, {percent(float(mass[layer]))} of its {_attention(scores)} "
        f"(chance {percent(side.chance(name))}). Draw it on the other picture too, or copy it there, to compare."
    )


def _attention(scores: RegionScores) -> str:
    """What the shares are shares of: maps against a neutral question or without sinks are not all of the attention."""
    normalisation = scores.sides[0].stack.normalisation
    return {
        "picture": "picture attention",
        "row": "picture attention",
        "no_sinks": "picture attention without sinks",
    }.get(normalisation, "picture attention beside the neutral question")


def _layers(first: int, last: int) -> str:
    return f"at layer {first}" if first == last else f"at layers {first}–{last}"
