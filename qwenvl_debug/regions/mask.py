"""Which pixels a region covers, and how much of each cell.

A pixel belongs to a shape when its centre does; nothing is anti-aliased. The coverage of a cell is the share of its
area inside the region, so that a map that spreads evenly scores exactly the region's share of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region, Shape

FRACTION = 8  # bits of sub-pixel position that OpenCV takes
REACH = 1 << 20  # pixels beyond which OpenCV's fixed-point coordinates would overflow


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
    mask = np.zeros((height, width), np.uint8)
    for shape in region.shapes:
        _draw(mask, shape)
    return mask.view(bool)  # only 0 and 1 are in it


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
    height, width = mask.shape
    match shape:
        case Rectangle(x, y, wide, high):
            # pixel centres at +0.5: the first column is the first whose centre is not left of x
            left, right, top, bottom = (int(np.clip(np.ceil(v - 0.5), 0, REACH)) for v in (x, x + wide, y, y + high))
            if right > left and bottom > top:
                cv2.rectangle(mask, (left, top), (right - 1, bottom - 1), 1, cv2.FILLED)  # corners are inclusive
        case Ellipse(cx, cy, rx, ry, turn):
            _ellipse(mask, cx, cy, rx, ry, np.deg2rad(turn))
        case Polygon(points):
            _check_reach(points)
            cv2.fillPoly(mask, [_fixed(points)], 1, cv2.LINE_8, FRACTION)
        case Brush(points, size, erase):
            _check_reach(points)
            _stroke(mask, points, size, 0 if erase else 1)
        case Mask(pixels):
            high, wide = min(height, pixels.shape[0]), min(width, pixels.shape[1])
            mask[:high, :wide] |= pixels[:high, :wide].astype(np.uint8)


def _ellipse(mask: np.ndarray, cx: float, cy: float, rx: float, ry: float, turn: float) -> None:
    """By pixel centres: OpenCV's own ellipse also paints its outline, several per cent too much when small."""
    if not rx or not ry:
        return
    height, width = mask.shape
    reach_x = np.hypot(rx * np.cos(turn), ry * np.sin(turn))
    reach_y = np.hypot(rx * np.sin(turn), ry * np.cos(turn))
    x0, x1 = (int(np.clip(v, 0, width)) for v in (np.floor(cx - reach_x), np.ceil(cx + reach_x)))
    y0, y1 = (int(np.clip(v, 0, height)) for v in (np.floor(cy - reach_y), np.ceil(cy + reach_y)))
    x, y = np.arange(x0, x1)[None] + 0.5 - cx, np.arange(y0, y1)[:, None] + 0.5 - cy
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    with np.errstate(over="ignore"):  # a radius next to nothing
        mask[y0:y1, x0:x1] |= ((along / rx) ** 2 + (across / ry) ** 2 <= 1).astype(np.uint8)


def _stroke(mask: np.ndarray, points, size: float, value: int) -> None:
    """A round pen: discs at the points, thick lines between them."""
    disc = np.zeros_like(mask)
    for x, y in points:
        _ellipse(disc, x, y, size / 2, size / 2, 0.0)
    if len(points) > 1:
        cv2.polylines(disc, [_fixed(points)], False, 1, max(1, round(size)), cv2.LINE_8, FRACTION)
    mask[disc > 0] = value


def _fixed(points) -> np.ndarray:
    """OpenCV puts pixel centres at whole numbers; ours are at halves."""
    return np.round((np.asarray(points) - 0.5) * (1 << FRACTION)).astype(np.int32)


def _check_reach(points) -> None:
    if np.abs(points).max() > REACH:
        raise RegionError("A shape lies too far outside the picture: draw it again nearer.")
