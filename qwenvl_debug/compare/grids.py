"""How the cells of two pictures are laid on each other: cut both at every border of either, and lose nothing.

A cell spreads its attention evenly over its part of the picture, so cutting a cell into pieces and giving each piece
its share of the cell's area changes nothing: no mass is lost or moved, and no grid is preferred over the other. A
homography carries straight lines to straight lines, so a piece is a polygon and its area is exact, however the
pictures lie on each other. What only one picture shows is in no piece.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np

from qwenvl_debug.compare.polygons import overlap_areas
from qwenvl_debug.regions.homography import flattens, oriented

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Overlap:
    """The pieces that both pictures show.

    Attributes:
        cells: int64 [2, pieces], which cell of the left and of the right grid (raster order) a piece was cut from.
        shares: float64 [2, pieces], which share of that cell's area it is.
        grids: (rows, cols) of the left and of the right grid.
        equal: whether every cell is a whole piece, in order: two equal grids edge on edge.
    """

    cells: np.ndarray
    shares: np.ndarray
    grids: tuple[Size, Size]
    equal: bool

    def cut(self, maps: np.ndarray, side: int) -> np.ndarray:
        """Maps [..., cells] of one side cut into the pieces, [..., pieces]; their sum is what lies in the overlap."""
        if self.equal:
            return maps
        return maps[..., self.cells[side]] * self.shares[side].astype(maps.dtype)

    def gather(self, pieces: np.ndarray, side: int) -> np.ndarray:
        """Pieces [..., pieces] added up by the cells of one side, [..., cells]; NaN where less than half is shown."""
        if self.equal:
            return pieces
        cells = self.grids[side][0] * self.grids[side][1]
        order = np.argsort(self.cells[side], kind="stable")
        there, starts = np.unique(self.cells[side][order], return_index=True)
        whole = np.zeros((*pieces.shape[:-1], cells), pieces.dtype)
        if len(there):
            whole[..., there] = np.add.reduceat(pieces[..., order], starts, axis=-1)
        whole[..., self.seen(side) < 0.5] = np.nan
        return whole

    @property
    def empty(self) -> bool:
        """Whether the images share no area, so that no cell can be compared."""
        return not self.cells.shape[1]

    def seen(self, side: int) -> np.ndarray:
        """float64 [cells]: the share of each cell of one side that the other picture shows, 0..1."""
        rows, cols = self.grids[side]
        return np.bincount(self.cells[side], self.shares[side], minlength=rows * cols)


def overlap(
    grids: tuple[Size, Size], sizes: tuple[Size, Size] | None = None, homography: np.ndarray | None = None
) -> Overlap:
    """Lay two grids on each other.

    Args:
        grids: (rows, cols) of the left and of the right image.
        sizes: (width, height) in pixels of both; not needed where the images show the same frame, edge to edge.
        homography: float64 [3, 3] from pixels of the left image to pixels of the right; None is edge to edge. It may
            turn, mirror and tilt.

    Returns:
        The pieces; none (`empty`) where the images share no area.

    Raises:
        RegionError: the homography is no matrix of 3 x 3 finite numbers, or cannot be one of images.
    """
    if homography is None:
        return _edges(grids)
    homography = oriented(homography, sizes[0])
    if _edge_on_edge(homography, sizes):
        return _edges(grids)
    if flattens(homography, sizes):
        return Overlap(np.empty((2, 0), np.int64), np.empty((2, 0)), grids, equal=False)
    if np.allclose(homography[[0, 1, 2, 2], [1, 0, 0, 1]], 0, rtol=0, atol=1e-12):  # neither turned nor tilted
        (w, h), (other_w, other_h) = sizes
        cols = _shifted(grids[0][1], w, grids[1][1], other_w, homography[0, 0], homography[0, 2])
        rows = _shifted(grids[0][0], h, grids[1][0], other_h, homography[1, 1], homography[1, 2])
        return _product(rows, cols, grids, equal=False)
    cells, areas = overlap_areas(grids, sizes, homography)
    return Overlap(cells, areas, grids, equal=False)


def common_grid(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay two stacks of maps on their common grid, edge on edge.

    Args:
        left: float [..., rows, cols].
        right: float [..., other rows, other cols].

    Returns:
        Both as float64 [..., common rows, common cols] (in general of unequal height and width of cells), with the
        same sum as before.
    """
    rows, cols = (_even(*pair) for pair in zip(left.shape[-2:], right.shape[-2:], strict=True))
    return tuple(
        maps[..., rows[side][0][:, None], cols[side][0]] * (rows[side][1][:, None] * cols[side][1])
        for side, maps in enumerate((left, right))
    )


Pieces = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Of each side, for each piece of a length: int64 the cell it was cut from, float64 which share of that cell it is."""


def _even(left: int, right: int) -> Pieces:
    """Cut a length of `left` equal cells and one of `right` equal cells at each other's borders.

    Borders are whole numbers on a ruler that both divide, so that none is missed or doubled by rounding.
    """
    ruler = lcm(left, right)
    cells = [ruler // left, ruler // right]  # lengths of a cell of either side on the ruler
    borders = np.union1d(*(np.arange(0, ruler + 1, cell) for cell in cells))
    return tuple((borders[:-1] // cell, np.diff(borders) / cell) for cell in cells)


def _edges(grids: tuple[Size, Size]) -> Overlap:
    """Two grids edge to edge."""
    rows, cols = (_even(*pair) for pair in zip(*grids, strict=True))
    return _product(rows, cols, grids, equal=grids[0] == grids[1])


def _shifted(left: int, length: float, right: int, other_length: float, scale: float, shift: float) -> Pieces:
    """The same for lengths in pixels, where x of the left is scale * x + shift of the right; only what both have.

    A negative scale turns the right length round: its last cell is then the first to be met.
    """
    own = np.linspace(0, length, left + 1)
    other = np.sort((np.linspace(0, other_length, right + 1) - shift) / scale)
    borders = np.unique(np.round(np.concatenate([own, other]), 9))
    borders = borders[(borders >= max(own[0], other[0]) - 1e-9) & (borders <= min(own[-1], other[-1]) + 1e-9)]
    middle, width = (borders[:-1] + borders[1:]) / 2, np.diff(borders)
    (cells, shares), (other_cells, other_shares) = (
        (np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(edges) - 2), width / (edges[1] - edges[0]))
        for edges in (own, other)
    )
    return (cells, shares), (other_cells if scale > 0 else right - 1 - other_cells, other_shares)


def _product(rows: Pieces, cols: Pieces, grids: tuple[Size, Size], equal: bool) -> Overlap:
    cells = [(r[0][:, None] * grid[1] + c[0]).ravel() for r, c, grid in zip(rows, cols, grids, strict=True)]
    shares = [(r[1][:, None] * c[1]).ravel() for r, c in zip(rows, cols, strict=True)]
    return Overlap(np.array(cells, np.int64), np.array(shares), grids, equal)


def _edge_on_edge(homography: np.ndarray, sizes: tuple[Size, Size]) -> bool:
    (w, h), (other_w, other_h) = sizes
    return np.allclose(homography, np.diag([other_w / w, other_h / h, 1.0]), rtol=0, atol=1e-9)
