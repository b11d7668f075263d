"""How much of either side's attention lies on a region, layer by layer and head by head, beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.maps import MapStack
from qwenvl_debug.regions import Region, covers_of, fit, score_maps, to_record

RegionChoice = Region | tuple[Region | None, Region | None]
"""A region for both sides, in pixels of the correct picture, or one for each side (None where a side has none)."""

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class RegionMass:
    """The mass of every map of a comparison on one region.

    Attributes:
        name: what the region is called; that of the correct side where the sides differ.
        left, right: the region on the correct and on the failing picture, or None.
        left_mass, right_mass: float64 [layers, heads + 1], share of each map inside, 0..1, with the head mean in the
            last place; NaN without a map or without a region, and for a region with no pixel on the picture.
        left_chance, right_chance: the region's share of the picture, which is what an even map scores; NaN without.
    """

    name: str
    left: Region | None
    right: Region | None
    left_mass: np.ndarray
    right_mass: np.ndarray
    left_chance: float
    right_chance: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the region and chance on either side (None for what there is not)."""
        sides = {"correct": (self.left, self.left_chance), "failing": (self.right, self.right_chance)}
        return {"name": self.name} | {
            side: region and {"chance": chance, "region": to_record(region)} for side, (region, chance) in sides.items()
        }


def region_masses(
    regions: RegionChoice | Sequence[RegionChoice], left: MapStack, right: MapStack, sizes: tuple[Size, Size]
) -> tuple[RegionMass, ...]:
    """Measure both sides' maps on regions.

    Args:
        regions: one choice, or a list of them; a tuple of two is one choice, (correct, failing).
        left, right: the maps of the correct and of the failing side.
        sizes: width, height in pixels of the correct and of the failing picture.

    Raises:
        RegionError: something else than regions, a choice without any, two of one name, or a region that cannot be
            drawn.
    """
    masses = []
    for correct, failing in _pairs(regions, sizes):
        name = (correct or failing).name
        if name in [other.name for other in masses]:
            raise RegionError(f"Two regions are called “{name}”: give each its own name.")
        left_mass, left_chance = _mass(left, correct, sizes[0])
        right_mass, right_chance = _mass(right, failing, sizes[1])
        masses.append(RegionMass(name, correct, failing, left_mass, right_mass, left_chance, right_chance))
    return tuple(masses)


def on_correct(regions: RegionChoice | Sequence[RegionChoice] | None, size: Size) -> list[RegionChoice]:
    """The regions of the correct side, to be measured on two runs about its picture.

    Args:
        regions: as for `region_masses`, or None.
        size: width, height of the correct picture.
    """
    return [(one, one) for one, _ in _pairs(regions, (size, size)) if one is not None] if regions is not None else []


def _pairs(regions: Any, sizes: tuple[Size, Size]) -> list[tuple[Region | None, Region | None]]:
    if isinstance(regions, Region) or _is_pair(regions):
        regions = [regions]
    if not isinstance(regions, Sequence) or not all(isinstance(one, Region) or _is_pair(one) for one in regions):
        raise RegionError("Regions are one region, a pair (correct, failing), or a list of these.")
    return [(one, fit(one, *sizes)) if isinstance(one, Region) else one for one in regions]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and any(one is not None for one in value)
        and all(one is None or isinstance(one, Region) for one in value)
    )


def _mass(stack: MapStack, region: Region | None, size: Size) -> tuple[np.ndarray, float]:
    maps = np.concatenate([stack.values, stack.mean[:, None]], axis=1)
    if region is None:
        return np.full(maps.shape[:2], np.nan), np.nan
    cover = covers_of([region], size, (stack.grid.rows, stack.grid.cols))
    return score_maps(maps.reshape(*maps.shape[:2], -1), cover, ["mass"])["mass"][0], float(cover.mean())
