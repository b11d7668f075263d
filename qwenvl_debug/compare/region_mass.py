"""How much of either side's attention lies on a region, layer by layer and head by head, beside chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwenvl_debug.compare.sided import SIDES, SidedRegion
from qwenvl_debug.maps import MapStack
from qwenvl_debug.regions import Region, covers_of, score_maps, to_record

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class RegionMass:
    """The mass of every map of a comparison on one region.

    Attributes:
        sided: the region on both images, and how it came there.
        left_mass, right_mass: float64 [layers, heads + 1], share of each map inside, 0..1, with the head mean in the
            last place; NaN without a map or without a region, and for a region that covers no pixel of the image.
        left_chance, right_chance: the region's share of the image, which is what an even map scores; NaN without.
    """

    sided: SidedRegion
    left_mass: np.ndarray
    right_mass: np.ndarray
    left_chance: float
    right_chance: float

    @property
    def name(self) -> str:
        """What the region is called."""
        return self.sided.name

    @property
    def left(self) -> Region | None:
        """The region on the correct image, or None."""
        return self.sided.left

    @property
    def right(self) -> Region | None:
        """The region on the failing image, or None."""
        return self.sided.right

    def why(self, side: int) -> str | None:
        """Why a side (0 the correct one, 1 the failing one) has no score, in a sentence; None where it has one."""
        if (self.left_chance, self.right_chance)[side] == 0:
            return f"“{self.name}” covers no pixel of the {SIDES[side]} image."
        return self.sided.why(side)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the region and chance on either side (None where there is none, with the reason), and how the
        region came to the side it was not drawn on."""
        sides = ((self.left, self.left_chance), (self.right, self.right_chance))
        return {
            "name": self.name,
            "carried_to": None if self.sided.carried_to is None else SIDES[self.sided.carried_to],
            "carried": self.sided.said,
            "outside": self.sided.outside,
            **{
                side: region and {"chance": chance, "region": to_record(region)}
                for side, (region, chance) in zip(SIDES, sides, strict=True)
            },
            "why": {side: self.why(number) for number, side in enumerate(SIDES)},
        }


def region_masses(
    sided: Sequence[SidedRegion], left: MapStack, right: MapStack, sizes: tuple[Size, Size]
) -> tuple[RegionMass, ...]:
    """Measure both sides' maps on regions.

    Args:
        sided: the regions on both images, see `sided_regions`.
        left, right: the maps of the correct and of the failing side.
        sizes: width, height in pixels of the correct and of the failing image.

    Raises:
        RegionError: a region cannot be drawn.
    """
    masses = []
    for one in sided:
        left_mass, left_chance = mass_on(one.left, left, sizes[0])
        right_mass, right_chance = mass_on(one.right, right, sizes[1])
        masses.append(RegionMass(one, left_mass, right_mass, left_chance, right_chance))
    return tuple(masses)


def mass_on(region: Region | None, stack: MapStack, size: Size) -> tuple[np.ndarray, float]:
    """The mass of every map on a region, float64 [layers, heads + 1] with the head mean last, and its chance.

    Args:
        region: in pixels of the image; None gives NaN throughout.
        stack: the maps.
        size: width, height of the image in pixels.

    Raises:
        RegionError: the region cannot be drawn.
    """
    maps = np.concatenate([stack.values, stack.mean[:, None]], axis=1)
    if region is None:
        return np.full(maps.shape[:2], np.nan), np.nan
    cover = covers_of([region], size, (stack.grid.rows, stack.grid.cols))
    return score_maps(maps.reshape(*maps.shape[:2], -1), cover, ["mass"])["mass"][0], float(cover.mean())
