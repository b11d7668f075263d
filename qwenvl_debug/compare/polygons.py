"""How much of each cell of one grid lies in each cell of another that is seen at an angle: exact, all cells at once.

Each cell of the right grid is carried back onto the left picture, where it is a convex four-sided polygon; what it
shares with a left cell is cut out by Sutherland and Hodgman's method, edge by edge, for all pairs together.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.compare.register import carry

Size = tuple[int, int]


def overlap_areas(
    grids: tuple[Size, Size], sizes: tuple[Size, Size], homography: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pieces that two grids share.

    Args:
        grids: (rows, cols) of the left and of the right picture.
        sizes: (width, height) in pixels of both.
        homography: float64 [3, 3] from pixels of the left picture to pixels of the right.

    Returns:
        int64 [2, pieces], the cells of either side in raster order, and float64 [2, pieces], the share of each cell's
        own area, both by the pieces.
    """
    (rows, cols), (width, height) = grids[0], sizes[0]
    cell = np.array([width / cols, height / rows])
    right_quads = _quads(grids[1], sizes[1])
    back = carry(np.linalg.inv(homography / homography[2, 2]), right_quads.reshape(-1, 2)).reshape(-1, 4, 2)
    left_cells, right_cells = _candidates(back / cell, rows, cols)
    corner = np.stack([left_cells % cols, left_cells // cols], -1)
    # In units of a left cell with the cell at 0..1, clipping is against four fixed lines and areas are shares.
    pieces = _clip(back[right_cells] / cell - corner[:, None])
    left_share = _area(pieces)
    there = left_share > 1e-9
    left_cells, right_cells, pieces, corner = left_cells[there], right_cells[there], pieces[there], corner[there]
    forth = carry(homography, ((pieces + corner[:, None]) * cell).reshape(-1, 2)).reshape(pieces.shape)
    right_share = _area(forth) / (sizes[1][0] / grids[1][1] * sizes[1][1] / grids[1][0])
    return np.stack([left_cells, right_cells]), np.stack([left_share[there], right_share])


def _quads(grid: Size, size: Size) -> np.ndarray:
    """Corners of every cell in raster order, float64 [cells, 4, 2] in pixels."""
    rows, cols = grid
    y, x = np.divmod(np.arange(rows * cols), cols)
    around = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    return (np.stack([x, y], -1)[:, None] + around) * (size[0] / cols, size[1] / rows)


def _candidates(quads: np.ndarray, rows: int, cols: int) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a left cell and a polygon (in units of left cells) whose bounding boxes meet."""
    low = np.clip(np.floor(quads.min(1)), 0, (cols, rows))
    high = np.clip(np.ceil(quads.max(1)), 0, (cols, rows))
    usable = np.isfinite(quads).all((1, 2))
    low, high = (np.where(usable[:, None], one, 0).astype(np.int64) for one in (low, high))
    across, down = np.maximum(high - low, 0).T
    count = across * down
    right = np.repeat(np.arange(len(quads)), count)
    place = np.arange(len(right)) - np.repeat(np.cumsum(count) - count, count)
    y, x = np.divmod(place, across[right])
    return (low[right, 1] + y) * cols + low[right, 0] + x, right


def _clip(polygons: np.ndarray) -> np.ndarray:
    """The part of convex polygons [n, corners, 2] within the square 0..1; missing corners repeat the last one."""
    for axis, sign, limit in ((0, 1, 0), (0, -1, -1), (1, 1, 0), (1, -1, -1)):
        inside_by = sign * polygons[..., axis] - limit  # >= 0 inside
        following = np.roll(polygons, -1, axis=1)
        next_by = np.roll(inside_by, -1, axis=1)
        crosses = (inside_by >= 0) != (next_by >= 0)
        step = inside_by / np.where(crosses, inside_by - next_by, 1)
        crossing = polygons + step[..., None] * (following - polygons)
        # Each corner gives itself where it is inside, then the crossing of the edge that leaves it.
        given = np.stack([polygons, crossing], 2).reshape(len(polygons), -1, 2)
        valid = np.stack([inside_by >= 0, crosses], 2).reshape(len(polygons), -1)
        order = np.argsort(~valid, axis=1, kind="stable")[:, : polygons.shape[1] + 1]
        count = valid.sum(1, keepdims=True)
        order = np.where(
            np.arange(order.shape[1]) < count, order, np.take_along_axis(order, np.maximum(count - 1, 0), 1)
        )
        polygons = np.take_along_axis(given, order[..., None], 1)
        polygons = np.where(count[..., None] > 0, polygons, 0.0)
    return polygons


def _area(polygons: np.ndarray) -> np.ndarray:
    x, y = polygons[..., 0], polygons[..., 1]
    return np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / 2
