"""By what are two runs told apart: the figures that a comparison and its noise floor are both measured in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from qwenvl_debug.compare.distance import map_distance
from qwenvl_debug.compare.grids import Overlap
from qwenvl_debug.compare.region_mass import RegionMass
from qwenvl_debug.maps import MapStack

DISTANCE, SHARE, MASS = "distance", "share", "mass_"
"""Names of the figures: map distance, difference of image share, and, with a region's name, of its mass."""


@dataclass(frozen=True, eq=False)
class Figures:
    """How much two runs differ, by layer and head.

    Attributes:
        values: by figure, float32 [layers, heads + 1], >= 0, the head mean last; NaN where a figure is not defined.
    """

    values: Mapping[str, np.ndarray] = field(default_factory=dict)


def figures(left: MapStack, right: MapStack, pieces: Overlap | None, masses: tuple[RegionMass, ...] = ()) -> Figures:
    """Measure two sides against each other.

    Args:
        left, right: their maps.
        pieces: how their grids lie on each other, or None where they do not.
        masses: of both sides on the same regions.

    Returns:
        "distance", the map distance; "share", how much the image shares differ; "mass_NAME", how much the masses do.
    """
    found = {DISTANCE: map_distance(left, right, pieces), SHARE: np.abs(_shares(left) - _shares(right))}
    for one in masses:
        found[MASS + one.name] = np.abs(one.left_mass - one.right_mass).astype(np.float32)
    return Figures(found)


def _shares(stack: MapStack) -> np.ndarray:
    return np.concatenate([stack.image_share, stack.image_share_mean[:, None]], axis=1)
