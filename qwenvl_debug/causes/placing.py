"""Where is what an intervention is about, in either image? Regions on both sides, and the cells that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwenvl_debug.causes.cells import Cells, cells_of
from qwenvl_debug.compare.sided import SidedRegion, sided_regions
from qwenvl_debug.errors import CauseError

if TYPE_CHECKING:
    from qwenvl_debug.causes.pair import Pair
    from qwenvl_debug.regions import Region


@dataclass(frozen=True)
class Placed:
    """Regions on both images of a pair, taken together.

    Attributes:
        name: their names, set apart by commas.
        sided: each on both sides, with how it came there.
        failing: the cells that they take in the failing image.
        correct: in the correct one; None where they are not there.
    """

    name: str
    sided: tuple[SidedRegion, ...]
    failing: Cells
    correct: Cells | None

    @property
    def regions(self) -> list[Region]:
        """On the failing image."""
        return [one.right for one in self.sided if one.right is not None]

    @property
    def said(self) -> tuple[str, ...]:
        """How regions were carried from one image to the other, a sentence each."""
        return tuple(one.said for one in self.sided if one.said is not None)


def placed(
    pair: Pair,
    regions: Region | Sequence[Region] = (),
    left_regions: Region | Sequence[Region] = (),
    right_regions: Region | Sequence[Region] = (),
) -> Placed:
    """Put regions on both images of a pair.

    Args:
        pair: the runs.
        regions: on the correct image, carried to the failing one by the alignment.
        left_regions, right_regions: on the correct and on the failing image; a name on one of them alone is carried.

    Raises:
        CauseError: nothing is given, or the failing image shows nothing of it.
        RegionError: two regions of one name, or something else than regions.
    """
    runs = pair.correct.run, pair.failing.run
    sizes = tuple(run.case.pictures[pair.image].size for run in runs)
    options = {"regions": regions, "left_regions": left_regions, "right_regions": right_regions}
    sided = sided_regions(pair.alignment, sizes, **options)
    if not sided:
        raise CauseError("Say which region decides the answer: draw or name one.")
    name = ", ".join(one.name for one in sided)
    there = [[one for one in side if one is not None] for side in zip(*((r.left, r.right) for r in sided), strict=True)]
    if not there[1]:
        raise CauseError(" ".join(one.why(1) for one in sided))
    failing = cells_of(runs[1], there[1], pair.image)
    correct = cells_of(runs[0], there[0], pair.image) if there[0] else None
    return Placed(name, sided, failing, correct)
