"""Is a region's mass worth anything? What to compare it with: chance, the picture's middle, and random placements.

A region may score well because it is large, because it lies in the middle, where models like to look, or because of
what is in it. `baselines` tells these apart: the mass of an even map, that of a map which knows only the middle, and
the mass of the same map on the same shape moved elsewhere in the same picture (see `placements`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qwenvl_debug.regions.mask import coverage
from qwenvl_debug.regions.placements import covers_at, placements
from qwenvl_debug.regions.score import score_maps

PLACES = 100
"""Random placements of a region, where the picture has that many."""
TIE = 1e-5  # of mass: sums in single precision differ by less
SPREAD = 0.25  # of the picture's sides: standard deviation of the map that only prefers the middle


@dataclass(frozen=True)
class Baselines:
    """What a score may be held against.

    Attributes:
        uniform: mass of an even map, which is chance.
        centre: mass of a map that only prefers the middle of the picture; NaN for an empty region.
        elsewhere: float64 [places], mass of the same map on the region moved to other places of the picture, which
            overlap it by at most half of its pixels; fewer than were asked for, or none, where the picture has no more.
        less: how many of those places score less than the region; those that tie do not.
        percentile: share of those places that score less, those that tie counted half; 0..1, NaN without places or
            without a map.
    """

    uniform: float
    centre: float
    elsewhere: np.ndarray
    less: int
    percentile: float


def baselines(values: np.ndarray, mask: np.ndarray, places: int = PLACES, seed: int = 0) -> Baselines:
    """What else the mass of a map on a region may be held against.

    Args:
        values: float [rows, cols], a map.
        mask: bool [height, width], the region's pixels.
        places: to how many other places the region is moved, where there are that many.
        seed: fixes the places.
    """
    grid = values.shape
    return held_against(values, coverage(mask, grid), covers_elsewhere(mask, grid, places, seed))


def held_against(values: np.ndarray, cover: np.ndarray, elsewhere: np.ndarray) -> Baselines:
    """As `baselines`, from what is the same for every layer and head.

    Args:
        values: float [rows, cols], a map.
        cover: float32 [rows, cols], the region's share of each cell.
        elsewhere: float32 [places, rows * cols], from `covers_elsewhere`.
    """
    rows, cols = values.shape
    own = cover.reshape(1, -1)
    y, x = np.mgrid[0:rows, 0:cols]
    centre = np.exp(-0.5 * (((y + 0.5) / rows - 0.5) ** 2 + ((x + 0.5) / cols - 0.5) ** 2) / SPREAD**2)
    mine, others = _mass(values, own)[0], _mass(values, elsewhere)
    less, tied = int((others < mine - TIE).sum()), int((np.abs(others - mine) <= TIE).sum())
    percentile = (less + tied / 2) / len(others) if len(others) and np.isfinite(mine) else np.nan
    return Baselines(float(own.mean(dtype=np.float64)), float(_mass(centre, own)[0]), others, less, percentile)


def covers_elsewhere(mask: np.ndarray, grid: tuple[int, int], places: int = PLACES, seed: int = 0) -> np.ndarray:
    """The coverage of a region moved to other places of the picture, drawn at random.

    Args:
        mask: bool [height, width], the region's pixels.
        grid: rows, cols of the map.
        places: how many.
        seed: fixes them.

    Returns:
        float32 [places, rows * cols]. At each place the region lies whole within the picture and overlaps itself by at
        most half of its pixels, and no place comes twice: where the picture has fewer such places, all of them are
        given.
    """
    return covers_at(mask, grid, placements(mask, places, seed))


def _mass(values: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """float64 [covers]"""
    return score_maps(values.reshape(1, -1), covers, ["mass"])["mass"][:, 0]
