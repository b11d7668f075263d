"""What do the numbers say, in one plain sentence or two? Only what was measured, and no more than it supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.report.text import percent

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison

ALIKE = 0.05
"""Below this map distance (bits, 0..1) two maps are called nearly the same."""


def _by_region(comparison: Comparison) -> str:
    """What can be said of pictures that do not lie on each other."""
    here = (
        "The two pictures do not lie on each other, so their maps are not compared cell by cell."
        if comparison.pieces is None
        else "The two pictures are aligned but share no area, so their maps are not compared cell by cell."
    )
    left, right = comparison.left.image_share_mean, comparison.right.image_share_mean
    if np.isnan(left - right).all():
        return f"{here} No layer keeps an attention map on both sides either."
    layer = int(np.nanargmax(np.abs(left - right)))
    return (
        f"{here} Over the whole picture the two runs differ most at layer {layer}: the correct one gives "
        f"{percent(float(left[layer]))} of its attention to the picture, the failing one "
        f"{percent(float(right[layer]))}. "
        "Mark the same things on both pictures, on the Regions page, to compare where they looked."
    )


def _above_noise(comparison: Comparison) -> str:
    """What stands out most, once it is known what harmless changes do."""
    top = comparison.ranking.top()
    if top is None:
        return (
            "The two runs differ no more than harmless changes of the picture make one run differ from itself. Where "
            "they looked may not be what sets them apart."
        )
    layer, head = top
    left, right = (float(stack.image_share_mean[layer]) for stack in (comparison.left, comparison.right))
    inside = "" if head < 0 else f", there most of all in head {head}"
    return (
        f"The two runs differ most, beyond what harmless changes do, at layer {layer}{inside}. At this layer the "
        f"correct run gives {percent(left)} of its attention to the picture, the failing one {percent(right)}. This "
        "shows where they differ, not yet why the answers do."
    )


def reading(comparison: Comparison) -> str:
    """Where the two runs differ most, and how much of their attention goes to the picture there."""
    if comparison.pieces is None or comparison.pieces.empty:
        return _by_region(comparison)
    if comparison.ranking is not None:
        return _above_noise(comparison)
    layer = comparison.most_different_layer()
    if layer is None:
        return "No layer of this model keeps an attention map on both sides, so there is nothing to compare."
    divergence = float(comparison.divergence_mean[layer])
    left, right = (float(stack.image_share_mean[layer]) for stack in (comparison.left, comparison.right))
    shares = (
        f"there the correct run gives {percent(left)} of its attention to the picture, the failing one {percent(right)}"
    )
    if divergence < ALIKE:
        return (
            f"The two runs look at nearly the same places: their maps differ most at layer {layer}, and little even "
            f"there (map distance {divergence:.2f} of 1); {shares}. Where they looked may not be what sets them apart."
        )
    head = ""
    if not np.isnan(comparison.divergence[layer]).all():
        best = int(np.nanargmax(comparison.divergence[layer]))
        head = f", most of all in head {best} ({comparison.divergence[layer, best]:.2f})"
    return (
        f"The two runs differ most at layer {layer} (map distance {divergence:.2f} of 1{head}); {shares}. "
        "This shows where they differ, not yet why the answers do."
    )
