"""Points and outlines seen through a homography: float64 [3, 3], from pixels of one image to pixels of another.

(0, 0) is the corner of the first pixel. A homography is scaled so that its depth (the third coordinate) is positive
where the camera sees (`oriented`). An edge of the other image is then a line on this one, and "within the other image"
is four such half-planes: outlines are cut before anything is divided by its depth, so that the horizon needs no care.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.errors import RegionError

Size = tuple[int, int]
FLAT = 1e-12
"""Of the image's area: a homography that leaves less of it flattens the image to a line or a point."""


def oriented(homography: np.ndarray, size: Size) -> np.ndarray:
    """The same homography with a depth of 1 at the middle of the image, float64 [3, 3].

    Args:
        homography: [3, 3], up to any factor.
        size: width, height of the image it starts from.

    Raises:
        RegionError: it is no matrix of 3 x 3 finite numbers, or the middle of the image lies on its horizon.
    """
    matrix = np.asarray(homography, dtype=np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise RegionError("A homography is a matrix of 3 x 3 finite numbers: this one is something else.")
    depth = float(matrix[2] @ (size[0] / 2, size[1] / 2, 1))
    if abs(depth) <= FLAT * np.abs(matrix).max():
        raise RegionError("This homography sends the middle of the image to infinity: the images cannot be aligned so.")
    return matrix / depth


def flattens(homography: np.ndarray, sizes: tuple[Size, Size]) -> bool:
    """Whether an oriented homography leaves no area of the image.

    Args:
        homography: see `oriented`.
        sizes: width, height of the image it starts from and of the one it leads to.
    """
    (width, height), (other_width, other_height) = sizes
    unit = np.diag([1 / other_width, 1 / other_height, 1]) @ homography @ np.diag([width, height, 1.0])
    return bool(abs(np.linalg.det(unit)) < FLAT)


def map_points(homography: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points [n, 2] through an oriented homography, float64 [n, 2]; infinite where they lie beyond the horizon."""
    carried = np.c_[np.asarray(points, np.float64), np.ones(len(points))] @ np.asarray(homography, np.float64).T
    depth = np.where(carried[:, 2:] > FLAT, carried[:, 2:], np.nan)
    return np.where(np.isnan(depth), np.inf, carried[:, :2] / depth)


def window(size: Size) -> np.ndarray:
    """The four edges of an image as half-planes, float64 [4, 3]: inside where each @ (x, y, 1) >= 0."""
    width, height = size
    return np.array([(1, 0, 0), (-1, 0, width), (0, 1, 0), (0, -1, height)], np.float64)


def clipped(points: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """The part of a closed outline within half-planes, after Sutherland and Hodgman (1974).

    Args:
        points: float [n, 2], of any outline, even one that crosses itself: what is inside by the even-odd rule stays
            inside, and nothing else comes in.
        planes: float [k, 3], see `window`.

    Returns:
        float64 [m, 2]; m is 0 where nothing is left.
    """
    points = np.asarray(points, np.float64).reshape(-1, 2)
    for plane in planes:
        if not len(points):
            break
        by = points @ plane[:2] + plane[2]
        following, next_by = np.roll(points, -1, axis=0), np.roll(by, -1)
        crosses = (by >= 0) != (next_by >= 0)
        step = np.where(crosses, by / np.where(crosses, by - next_by, 1), 0)
        crossing = points + step[:, None] * (following - points)
        given = np.stack([points, crossing], axis=1).reshape(-1, 2)
        points = given[np.stack([by >= 0, crosses], axis=1).ravel()]
    return points
