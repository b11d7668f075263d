"""How maps lie on regions as plain text, for a terminal: every share beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.report.text import answer_lines, bar, columns, layers_without_map, percent, printable

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison, RegionMass
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import RegionScores

EXPECTS = {"look": "should look here", "avoid": "should not look here", "measure": "only measured"}
DASH = "–"


def scores_text(run: Run, scores: Sequence[RegionScores], best_heads: int = 5) -> str:
    """The answer, and for each region the share of every layer's attention inside and the heads with most of it."""
    lines = [printable(run.case.question), "", *answer_lines(run)]
    lines += ["", f"Share of the attention of “{printable(scores[0].asked_with)}” on the picture that lies inside:"]
    for one in scores:
        name = f"{printable(one.region.name)} ({EXPECTS[one.region.expect]})"
        if one.empty:
            lines += ["", f"{name}: {DASH}", f"  {one.why}"]
            continue
        lines += ["", f"{name}: {percent(one.chance)} of the picture, which is what chance puts there"]
        mean = one.values["mass"][:, -1]
        there = np.flatnonzero(~np.isnan(mean)).tolist()
        rows = [(str(n), percent(mean[n]), _times(mean[n] / one.chance), bar(mean[n])) for n in there]
        lines += columns([("layer", "inside", "of chance", ""), *rows], right=(0, 1, 2))
        lines += layers_without_map(there, len(mean))
        heads = [f"{layer}.{head} {percent(value)} ({_times(value / one.chance)})" for layer, head, value in one.best()]
        lines.append(f"  most inside, of single heads: {', '.join(heads[:best_heads]) or DASH}")
        if one.why:
            lines.append(f"  {one.why}")
    return "\n".join(lines)


def masses_text(comparison: Comparison, best_heads: int = 5) -> str:
    """For each region the share of both sides' attention inside, layer by layer, and the heads that differ most."""
    return "\n".join(line for one in comparison.regions for line in ["", *_mass_lines(one, best_heads)])


def _mass_lines(one: RegionMass, best_heads: int) -> list[str]:
    chances = [f"{percent(one.left_chance)} on the correct side", f"{percent(one.right_chance)} on the failing side"]
    there = [name for name, region in zip(chances, (one.left, one.right), strict=True) if region is not None]
    lines = [
        f"Share of attention inside “{printable(one.name)}”; chance gives {', '.join(there)} (difference in points):"
    ]
    said = [one.sided.said]
    if one.sided.outside < 1:  # or that has been said
        said += [one.why(0), one.why(1)]
    lines += [f"  {printable(sentence)}" for sentence in said if sentence is not None]
    left, right = one.left_mass[:, -1], one.right_mass[:, -1]
    layers = np.flatnonzero(~(np.isnan(left) & np.isnan(right))).tolist()
    if not layers:
        return [*lines, f"  {DASH}"]
    rows = [(str(n), _shown(left[n]), _shown(right[n]), _points(left[n] - right[n])) for n in layers]
    lines += columns([("layer", "correct", "failing", "difference"), *rows], right=(0, 1, 2, 3))
    lines += layers_without_map(layers, len(left))
    apart = one.left_mass[:, :-1] - one.right_mass[:, :-1]
    order = np.argsort(-np.abs(apart), axis=None, kind="stable")[: np.count_nonzero(~np.isnan(apart))]
    named = [
        f"{n // apart.shape[1]}.{n % apart.shape[1]} {_points(apart.flat[n])}" for n in order[:best_heads].tolist()
    ]
    return [*lines, f"  differ most, of single heads: {', '.join(named)}"] if named else lines


def _shown(share: float) -> str:
    return DASH if np.isnan(share) else percent(share)


def _times(ratio: float) -> str:
    return f"{ratio:.1f} x" if ratio < 100 else f"{ratio:.0f} x"


def _points(difference: float) -> str:
    """A difference of two shares, in percentage points."""
    return DASH if np.isnan(difference) else f"{100 * difference:+.1f}"
