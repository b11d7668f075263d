"""Which pixels a region covers, and how much of each cell.

A pixel belongs to a shape when its centre lies inside (`raster` says what holds on an outline); nothing is
anti-aliased. The coverage of a cell is the share of its area inside the region, so that an even map scores exactly the
region's share of the picture.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.raster import fill_ellipse, fill_polygon, fill_rectangle, fill_stroke
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region, Shape

REACH = 1 << 20  # pixels; where an outline from farther away crosses a row is no longer known to a billionth


def region_mask(region: Region, size: tuple[int, int]) -> np.ndarray:
    """The pixels of a region.

    Args:
        region: shapes in picture pixels; what lies beyond the picture is cut off.
        size: width, height of the picture in pixels.

    Returns:
        bool [height, width].

    Raises:
        RegionError: the size is not a picture's, or a shape lies more than a million pixels away.
    """
    width, height = size
    if width < 1 or height < 1:
        raise RegionError("A region needs a picture of at least one pixel.")
    mask = np.zeros((height, width), bool)
    for shape in region.shapes:
        _draw(mask, shape)
    return mask


def coverage(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The share of each cell that a mask covers.

    Args:
        mask: bool [height, width]; the cells stretch evenly over it.
        grid: rows, cols.

    Returns:
        float32 [rows, cols], 0..1, exact by area: its mean is the mask's share of the picture.
    """
    rows, cols = grid
    height, width = mask.shape
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(ys):
        return np.zeros((rows, cols), np.float32)
    down, across = slice(ys[0], ys[-1] + 1), slice(xs[0], xs[-1] + 1)  # most regions are a small part of the picture
    piece = mask[down, across].astype(np.float64)
    return (cell_shares(rows, height)[:, down] @ piece @ cell_shares(cols, width)[:, across].T).astype(np.float32)


def cell_shares(cells: int, pixels: int) -> np.ndarray:
    """float64 [cells, pixels]: the share of each cell's length that a pixel makes up, along one side; rows sum to 1."""
    edges = np.arange(cells + 1) * pixels / cells
    pixel = np.arange(pixels)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.clip(overlap, 0, None) * cells / pixels


def _draw(mask: np.ndarray, shape: Shape) -> None:
    match shape:
        case Rectangle(x, y, width, height):
            fill_rectangle(mask, x, y, width, height)
        case Ellipse(cx, cy, rx, ry, turn):
            fill_ellipse(mask, (cx, cy), (rx, ry), turn)
        case Polygon(points):
            fill_polygon(mask, _near(points))
        case Brush(points, size, erase):
            painted = np.zeros_like(mask) if erase else mask
            fill_stroke(painted, _near(points), size)
            if erase:
                mask &= ~painted
        case Mask(pixels):
            height, width = (min(sides) for sides in zip(mask.shape, pixels.shape, strict=True))
            mask[:height, :width] |= pixels[:height, :width]


def _near(points: tuple[tuple[float, float], ...]) -> np.ndarray:
    """float64 [points, 2]"""
    if np.abs(points).max() > REACH:
        raise RegionError("A shape lies too far outside the picture: draw it again nearer.")
    return np.asarray(points, np.float64)
