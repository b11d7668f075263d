"""The measures of `measures` for many maps on several regions at once: each map is put in order once, not per measure.

The definitions stay there, and the tests hold these numbers to them. What makes it quick: a map's cells are sorted as
whole numbers that carry the value in the upper and the cell in the lower half (the bits of floats >= 0 sort as the
floats do), and all that a region needs to know of the order is at which places its own cells stand. Sorting puts tied
cells in some order; no score depends on which, since only the borders of a tie are looked at.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.regions.measures import ROUNDING
from qwenvl_debug.regions.ties import expected_iou
from qwenvl_debug.regions.undefined import INSIDE, count_of, is_flat, undefined_on

SORTED = frozenset({"rank_accuracy", "auc", "iou", "iou_best"})
"""The measures that need the order."""


def at_once(maps: np.ndarray, covers: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Measures of maps on regions.

    Args:
        maps: float [n, cells], >= 0; NaN where there is no map.
        covers: float [regions, cells], 0..1.
        names: of "pointing_game", "nss", "rank_accuracy", "auc", "iou" and "iou_best".

    Returns:
        float64 [regions, n] by measure, NaN where one is not defined.
    """
    covers = np.asarray(covers, np.float64)
    result = {name: np.full((len(covers), len(maps)), np.nan) for name in names}
    total = maps.sum(axis=-1, dtype=np.float64)
    known = total > 0  # not of NaN
    maps = maps[known]
    if not len(maps):
        return result
    if "pointing_game" in names:
        result["pointing_game"][:, known] = _pointing_game(maps, covers)
    if "nss" in names:
        result["nss"][:, known] = _nss(maps, covers)
    order = _Order(maps, names) if SORTED & set(names) else None
    for number, cover in enumerate(covers):
        undefined = undefined_on(cover)
        wanted = [name for name in names if name in SORTED and name not in undefined]
        for name, values in order.on(cover, wanted).items() if wanted else ():
            result[name][number, known] = values
        for name in set(names) & set(undefined):
            result[name][number] = np.nan
    return result


def _pointing_game(maps: np.ndarray, covers: np.ndarray) -> np.ndarray:
    top = (maps == maps.max(axis=-1, keepdims=True)).astype(np.float32)
    return ((covers >= INSIDE).astype(np.float32) @ top.T).astype(np.float64) / top.sum(-1)


def _nss(maps: np.ndarray, covers: np.ndarray) -> np.ndarray:
    maps = maps.astype(np.float64)
    size = covers.sum(1)
    weights = covers / np.where(size > 0, size, np.nan)[:, None]
    return (weights @ maps.T - maps.mean(-1)) / np.where(is_flat(maps), np.nan, maps.std(-1))


class _Order:
    """Maps whose cells are put in order, highest first."""

    def __init__(self, maps: np.ndarray, names: list[str]) -> None:
        self.ordered, order = _descending(maps)
        places = np.arange(maps.shape[1], dtype=np.int32)
        self.place = np.empty(maps.shape, np.int32)
        np.put_along_axis(self.place, order, places[None], -1)
        if {"auc", "iou_best"} & set(names):
            self.end, self.shared = self._ties(order)
        if "iou" in names:
            held = np.cumsum(self.ordered, axis=-1, dtype=np.float64)
            self.taken = (held < (0.5 - ROUNDING) * held[:, -1:]).sum(-1) + 1

    def on(self, cover: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
        """These measures, which must be defined on the region, float64 [n] each."""
        inside = np.flatnonzero(cover >= INSIDE)
        cells, count, found = len(cover), len(inside), {}
        place = self.place[:, inside]
        if "rank_accuracy" in names:
            k = count_of(cover)
            above, hits, tied, taken = self._at_border(place, np.full(len(place), k))
            found["rank_accuracy"] = (above + taken * hits / tied) / k
        if "auc" in names:
            ranks = count * cells - self.shared[:, inside].sum(-1, dtype=np.float64)
            found["auc"] = (ranks - count * (count + 1) / 2) / (count * (cells - count))
        if "iou" in names:
            found["iou"] = expected_iou(*self._at_border(place, self.taken), count, self.taken)
        if "iou_best" in names:
            hits = np.arange(1, count + 1)  # the best threshold is at the value of a cell that is inside
            found["iou_best"] = (hits / (count + 1 + np.sort(self.end[:, inside], axis=-1) - hits)).max(-1)
        return found

    def _at_border(self, place: np.ndarray, taken: np.ndarray) -> tuple[np.ndarray, ...]:
        """As `measures._at_border`, of the `taken` highest cells of each map; int [n] each."""
        each, first, end = np.arange(len(taken)), taken - 1, taken.copy()
        last, after = self.ordered[each, first], self.ordered[each, np.minimum(taken, self.ordered.shape[1] - 1)]
        if (tied := (last == after) & (taken < self.ordered.shape[1])).any():
            ordered, last = self.ordered[tied], last[tied, None]
            first[tied], end[tied] = (ordered > last).sum(-1), (ordered >= last).sum(-1)
        above = (place < first[:, None]).sum(-1)
        return above, (place < end[:, None]).sum(-1) - above, end - first, taken - first

    def _ties(self, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each cell the last place of those it ties with, and the mean of theirs; int32, or float64 with ties."""
        same = self.ordered[:, 1:] == self.ordered[:, :-1]
        tied = same.any(-1)
        if not tied.any():
            return self.place, self.place
        same, order, cells = same[tied], order[tied], order.shape[1]
        at = np.arange(cells, dtype=np.int32)
        edge = np.ones((len(same), 1), bool)
        first = np.maximum.accumulate(np.where(np.hstack([edge, ~same]), at, 0), axis=-1)
        last = np.minimum.accumulate(np.where(np.hstack([~same, edge]), at, cells)[:, ::-1], axis=-1)[:, ::-1]
        end, shared = self.place.copy(), self.place.astype(np.float64)
        for places, values in ((end, last), (shared, (first + last) / 2)):
            of_cells = np.empty(order.shape, places.dtype)
            np.put_along_axis(of_cells, order, values.astype(places.dtype), -1)
            places[tied] = of_cells
        return end, shared


def _descending(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values from high to low and the cells they stand in, [n, cells] each."""
    if maps.dtype != np.float32:
        order = np.argsort(-maps, axis=-1)
        return np.take_along_axis(maps, order, -1), order
    bits = (maps + np.float32(0)).view(np.uint32)  # + 0 makes -0 a 0, whose bits sort right
    keys = (~bits).astype(np.uint64) << np.uint64(32) | np.arange(maps.shape[1], dtype=np.uint64)
    keys.sort(axis=-1)
    ordered = (~(keys >> np.uint64(32)).astype(np.uint32)).view(np.float32)
    return ordered, (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
