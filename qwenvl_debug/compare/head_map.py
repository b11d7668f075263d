"""Which heads look alike, and which changed? Every head of both runs as a point on one plane, by its attention pattern.

A pattern is a head's map over the cells that both pictures show, as shares of that. Its square root is taken, so that
the straight distance between two patterns is Hellinger's, which like the map distance compares shares and is not ruled
by the few cells that hold nearly everything. The plane is the one that keeps most of the distances (principal
components of all patterns of both runs together), so that near points look alike; far apart they surely do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qwenvl_debug.compare.grids import Overlap, overlap
from qwenvl_debug.maps import MapStack

BLOCK, STEPS = 8, 6


@dataclass(frozen=True, eq=False)
class HeadMap:
    """The heads of both runs as points.

    Attributes:
        left, right: float32 [layers, heads, 2], where each head of the correct and of the failing run lies; NaN for a
            head without a map.
        explained: which share of all patterns' variance either axis keeps, 0..1; NaN where all patterns are the same.
    """

    left: np.ndarray
    right: np.ndarray
    explained: tuple[float, float]

    @property
    def moved(self) -> np.ndarray:
        """float32 [layers, heads]: how far each head lies from itself in the other run; NaN without a map in both."""
        return np.linalg.norm(self.right - self.left, axis=-1)


def head_map(left: MapStack, right: MapStack, laid: Overlap | None = None) -> HeadMap:
    """Lay out the heads of two runs by their attention patterns.

    Args:
        left, right: the maps of the correct and of the failing side, of as many layers and heads.
        laid: how the pictures lie on each other; edge on edge unless given.

    Returns:
        The same points every time; equal maps are equal points. Each axis points to where the cell that sways it most
        gets more attention.
    """
    laid = laid or overlap(tuple((stack.grid.rows, stack.grid.cols) for stack in (left, right)))
    sides = [_patterns(stack, laid, side) for side, stack in enumerate((left, right))]
    absent = [np.isnan(side[:, 0]) for side in sides]
    heads = sum(int((~missing).sum()) for missing in absent)
    for side, missing in zip(sides, absent, strict=True):
        side[missing] = 0
    centre = sum(side.sum(axis=0) for side in sides) / max(heads, 1)
    for side, missing in zip(sides, absent, strict=True):
        side[~missing] -= centre
    axes, explained = _first_two(np.concatenate(sides))
    # One product per side, of one shape: rounding may depend on a row's place, and a run must equal itself exactly.
    places = [np.where(missing[:, None], np.nan, side @ axes.T) for side, missing in zip(sides, absent, strict=True)]
    shape = (*left.values.shape[:2], 2)
    return HeadMap(*(place.astype(np.float32).reshape(shape) for place in places), explained)


def _patterns(stack: MapStack, laid: Overlap, side: int) -> np.ndarray:
    """float64 [layers * heads, pieces]: square roots of shares, each of length 1; NaN for a head without a map."""
    maps = stack.values.reshape(-1, stack.grid.rows * stack.grid.cols).astype(np.float64)
    pieces = laid.cut(maps, side)
    total = pieces.sum(axis=1, keepdims=True)
    return np.sqrt(pieces / np.where(total > 0, total, np.nan))


def _first_two(centred: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The first two principal axes of points [heads, pieces], float64 [2, pieces], and either's share of variance.

    Found in a block Krylov space (Musco and Musco 2015, from a fixed start) in place of a full decomposition, which
    takes seconds for the 2,304 heads of two runs of a large model.
    """
    pieces = centred.shape[1]
    total = float((centred**2).sum())
    if total == 0:
        return np.zeros((2, pieces)), (np.nan, np.nan)
    block, space = np.random.default_rng(0).normal(size=(pieces, min(BLOCK, pieces))), []
    for _ in range(STEPS):
        block, _ = np.linalg.qr(centred.T @ (centred @ block))
        space.append(block)
    basis, _ = np.linalg.qr(np.concatenate(space, axis=1))
    _, lengths, turns = np.linalg.svd(centred @ basis, full_matrices=False)
    axes, kept = np.zeros((2, pieces)), np.zeros(2)
    count = min(2, len(lengths))
    axes[:count], kept[:count] = (turns @ basis.T)[:count], lengths[:count] ** 2 / total
    swayed = np.abs(axes).argmax(axis=1)
    axes[axes[[0, 1], swayed] < 0] *= -1
    return axes, (float(kept[0]), float(kept[1]))
