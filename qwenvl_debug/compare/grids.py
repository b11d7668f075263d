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

    def seen(self, side: int) -> np.ndarray:
        """float64 [cells]: the share of each cell of one side that the other picture shows, 0..1."""
        rows, cols = self.grids[side]
        return np.bincount(self.cells[side], self.shares[side], minlength=rows * cols)


def overlap(
    grids: tuple[Size, Size], sizes: tuple[Size, Size] | None = None, homography: np.ndarray | None = None
) -> Overlap:
    """Lay two grids on each other.

    Args:
        grids: (rows, cols) of the left and of the right picture.
        sizes: (width, height) in pixels of both; not needed where the pictures are laid edge on edge.
        homography: float64 [3, 3] from pixels of the left picture to pixels of the right; None is edge on edge.
    """
    if homography is None or _edge_on_edge(homography, sizes):
        rows, cols = (_even(*pair) for pair in zip(*grids, strict=True))
        return _product(rows, cols, grids, equal=grids[0] == grids[1])
    if np.allclose(homography / homography[2, 2] * (1 - np.eye(3)), _shift_only(homography), atol=1e-12):
        scale = homography / homography[2, 2]
        (w, h), (other_w, other_h) = sizes
        cols = _shifted(grids[0][1], w, grids[1][1], other_w, scale[0, 0], scale[0, 2])
        rows = _shifted(grids[0][0], h, grids[1][0], other_h, scale[1, 1], scale[1, 2])
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


def _shifted(left: int, length: float, right: int, other_length: float, scale: float, shift: float) -> Pieces:
    """The same for lengths in pixels, where x of the left is scale * x + shift of the right; only what both have."""
    own = np.linspace(0, length, left + 1)
    other = (np.linspace(0, other_length, right + 1) - shift) / scale
    borders = np.unique(np.round(np.concatenate([own, other]), 9))
    borders = borders[(borders >= max(own[0], other[0]) - 1e-9) & (borders <= min(own[-1], other[-1]) + 1e-9)]
    middle, width = (borders[:-1] + borders[1:]) / 2, np.diff(borders)
    return tuple(
        (np.clip(np.searchsorted(edges, middle, side="right") - 1, 0, len(edges) - 2), width / (edges[1] - edges[0]))
        for edges in (own, other)
    )


def _product(rows: Pieces, cols: Pieces, grids: tuple[Size, Size], equal: bool) -> Overlap:
    cells = [(r[0][:, None] * grid[1] + c[0]).ravel() for r, c, grid in zip(rows, cols, grids, strict=True)]
    shares = [(r[1][:, None] * c[1]).ravel() for r, c in zip(rows, cols, strict=True)]
    return Overlap(np.array(cells, np.int64), np.array(shares), grids, equal)


def _edge_on_edge(homography: np.ndarray, sizes: tuple[Size, Size]) -> bool:
    (w, h), (other_w, other_h) = sizes
    edges = np.diag([other_w / w, other_h / h, 1.0])
    return np.allclose(homography / homography[2, 2], edges, rtol=0, atol=1e-9)


def _shift_only(homography: np.ndarray) -> np.ndarray:
    """What is off the diagonal of a homography that neither turns nor tilts."""
    off = np.zeros((3, 3))
    off[:2, 2] = homography[:2, 2] / homography[2, 2]
    return off
