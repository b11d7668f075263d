"""How two maps of unequal grids are laid on one: cut the picture at every cell border of either.

A cell spreads its attention evenly over its part of the picture, so cutting a cell into pieces and giving each
piece its share of the area changes nothing: no mass is lost or moved, and no grid is preferred over the other.
Two equal grids come out as they went in. Pictures are laid on each other by their edges, whatever their pixel size.
"""

from math import lcm

import numpy as np


def common_grid(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lay two stacks of maps on their common grid.

    Args:
        left: float [..., rows, cols].
        right: float [..., other rows, other cols].

    Returns:
        Both as float64 [..., common rows, common cols] (in general of unequal height and width of cells), with the
        same sum as before.
    """
    left_rows, right_rows = _pieces(left.shape[-2], right.shape[-2])
    left_cols, right_cols = _pieces(left.shape[-1], right.shape[-1])
    return _cut(left, left_rows, left_cols), _cut(right, right_rows, right_cols)


def _pieces(left: int, right: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Cut a length of `left` equal cells and one of `right` equal cells at each other's borders.

    Returns:
        For each side, for each piece: int64 the cell it was cut from, float64 which share of that cell it is.
        Borders are whole numbers on a ruler that both divide, so that none is missed or doubled by rounding.
    """
    ruler = lcm(left, right)
    cells = [ruler // left, ruler // right]  # lengths of a cell of either side on the ruler
    borders = np.union1d(*(np.arange(0, ruler + 1, cell) for cell in cells))
    return tuple((borders[:-1] // cell, np.diff(borders) / cell) for cell in cells)


def _cut(maps: np.ndarray, rows: tuple[np.ndarray, np.ndarray], cols: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    (row_from, row_share), (col_from, col_share) = rows, cols
    return maps[..., row_from[:, None], col_from] * (row_share[:, None] * col_share)
