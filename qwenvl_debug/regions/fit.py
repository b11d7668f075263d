"""The same region on a picture of another size: stretched as the picture is."""

from __future__ import annotations

import cv2
import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region, Shape


def fit(region: Region, size: tuple[int, int], onto: tuple[int, int]) -> Region:
    """A region drawn on one picture, laid on another by the pictures' edges.

    Args:
        region: in pixels of the picture it was drawn on.
        size: width, height of that picture.
        onto: width, height of the other.

    Returns:
        The region itself where the sizes are equal. Lines of a brush keep their width only on average where width and
        height are stretched unequally; masks are laid by the nearest pixel.

    Raises:
        RegionError: a size is not a picture's.
    """
    if min(*size, *onto) < 1:
        raise RegionError("A region needs a picture of at least one pixel.")
    if tuple(size) == tuple(onto):
        return region
    across, down = onto[0] / size[0], onto[1] / size[1]
    return Region(region.name, tuple(_stretched(shape, across, down) for shape in region.shapes), region.expect)


def _stretched(shape: Shape, across: float, down: float) -> Shape:
    match shape:
        case Rectangle(x, y, width, height):
            return Rectangle(x * across, y * down, width * across, height * down)
        case Ellipse():
            return _ellipse(shape, across, down)
        case Polygon(points):
            return Polygon(tuple((x * across, y * down) for x, y in points))
        case Brush(points, size, erase):
            return Brush(tuple((x * across, y * down) for x, y in points), size * (across * down) ** 0.5, erase)
        case Mask(pixels):
            size = max(1, round(pixels.shape[1] * across)), max(1, round(pixels.shape[0] * down))
            if not pixels.size:
                return shape
            return Mask(cv2.resize(pixels.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT))
    raise TypeError(f"{type(shape).__name__} is not a shape")


def _ellipse(shape: Ellipse, across: float, down: float) -> Ellipse:
    """A stretched ellipse is an ellipse: its axes are the singular vectors of stretch @ turn @ radii."""
    cx, cy = shape.cx * across, shape.cy * down
    if across == down or shape.turn % 180 == 0:
        return Ellipse(cx, cy, shape.rx * across, shape.ry * down, shape.turn)
    turn = np.deg2rad(shape.turn)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    axes, radii, _ = np.linalg.svd(np.diag([across, down]) @ turned @ np.diag([shape.rx, shape.ry]))
    return Ellipse(cx, cy, float(radii[0]), float(radii[1]), float(np.rad2deg(np.arctan2(axes[1, 0], axes[0, 0]))))
