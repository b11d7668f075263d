"""Which measures mean nothing here, and why? A score that no map could change says nothing about any map.

Two kinds of measures are concerned. Mass, lift and NSS weigh each cell by how much of it the region covers: they need
a region that covers some cells more than others. The pointing game, rank accuracy, AUC and both IoUs count cells as
inside (at least half covered) or outside: they need at least one of each.
"""

from __future__ import annotations

import numpy as np

INSIDE = 0.5
"""Share of a cell that a region must cover for the cell to count as inside."""

ROUNDING = 1e-6
"""What coverage in single precision may be out by."""

WEIGHED = ("mass", "lift", "nss")
COUNTED = ("pointing_game", "rank_accuracy", "auc", "iou", "iou_best")

INSTEAD = "; use mass, lift or NSS, which weigh each cell by how much of it is covered"


def undefined_on(cover: np.ndarray) -> dict[str, str]:
    """The measures that every map would score alike on a region, each with the reason in one sentence.

    Args:
        cover: float [cells], the region's share of each cell, 0..1.

    Returns:
        By key of `REGION_MEASURES`; empty where all are defined. Chance is a region's own and always defined.
    """
    every = (*WEIGHED, *COUNTED)
    cover = np.asarray(cover)
    if not cover.any():
        return dict.fromkeys(every, "The region is empty, or lies outside the picture.")
    if cover.size == 1:
        return dict.fromkeys(every, "The map has a single cell, so every map would score the same.")
    if cover.min() >= 1 - ROUNDING:
        return dict.fromkeys(every, "The region covers the whole picture, so every map would score the same.")
    found = {}
    if np.ptp(cover) <= ROUNDING:
        why = "The region covers the same share of every cell, so every map would score the same."
        found = dict.fromkeys(WEIGHED, why)
    instead = "" if found else INSTEAD
    if not (cover >= INSIDE).any():
        why = f"The region covers less than half of every cell, so no cell counts as inside{instead}."
        return found | dict.fromkeys(COUNTED, why)
    if (cover >= INSIDE).all():
        why = f"The region covers at least half of every cell, so no cell counts as outside{instead}."
        return found | dict.fromkeys(COUNTED, why)
    return found


def undefined_measures(values: np.ndarray, cover: np.ndarray) -> dict[str, str]:
    """The measures that are undefined for a map on a region, each with the reason in one sentence.

    Args:
        values: float [cells], a map.
        cover: float [cells], the region's share of each cell, 0..1.

    Returns:
        By key of `REGION_MEASURES`; empty where all are defined.
    """
    values = np.asarray(values, np.float64)
    if not np.isfinite(values).all() or not values.sum() > 0:
        why = "There is no map here: the layer has no softmax attention, or none of it lies on the picture."
        return dict.fromkeys(("chance", *WEIGHED, *COUNTED), why)
    found = undefined_on(cover)
    if is_flat(values):
        found.setdefault("nss", "The map is even, so no cell stands out from the average.")
    return found


def is_flat(maps: np.ndarray) -> np.ndarray:
    """Whether all cells of a map are equal but for rounding in double precision; bool [...] of float64 [..., cells]."""
    return maps.std(-1) <= 1e-12 * maps.max(-1, initial=0.0)


def count_of(cover: np.ndarray) -> int:
    """How many cells a region amounts to: the sum of its coverage in whole cells, halves rounded up."""
    return int(np.floor(np.sort(cover).sum(dtype=np.float64) + 0.5 + ROUNDING))
