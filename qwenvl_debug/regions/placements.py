"""Where else in the picture could the same shape stand? Random placements to hold a region's score against.

A placement is worth comparing with only if it is another place: the shape lies whole within the picture and overlaps
the region itself by at most half of its own pixels, and no placement comes twice. A large region has few of these, or
none, so fewer may be found than were asked for.

The overlaps of all placements are the autocorrelation of the shape, by FFT. In a picture of more than `PIXELS` it is
taken of a reduced copy, so that placements are whole steps of the copy's pixels; each is then checked at full size.
"""

from __future__ import annotations

import numpy as np

PIXELS = 1_000_000
"""Of the copy on which overlaps are computed: a fraction of a second and some tens of megabytes."""

TRIES = 20
"""How many placements are checked at full size for each that is wanted; only combs finer than the copy need many."""


def placements(mask: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Other places for a region's shape, drawn at random.

    Args:
        mask: bool [height, width], the region's pixels.
        count: how many are wanted.
        seed: fixes them.

    Returns:
        int [found, 2]: by how many pixels the region is moved down and to the right; all different, `found` at most
        `count`, and less where the picture has no more. No placements for an empty region.
    """
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return np.empty((0, 2), int)
    piece = mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    step = int(np.ceil((mask.size / PIXELS) ** 0.5)) if mask.size > PIXELS else 1
    down, right = (
        np.arange(-(start // step), (side - length - start) // step + 1)
        for start, side, length in zip((rows[0], cols[0]), mask.shape, piece.shape, strict=True)
    )
    area = np.count_nonzero(piece)
    apart = np.flatnonzero(_overlaps(piece, step, down, right) <= area / 2)
    found: list[tuple[int, int]] = []
    for place in np.random.default_rng(seed).permutation(apart)[: TRIES * count]:
        dy, dx = step * down[place // len(right)], step * right[place % len(right)]
        if step == 1 or _overlap(piece, dy, dx) <= area / 2:
            found.append((dy, dx))
        if len(found) == count:
            break
    return np.array(found, int).reshape(-1, 2)


def _overlaps(piece: np.ndarray, step: int, down: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many pixels a shape shares with itself moved by `step` times `down` and `right`; float [down, right]."""
    height, width = (-(-side // step) for side in piece.shape)
    whole = np.zeros((height * step, width * step), np.float32)
    whole[: piece.shape[0], : piece.shape[1]] = piece
    small = whole.reshape(height, step, width, step).mean((1, 3), dtype=np.float64)
    shape = (2 * height, 2 * width)
    shared = np.fft.irfft2(np.abs(np.fft.rfft2(small, shape)) ** 2, shape) * step**2
    near = (np.abs(down) < height)[:, None] & (np.abs(right) < width)
    found = np.where(near, shared[np.ix_(down % shape[0], right % shape[1])], 0.0)
    return np.rint(found) if step == 1 else found  # of whole pixels, sums are whole but for rounding


def _overlap(piece: np.ndarray, dy: int, dx: int) -> int:
    """How many pixels a shape shares with itself moved down and to the right."""
    height, width = piece.shape
    still = piece[max(0, dy) : max(0, height + dy), max(0, dx) : max(0, width + dx)]
    moved = piece[max(0, -dy) : max(0, height - dy), max(0, -dx) : max(0, width - dx)]
    return np.count_nonzero(still & moved)


def covers_at(mask: np.ndarray, grid: tuple[int, int], places: np.ndarray) -> np.ndarray:
    """The coverage of a region at other places.

    Args:
        mask: bool [height, width], the region's pixels.
        grid: rows, cols of the map.
        places: int [places, 2], from `placements`.

    Returns:
        float32 [places, rows * cols], 0..1, exact by area.
    """
    if not len(places):
        return np.empty((0, grid[0] * grid[1]), np.float32)
    rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    start, piece = (rows[0], cols[0]), mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    total = np.zeros((piece.shape[0] + 1, piece.shape[1] + 1), np.int32)  # pixels above and left of each corner
    np.cumsum(np.cumsum(piece, axis=0, dtype=np.int32), axis=1, out=total[1:, 1:])
    sides = list(zip(grid, mask.shape, start, strict=True))
    found = np.empty((len(places), *grid))
    for number, place in enumerate(places):
        y, x = (np.arange(n + 1) * side / n - first - by for (n, side, first), by in zip(sides, place, strict=True))
        inside = _between(_between(total, y).T, x).T  # between corners the sum is linear along both sides
        found[number] = np.diff(np.diff(inside, axis=0), axis=1)
    share = found * (grid[0] * grid[1] / mask.size)
    return np.clip(share, 0, 1).reshape(len(places), -1).astype(np.float32)


def _between(values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows of [rows, cols] at fractional places, linear between them; beyond the ends the last row."""
    at = np.clip(at, 0, len(values) - 1)
    low = np.minimum(at.astype(int), len(values) - 2)
    part = (at - low)[:, None]
    return values[low] * (1 - part) + values[low + 1] * part
