"""Which pixels have their centre inside a shape? Row by row, exactly, whole arrays at a time.

The rule is the same for every shape: pixel (column j, row i) belongs where its centre (j + 0.5, i + 0.5) lies inside.
What remains to be said is what happens to a centre exactly on an outline:

- Rectangles and polygons are half open, as arrays are: a left or upper edge belongs, a right or lower one does not (an
  oblique edge is a left one where the inside is to its right). So shapes that share an edge neither overlap nor leave
  a gap, and a square of n x n has n * n pixels whatever it is made of.
- Ellipses and strokes are closed: a centre at exactly the radius, or at half the width of the brush, belongs.

OpenCV's drawing functions paint the outline as well, up to a pixel too much on each side, so they are not used here.
pycocotools rounds an outline to fifths of a pixel before it fills it: both agree on upright shapes of whole pixels, and
differ elsewhere only in pixels whose centre lies within a quarter of a pixel of the outline.
"""

from __future__ import annotations

import numpy as np

TIE = 1e-9
"""Pixels by which rounding may put a centre that lies on a closed outline outside it."""

AT_ONCE = 250_000
"""Crossings of outlines with rows of pixels that are held in memory together."""


def fill_rectangle(mask: np.ndarray, x: float, y: float, width: float, height: float) -> None:
    """Set the pixels of an upright rectangle.

    Args:
        mask: bool [height, width], changed in place; what lies beyond it is cut off. So for all functions here.
        x, y, width, height: in pixels.
    """
    rows, cols = mask.shape
    mask[_first(y, rows) : _first(y + height, rows), _first(x, cols) : _first(x + width, cols)] = True


def fill_polygon(mask: np.ndarray, points: np.ndarray) -> None:
    """Set the pixels of a polygon by the even-odd rule.

    Args:
        mask: bool [height, width].
        points: float [corners, 2], x and y in pixels; the last joins the first.
    """
    rows, cols = mask.shape
    one, other = points, np.roll(points, -1, axis=0)
    # every edge from its upper end, so that both shapes beside it cross the same rows at exactly the same places
    down = (one[:, 1] <= other[:, 1])[:, None]
    (x0, y0), (x1, y1) = np.where(down, one, other).T, np.where(down, other, one).T
    (left, top), (right, bottom) = points.min(0), points.max(0)
    top, bottom, left, right = _first(top, rows), _first(bottom, rows), _first(left, cols), _first(right, cols)
    changes = np.zeros((bottom - top, right - left + 1), np.uint8)
    for edge, row in _rows(_first(y0, rows), _first(y1, rows)):
        cross = x0[edge] + (row + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
        col = np.clip(_first(cross, cols), left, right)
        # counts wrap at 256, which leaves odd what is odd
        np.add.at(changes.reshape(-1), (row - top) * changes.shape[1] + col - left, 1)
    mask[top:bottom, left:right] |= _between(changes)


def fill_ellipse(mask: np.ndarray, centre: tuple[float, float], radii: tuple[float, float], degrees: float) -> None:
    """Set the pixels of an ellipse; one without area has none.

    Args:
        mask: bool [height, width].
        centre, radii: in pixels.
        degrees: by how much it is turned, clockwise as seen.
    """
    size = max(radii)
    if not min(radii) > 0:
        return
    turn = np.deg2rad(degrees % 180)
    cos, sin = np.cos(turn), np.sin(turn)
    rx, ry = radii[0] / size, radii[1] / size  # of radii so large or small that their squares are no numbers
    reach = (rx * sin) ** 2 + (ry * cos) ** 2  # squared, from the centre to the lowest point
    if not reach > 0:
        return
    rows = _centres(mask.shape[0], centre[1], size * np.sqrt(reach))
    y = (rows + 0.5 - centre[1]) / size
    half = rx * ry * np.sqrt(np.maximum(reach - y**2, 0)) / reach
    middle = y * cos * sin * (rx**2 - ry**2) / reach
    _fill_runs(mask, rows, centre[0] + size * (middle - half), centre[0] + size * (middle + half))


def fill_stroke(mask: np.ndarray, points: np.ndarray, size: float) -> None:
    """Set the pixels whose centre is at most half the brush's width away from a stroke.

    Args:
        mask: bool [height, width].
        points: float [points, 2], x and y in pixels, joined in their order.
        size: width of the brush in pixels.
    """
    ends = points if len(points) > 1 else np.repeat(points, 2, axis=0)
    radius = size / 2
    (x0, y0), (x1, y1) = ends[:-1].T, ends[1:].T
    length = np.hypot(x1 - x0, y1 - y0)
    aside = radius * np.stack([y0 - y1, x1 - x0]) / np.where(length > 0, length, 1)  # across each piece, to its border
    rows = mask.shape[0]
    top = _first(np.minimum(y0, y1) - radius - TIE, rows)
    bottom = _last(np.maximum(y0, y1) + radius + TIE, rows)
    for piece, row in _rows(top, bottom + 1):
        at = row + 0.5
        found = [_disc(x[piece], y[piece], radius, at) for x, y in ((x0, y0), (x1, y1))]
        found += [
            _crossing(x0[piece] + dx[piece], y0[piece] + dy[piece], x1[piece] + dx[piece], y1[piece] + dy[piece], at)
            for dx, dy in (aside, -aside)
        ]
        left, right = (np.stack(side) for side in zip(*found, strict=True))
        _fill_runs(mask, row, left.min(0), right.max(0))  # a piece with its round ends is convex: one run a row


def _first(edge: np.ndarray | float, count: int) -> np.ndarray:
    """The first of `count` pixels whose centre is not before an edge; int, `count` where none is."""
    return np.clip(np.ceil(np.asarray(edge) - 0.5), 0, count).astype(np.int64)


def _last(edge: np.ndarray | float, count: int) -> np.ndarray:
    """The last of `count` pixels whose centre is not after an edge; int, -1 where none is."""
    return np.clip(np.floor(np.asarray(edge) - 0.5), -1, count - 1).astype(np.int64)


def _centres(count: int, middle: float, reach: float) -> np.ndarray:
    """Pixels whose centres lie within a reach of a place, along one side."""
    return np.arange(_first(middle - reach - TIE, count), _last(middle + reach + TIE, count) + 1)


def _rows(first: np.ndarray, end: np.ndarray):
    """Every row that each of many things covers, from `first` to before `end`: numbers of things, rows; in parts."""
    count = np.maximum(end - first, 0)
    parts = np.cumsum(count) // AT_ONCE
    for part in range(int(parts[-1]) + 1):
        things = np.flatnonzero(parts == part)
        each = np.repeat(things, count[things])
        before = np.cumsum(count[things]) - count[things]
        yield each, np.arange(len(each)) - np.repeat(before, count[things]) + first[each]


def _disc(x: np.ndarray, y: np.ndarray, radius: float, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rows enter and leave discs; infinite, the other way round, where they miss them."""
    half = np.sqrt(np.maximum((radius - (at - y)) * (radius + (at - y)), 0))
    there = np.abs(at - y) <= radius + TIE
    return np.where(there, x - half, np.inf), np.where(there, x + half, -np.inf)


def _crossing(x0, y0, x1, y1, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rows cross lines, twice; infinite, the one way and the other, where they do not."""
    there = (np.minimum(y0, y1) <= at) & (at <= np.maximum(y0, y1)) & (y0 != y1)
    cross = x0 + (at - y0) * (x1 - x0) / np.where(there, y1 - y0, 1)
    return np.where(there, cross, np.inf), np.where(there, cross, -np.inf)


def _fill_runs(mask: np.ndarray, row: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Set the pixels of rows whose centres lie between two places, both included; a row may come several times."""
    first, end = _first(left - TIE, mask.shape[1]), _last(right + TIE, mask.shape[1]) + 1
    there = first < end
    if not there.any():
        return
    row, first, end = row[there], first[there], end[there]
    top, near = row.min(), first.min()
    changes = np.zeros((row.max() + 1 - top, end.max() - near + 1), np.uint8)
    # along all rows as one line: runs that overlap are joined, so that each begins and ends once
    start = (row - top) * changes.shape[1] - near
    start, stop = start + first, start + end
    order = np.argsort(start)
    start, stop = start[order], np.maximum.accumulate(stop[order])
    apart = start[1:] > stop[:-1]
    begins, ends = np.append(True, apart), np.append(apart, True)
    changes.reshape(-1)[start[begins]] = changes.reshape(-1)[stop[ends]] = 1
    mask[top : top + len(changes), near : near + changes.shape[1] - 1] |= _between(changes)


def _between(changes: np.ndarray) -> np.ndarray:
    """Which pixels lie after an odd number of changes in their row.

    Args:
        changes: uint8 [rows, cols + 1], how many changes there are before each pixel and after the last.

    Returns:
        bool [rows, cols].
    """
    return (np.add.accumulate(changes, axis=1, dtype=np.uint8)[:, :-1] & 1).view(bool)
