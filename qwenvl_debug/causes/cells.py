"""Which cells of a grid an intervention acts on: those of a region, those around it, and the same shape elsewhere.

A region seldom follows the borders of cells. What decides an answer is often a thin part (the spheres of a tower cover
a third of each cell that they touch), and cells share what they see with their neighbours; so a region takes the fewest
cells that together hold nearly all of it, and not only those that it covers by half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from qwenvl_debug.errors import CauseError
from qwenvl_debug.regions import coverage, region_mask

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.model.run import Grid
    from qwenvl_debug.regions import Region

HELD = 0.95
"""Share of a region's area that its cells hold together."""

PLACES = 20
"""Most other places of the same shape that serve as controls."""


@dataclass(frozen=True)
class Cells:
    """Some cells of one image.

    Attributes:
        image: which image of the case, from 0.
        index: the cells, counted in raster order, ascending.
        shape: rows and columns of the image's grid.
    """

    image: int
    index: tuple[int, ...]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def mask(self) -> np.ndarray:
        """bool [rows, cols]."""
        mask = np.zeros(self.shape[0] * self.shape[1], bool)
        mask[list(self.index)] = True
        return mask.reshape(self.shape)

    @classmethod
    def of(cls, image: int, mask: np.ndarray) -> Cells:
        """The cells of a mask, bool [rows, cols]."""
        return cls(image, tuple(np.flatnonzero(mask).tolist()), mask.shape)

    def rest(self) -> Cells:
        """All other cells of the image."""
        return Cells.of(self.image, ~self.mask)

    def margin(self) -> Cells:
        """The cells that touch these, at a side or a corner."""
        near = cv2.dilate(np.pad(self.mask.astype(np.uint8), 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1] > 0
        return Cells.of(self.image, near & ~self.mask)

    def without(self, other: Cells) -> Cells:
        """These but for some."""
        return Cells.of(self.image, self.mask & ~other.mask)


def cells_of(run: Run, regions: Region | Sequence[Region], image: int = 0) -> Cells:
    """The cells that regions of an image take, together.

    Args:
        run: whose grid it is.
        regions: in pixels of the image.
        image: which image of the case, from 0.

    Returns:
        The fewest cells that hold 95 % of the regions' area, most covered first; equally covered ones come together.

    Raises:
        CauseError: there is no such image, or the regions lie outside of it.
    """
    if not 0 <= image < len(run.grids):
        raise CauseError(f"This case has images 0 to {len(run.grids) - 1}: there is no image {image}.")
    grid: Grid = run.grids[image]
    several = [regions] if hasattr(regions, "shapes") else list(regions)
    size = run.case.pictures[image].size
    mask = np.any([region_mask(region, size) for region in several], axis=0)
    cover = coverage(mask, (grid.rows, grid.cols)).reshape(-1).astype(np.float64)
    if not cover.any():
        names = ", ".join(f"“{region.name}”" for region in several)
        raise CauseError(f"The region {names} covers nothing of this image: draw it on the image.")
    order = np.argsort(-cover, kind="stable")
    held = np.cumsum(cover[order]) / cover.sum()
    least = cover[order[int(np.searchsorted(held, HELD - 1e-9))]]
    return Cells.of(image, (cover >= least - 1e-12).reshape(grid.rows, grid.cols))


def elsewhere(cells: Cells, most: int = PLACES, seed: int = 0) -> list[Cells]:
    """The same shape at other places of the image, to tell what a change there alone does.

    Args:
        cells: the shape.
        most: how many places at most, drawn at random where there are more.
        seed: fixes them.

    Returns:
        Places that lie within the grid and share no cell with `cells`; as many as there are, perhaps none.
    """
    mask = cells.mask
    rows, cols = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return []
    piece = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    high, wide = piece.shape
    found = []
    for top in range(mask.shape[0] - high + 1):
        for left in range(mask.shape[1] - wide + 1):
            if not (piece & mask[top : top + high, left : left + wide]).any():
                moved = np.zeros_like(mask)
                moved[top : top + high, left : left + wide] = piece
                found.append(Cells.of(cells.image, moved))
    if len(found) > most:
        chosen = np.random.default_rng(seed).choice(len(found), most, replace=False)
        found = [found[n] for n in sorted(chosen)]
    return found
