"""How much of each cell of one grid lies in each cell of another that is seen at an angle: exact, all cells at once.

A cell of the right grid, seen from the left image, is what lies on the inner side of four lines (`regions.homography`).
So of each pair the left cell is cut at these lines by Sutherland and Hodgman's method, edge by edge, for all pairs
together. Nothing is inverted and nothing beyond the horizon is ever divided by its depth.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.regions.homography import clipped, map_points, window

Size = tuple[int, int]
LEAST = 1e-9
"""Share of a cell that is nothing but rounding."""


def overlap_areas(
    grids: tuple[Size, Size], sizes: tuple[Size, Size], homography: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pieces that two grids share.

    Args:
        grids: (rows, cols) of the left and of the right image.
        sizes: (width, height) in pixels of both.
        homography: float64 [3, 3] from pixels of the left image to pixels of the right, see `oriented`.

    Returns:
        int64 [2, pieces], the cells of either side in raster order, and float64 [2, pieces], the share of each cell's
        own area, both by the pieces.
    """
    (rows, cols), (width, height) = grids[0], sizes[0]
    (other_rows, other_cols), (other_width, other_height) = grids[1], sizes[1]
    # In units of cells, cells are 1 wide and high, and areas are shares.
    unit = np.diag([other_cols / other_width, other_rows / other_height, 1])
    unit = unit @ homography @ np.diag([width / cols, height / rows, 1])
    left, right = _candidates(grids, unit)
    around = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    pieces = np.stack([left % cols, left // cols], -1)[:, None] + around
    x, y = right % other_cols, right // other_cols
    for plane in (
        unit[0] - x[:, None] * unit[2],
        (x[:, None] + 1) * unit[2] - unit[0],
        unit[1] - y[:, None] * unit[2],
        (y[:, None] + 1) * unit[2] - unit[1],
    ):
        pieces = _cut(pieces, plane)
    left_share = _area(pieces)
    there = left_share > LEAST
    pieces = pieces[there]
    right_share = _area(map_points(unit, pieces.reshape(-1, 2)).reshape(pieces.shape))
    return np.stack([left[there], right[there]]), np.stack([left_share[there], right_share])


def _candidates(grids: tuple[Size, Size], unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a left and a right cell that may meet: all right cells within the bounding box of a left cell's image.

    Args:
        grids: (rows, cols) of both sides.
        unit: the homography in units of cells.
    """
    (rows, cols), (other_rows, other_cols) = grids
    y, x = np.divmod(np.arange(rows * cols), cols)
    around = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    corners = np.stack([x, y], -1)[:, None] + around
    seen = map_points(unit, corners.reshape(-1, 2)).reshape(-1, 4, 2)
    for cell in np.flatnonzero(~np.isfinite(seen).all((1, 2))):  # partly beyond the horizon
        part = clipped(corners[cell], window((other_cols, other_rows)) @ unit)
        seen[cell] = np.nan if not len(part) else _box(map_points(unit, part))
    nothing = np.isnan(seen).any((1, 2))
    seen[nothing] = 0
    low = np.clip(np.floor(seen.min(1)), 0, (other_cols, other_rows)).astype(np.int64)
    high = np.clip(np.ceil(seen.max(1)), 0, (other_cols, other_rows)).astype(np.int64)
    across, down = np.maximum(high - low, 0).T
    count = np.where(nothing, 0, across * down)
    left = np.repeat(np.arange(rows * cols), count)
    place = np.arange(len(left)) - np.repeat(np.cumsum(count) - count, count)
    below, beside = np.divmod(place, across[left])
    return left, (low[left, 1] + below) * other_cols + low[left, 0] + beside


def _box(points: np.ndarray) -> np.ndarray:
    """The corners of the bounding box of points, [4, 2]."""
    (left, top), (right, bottom) = points.min(0), points.max(0)
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def _cut(polygons: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """The part of convex polygons [n, corners, 2] within a half-plane each, float [n, 3]; missing corners repeat the
    last one, and a polygon of which nothing is left lies all at (0, 0)."""
    inside_by = (polygons * planes[:, None, :2]).sum(-1) + planes[:, None, 2]  # >= 0 inside
    following = np.roll(polygons, -1, axis=1)
    next_by = np.roll(inside_by, -1, axis=1)
    crosses = (inside_by >= 0) != (next_by >= 0)
    step = inside_by / np.where(crosses, inside_by - next_by, 1)
    crossing = polygons + np.where(crosses, step, 0)[..., None] * (following - polygons)
    # Each corner gives itself where it is inside, then the crossing of the edge that leaves it.
    corners = polygons.shape[1]
    given = np.stack([polygons, crossing], 2).reshape(len(polygons), 2 * corners, 2)
    valid = np.stack([inside_by >= 0, crosses], 2).reshape(len(polygons), 2 * corners)
    order = np.argsort(~valid, axis=1, kind="stable")[:, : corners + 1]
    count = valid.sum(1, keepdims=True)
    order = np.where(np.arange(order.shape[1]) < count, order, np.take_along_axis(order, np.maximum(count - 1, 0), 1))
    return np.where(count[..., None] > 0, np.take_along_axis(given, order[..., None], 1), 0.0)


def _area(polygons: np.ndarray) -> np.ndarray:
    """Of polygons [n, corners, 2], float64 [n]."""
    x, y = np.moveaxis(polygons - polygons[:, :1], -1, 0)  # from a corner on, or far places cost digits
    return np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / 2
