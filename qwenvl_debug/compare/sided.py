"""Where is a region on either image? Each image has its own, or it is carried from one to the other by the alignment.

This is the only place where a region passes from side to side: comparisons, their noise floor, the command line and
the Regions page all come here, so that a region lies where the comparison's cells say it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwenvl_debug.compare.alignment import Alignment
from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Carried, Region, carry, check_names
from qwenvl_debug.regions.names import name_key

Size = tuple[int, int]
SIDES = ("correct", "failing")


@dataclass(frozen=True)
class SidedRegion:
    """A region on both images.

    Attributes:
        name: what it is called.
        left, right: the region on the correct and on the failing image; None where it is not there.
        carried_to: the side it was carried to, 0 the correct one and 1 the failing one; None where it was not carried.
        how: how it was carried, such as "same frame"; None where it was not.
        outside: the share of it that lies outside the image it was carried to, 0..1.
    """

    name: str
    left: Region | None
    right: Region | None
    carried_to: int | None = None
    how: str | None = None
    outside: float = 0.0

    @property
    def said(self) -> str | None:
        """How it came to the image it was not drawn on, and what of it fell outside, in a sentence; None where both
        images have their own."""
        if self.how is None:
            return None
        lost = ""
        if self.outside == 1:
            lost = "; all of it lies outside that image, so it has no score there"
        elif self.outside > 0:
            lost = f"; {percent(self.outside)} of it lies outside that image"
        return f"“{self.name}” on the {SIDES[self.carried_to]} image: {self.how}{lost}."

    def why(self, side: int) -> str | None:
        """Why there is no region on a side, in a sentence; None where there is one."""
        if (self.left, self.right)[side] is not None:
            return None
        if self.carried_to == side:
            return f"“{self.name}” lies outside the {SIDES[side]} image."
        return f"“{self.name}” is drawn on the {SIDES[1 - side]} image only, and the images are not aligned."


def sided_regions(
    alignment: Alignment,
    sizes: tuple[Size, Size],
    *,
    regions: Region | Sequence[Region] = (),
    left_regions: Region | Sequence[Region] = (),
    right_regions: Region | Sequence[Region] = (),
) -> tuple[SidedRegion, ...]:
    """Put regions on both images.

    Args:
        alignment: how the failing image lies on the correct one.
        sizes: width, height in pixels of the correct and of the failing image.
        regions: regions of the correct image that are meant on both; carried to the failing one, and scaled by size
            where the images are compared by regions only.
        left_regions, right_regions: what is drawn on the correct and on the failing image. Regions of one name belong
            together; one whose name is on one image alone is carried to the other, unless the images are compared by
            regions only: then it has no counterpart.

    Raises:
        RegionError: something else than regions, two of one name on an image, or a region that cannot be drawn.
    """
    both, left, right = (
        {name_key(region.name): region for region in checked(given, name)}
        for given, name in ((regions, "regions"), (left_regions, "left_regions"), (right_regions, "right_regions"))
    )
    for name in both:
        if name in left or name in right:
            raise RegionError(f"The region “{name}” is given for both sides and again for one: give it once.")
    found = [_on_both(region, alignment, sizes, 1) for region in both.values()]
    for key in dict.fromkeys([*left, *right]):
        sides = left.get(key), right.get(key)
        drawn = sides[0] or sides[1]
        if None not in sides or alignment.homography is None:
            found.append(SidedRegion(drawn.name, *sides))
        else:
            found.append(_on_both(drawn, alignment, sizes, 1 if sides[1] is None else 0))
    return tuple(found)


def checked(given: Any, what: str = "regions") -> tuple[Region, ...]:
    """Regions of one image.

    Args:
        given: a region, or a list or tuple of them.
        what: what the argument is called.

    Raises:
        RegionError: something else than regions, or two of one name.
    """
    several = (given,) if isinstance(given, Region) else given
    if not isinstance(several, Sequence) or not all(isinstance(one, Region) for one in several):
        raise RegionError(
            f"{what} takes one region or a list of regions; where each image has its own, give left_regions and "
            "right_regions."
        )
    check_names(several)
    return tuple(several)


def carried(region: Region, alignment: Alignment, sizes: tuple[Size, Size], to: int) -> Carried:
    """A region on the other image of a pair.

    Args:
        region: in pixels of the image it is drawn on.
        alignment: how the failing image lies on the correct one.
        sizes: width, height in pixels of the correct and of the failing image.
        to: 1 carries from the correct to the failing image, 0 the other way round.

    Raises:
        RegionError: as `carry`.
    """
    homography = alignment.homography
    if homography is not None and to == 0:
        try:
            homography = np.linalg.inv(homography)
        except np.linalg.LinAlgError:
            raise RegionError("This alignment flattens the image, so nothing can be carried back from it.") from None
    return carry(region, homography, sizes[1 - to], sizes[to])


def percent(share: float) -> str:
    """A share that is neither none nor all, in whole per cent."""
    if share < 0.01:
        return "less than 1 %"
    return "more than 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _on_both(region: Region, alignment: Alignment, sizes: tuple[Size, Size], to: int) -> SidedRegion:
    there = carried(region, alignment, sizes, to)
    outside = 0.0 if np.isnan(there.outside) else there.outside
    pair = (region, there.region) if to == 1 else (there.region, region)
    return SidedRegion(region.name, *pair, to, alignment.carries(sizes, to), outside)
