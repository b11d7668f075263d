"""The same region on another image: where a homography carries it, cut to what both images show.

A region is what it covers of its own image, so what reaches beyond that image is left behind; what falls outside the
other image is dropped and its share is returned. Shapes stay shapes wherever that is exact: outlines as rectangles and
polygons, ellipses as ellipses (the image of a conic is a conic), strokes as strokes where their width is scaled evenly
to a quarter of a pixel. Everything else becomes a mask: each pixel of the other image asks what lay at its centre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.homography import clipped, flattens, map_points, oriented, window
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region, Shape

Size = tuple[int, int]
EXACT = 1e-6
"""Pixels that are nothing but rounding."""
EVEN = 0.25
"""Pixels by which the border of a stroke may lie off where its width is not scaled evenly."""
FAR = 1e-9
"""Depth below which a point counts as lying on the horizon."""
AT_ONCE = 1 << 20
"""Pixels of a mask that are looked up at once."""


@dataclass(frozen=True)
class Carried:
    """A region on another image.

    Attributes:
        region: in pixels of the other image; None where all of it lies outside.
        outside: the share of the region's own pixels that lie outside the other image, 0..1; NaN for a region that
            covers no pixel of its own image.
    """

    region: Region | None
    outside: float


def carry(region: Region, homography: np.ndarray | None, from_size: Size, to_size: Size) -> Carried:
    """Carry a region from one image to another.

    Args:
        region: in pixels of the image it was drawn on; what reaches beyond that image does not count.
        homography: float64 [3, 3], from pixels of that image to pixels of the other, (0, 0) being the corner of the
            first pixel; None scales by the images' sizes, edge to edge.
        from_size: width, height of the image it was drawn on.
        to_size: width, height of the other image.

    Returns:
        The region itself where nothing moves.

    Raises:
        RegionError: a size is not an image's, the homography cannot be one of images, or a shape lies too far away.
    """
    if min(*from_size, *to_size) < 1:
        raise RegionError("A region needs a picture of at least one pixel.")
    if homography is None:
        homography = np.diag([to_size[0] / from_size[0], to_size[1] / from_size[1], 1.0])
    homography = oriented(homography, from_size)
    if flattens(homography, (from_size, to_size)):
        raise RegionError("This alignment flattens the image to a line, so no region can be carried: align it anew.")
    if tuple(from_size) == tuple(to_size) and _is_still(homography, from_size):
        return Carried(region, 0.0)
    before = region_mask(region, from_size)
    found = [_carried(shape, homography, from_size, to_size) for shape in region.shapes]
    if any(shapes is None for shapes in found):
        found = [(Mask(warped(before, homography, to_size)),)]
    moved = replace(region, shapes=tuple(shape for shapes in found for shape in shapes))
    outside = _outside(before, homography, to_size)
    return Carried(moved if moved.shapes and outside != 1 else None, outside)


def warped(mask: np.ndarray, homography: np.ndarray, to_size: Size) -> np.ndarray:
    """A mask seen through an oriented homography: each pixel of the result is the one that its centre came from.

    Args:
        mask: bool [height, width].
        homography: see `carry`.
        to_size: width, height of the result.

    Returns:
        bool [to height, to width].
    """
    result = np.zeros(to_size[::-1], bool)
    ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(ys):
        return result
    box = np.array([(x, y) for x in (xs[0], xs[-1] + 1) for y in (ys[0], ys[-1] + 1)])[[0, 1, 3, 2]]
    seen = map_points(homography, clipped(box, window(to_size) @ homography))
    if not len(seen):
        return result
    (left, top), (right, bottom) = (np.clip(one, 0, to_size).astype(int) for one in (seen.min(0), np.ceil(seen.max(0))))
    back = np.linalg.inv(homography)
    across = np.arange(left, right) + 0.5
    step = max(1, AT_ONCE // max(1, right - left))
    for start in range(top, bottom, step):
        down = np.arange(start, min(start + step, bottom))[:, None] + 0.5
        x, y, depth = (a * across + b * down + c for a, b, c in back)
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = (np.where(depth > 0, np.floor(one / depth), -1) for one in (x, y))
        there = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
        rows, cols = np.nonzero(there)
        result[start + rows, left + cols] = mask[y[there].astype(int), x[there].astype(int)]
    return result


def _is_still(homography: np.ndarray, size: Size) -> bool:
    corners = np.array([(0, 0), (size[0], 0), size, (0, size[1])], float)
    return bool(np.abs(map_points(homography, corners) - corners).max() <= EXACT)


def _outside(mask: np.ndarray, homography: np.ndarray, to_size: Size) -> float:
    """The share of a mask's pixels whose centres do not lie on the other image; NaN of an empty mask."""
    ys, xs = np.nonzero(mask)
    if not len(xs):
        return float("nan")
    planes = window(to_size) @ homography
    seen = np.ones(len(xs), bool)
    for a, b, c in planes:
        seen &= a * (xs + 0.5) + b * (ys + 0.5) + c >= 0
    return 1 - float(seen.mean())


def _carried(shape: Shape, homography: np.ndarray, from_size: Size, to_size: Size) -> tuple[Shape, ...] | None:
    """A shape on the other image, () where nothing of it is there; None where its region can be nothing but a mask."""
    match shape:
        case Rectangle(x, y, wide, high):
            corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)]
            return _outline(corners, homography, from_size, to_size)
        case Polygon(points):
            return _outline(points, homography, from_size, to_size)
        case Ellipse():
            return _ellipse(shape, homography) if _all_counts(shape, homography, from_size, to_size) else None
        case Brush():
            return _stroke(shape, homography) if _all_counts(shape, homography, from_size, to_size) else None
        case Mask():
            own = region_mask(Region("mask", (shape,)), from_size)
            return (Mask(warped(own, homography, to_size)),) if own.any() else ()
    raise TypeError(f"{type(shape).__name__} is not a shape")


def _outline(points, homography: np.ndarray, from_size: Size, to_size: Size) -> tuple[Shape, ...]:
    """An outline cut to both images: a rectangle where it is upright, else a polygon."""
    seen = clipped(np.asarray(points, float), np.concatenate([window(from_size), window(to_size) @ homography]))
    corners = map_points(homography, seen)
    corners = corners[np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1, initial=0) > EXACT]
    if len(corners) < 3:
        return ()
    low, high = corners.min(0), corners.max(0)
    at_border = np.minimum(np.abs(corners - low), np.abs(corners - high)) <= EXACT
    if len(corners) == 4 and at_border.all():
        return (Rectangle(*low.tolist(), *(high - low).tolist()),)
    return (Polygon(tuple(map(tuple, corners.tolist()))),)


def _all_counts(shape: Ellipse | Brush, homography: np.ndarray, from_size: Size, to_size: Size) -> bool:
    """Whether nothing of a curved shape that reaches beyond its own image would come in sight on the other one."""
    if isinstance(shape, Ellipse):
        turn = np.deg2rad(shape.turn)
        reach = (
            np.hypot(shape.rx * np.cos(turn), shape.ry * np.sin(turn)),
            np.hypot(shape.rx * np.sin(turn), shape.ry * np.cos(turn)),
        )
        low, high = np.subtract((shape.cx, shape.cy), reach), np.add((shape.cx, shape.cy), reach)
    else:
        low, high = np.min(shape.points, 0) - shape.size / 2, np.max(shape.points, 0) + shape.size / 2
    if (low >= -EXACT).all() and (high <= np.asarray(from_size) + EXACT).all():
        return True
    box = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    seen = clipped(box, window(to_size) @ homography)  # on its own plane
    return not len(seen) or bool(((seen >= -EXACT) & (seen <= np.asarray(from_size) + EXACT)).all())


def _ellipse(shape: Ellipse, homography: np.ndarray) -> tuple[Shape, ...] | None:
    """An ellipse seen through a homography is an ellipse, unless it reaches the horizon.

    Its lines of contact form the dual conic G diag(1, 1, -1) G^T, G carrying the unit circle to it; centre and axes can
    be read from that (Hartley and Zisserman, Multiple View Geometry, 2.2.3).
    """
    if not shape.rx or not shape.ry:
        return ()
    turn = np.deg2rad(shape.turn)
    turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    circle = np.eye(3)
    circle[:2, :2], circle[:2, 2] = turned * (shape.rx, shape.ry), (shape.cx, shape.cy)
    onto = homography @ circle
    if onto[2, 2] <= np.hypot(onto[2, 0], onto[2, 1]) + FAR:
        return None
    start = onto[:2, 2] / onto[2, 2]  # near the centre, so that large coordinates cost no digits
    onto[:2] -= np.outer(start, onto[2])
    dual = onto @ np.diag([1.0, 1.0, -1.0]) @ onto.T
    dual /= dual[2, 2]
    centre = dual[:2, 2]
    squares, axes = np.linalg.eigh(np.outer(centre, centre) - dual[:2, :2])
    radii = np.sqrt(np.maximum(squares, 0))
    first = int(np.abs(axes.T @ onto[:2, 0]).argmax())  # the axis that goes on from the first one
    angle = np.rad2deg(np.arctan2(axes[1, first], axes[0, first]))
    angle = (angle + 90) % 180 - 90
    cx, cy = (start + centre).tolist()
    return (Ellipse(cx, cy, float(radii[first]), float(radii[1 - first]), float(angle)),)


def _stroke(shape: Brush, homography: np.ndarray) -> tuple[Shape, ...] | None:
    """A stroke whose width is scaled by the same factor everywhere and in every direction."""
    points = np.asarray(shape.points)
    depth = points @ homography[2, :2] + homography[2, 2]
    if (depth <= FAR).any():
        return None
    onto = map_points(homography, points)
    slopes = (homography[:2, :2] - onto[:, :, None] * homography[2, :2]) / depth[:, None, None]
    scales = np.linalg.svd(slopes, compute_uv=False)
    scale = float(np.exp(np.log(np.maximum(scales, FAR)).mean()))
    if np.abs(scales - scale).max() * shape.size / 2 > EVEN:
        return None
    return (Brush(tuple(map(tuple, onto.tolist())), shape.size * scale, shape.erase),)
