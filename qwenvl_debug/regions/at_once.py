"""The measures of `measures` for many maps on several regions at once: each map is put in order once, not per measure.

The definitions stay there, and the tests hold these numbers to them. What makes it quick: a map's cells are sorted as
whole numbers that carry the value in the upper and the cell in the lower half (the bits of floats >= 0 sort as the
floats do), and all that a region needs to know of the order is at which places its own cells stand.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.regions import measures
from qwenvl_debug.regions.measures import INSIDE

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
    maps, total = maps[known], total[known]
    if not len(maps):
        return result
    if "pointing_game" in names:
        result["pointing_game"][:, known] = _pointing_game(maps, covers)
    if "nss" in names:
        result["nss"][:, known] = _nss(maps, covers)
    wanted = [name for name in names if name in SORTED]
    if wanted:
        order = _Order(maps, total, wanted)
        for number, cover in enumerate(covers):
            for name, values in order.on(cover).items():
                result[name][number, known] = values
    return result


def _pointing_game(maps: np.ndarray, covers: np.ndarray) -> np.ndarray:
    top = (maps == maps.max(axis=-1, keepdims=True)).astype(np.float32)
    hit = ((covers >= INSIDE).astype(np.float32) @ top.T).astype(np.float64) / top.sum(-1)
    return np.where(covers.any(1)[:, None], hit, np.nan)


def _nss(maps: np.ndarray, covers: np.ndarray) -> np.ndarray:
    maps = maps.astype(np.float64)
    mean, spread = maps.mean(-1), maps.std(-1)
    flat = spread <= 1e-12 * maps.max(-1)
    size = covers.sum(1)
    weights = covers / np.where(size > 0, size, np.nan)[:, None]
    return (weights @ maps.T - mean) / np.where(flat, np.nan, spread)


class _Order:
    """Maps whose cells are put in order, highest first; equal cells in raster order."""

    def __init__(self, maps: np.ndarray, total: np.ndarray, names: list[str]) -> None:
        self.maps, self.names = maps, names
        ordered, order = _descending(maps)
        places = np.arange(maps.shape[1], dtype=np.int32)
        self.ordered = ordered
        self.place = np.empty(maps.shape, np.int32)
        np.put_along_axis(self.place, order, places[None], -1)
        if "auc" in names:
            self.shared_place = self._shared(order)
        if "iou" in names:
            held = np.cumsum(ordered, axis=-1, dtype=np.float64) / total[:, None]
            taken = (held < 0.5 - 1e-12).sum(-1) + 1
            self.taken = np.minimum(taken, maps.shape[1])[:, None]

    def on(self, cover: np.ndarray) -> dict[str, np.ndarray]:
        """The measures on one region, float64 [n] each; those that are not defined on it are left out."""
        inside = np.flatnonzero(cover >= INSIDE)
        cells, count, found = len(cover), len(inside), {}
        place = self.place[:, inside]
        if "rank_accuracy" in self.names and (k := round(float(cover.sum()))) > 0:
            found["rank_accuracy"] = (place < k).sum(-1) / k
            if k < cells:  # where the K-th and the next are equal, they count by their share
                tied = self.ordered[:, k - 1] == self.ordered[:, k]
                found["rank_accuracy"][tied] = measures.rank_accuracy(self.maps[tied], cover)
        if "auc" in self.names and 0 < count < cells:
            ranks = count * cells - self.shared_place[:, inside].sum(-1, dtype=np.float64)
            found["auc"] = (ranks - count * (count + 1) / 2) / (count * (cells - count))
        if "iou" in self.names and count:
            hit = (place < self.taken).sum(-1)
            found["iou"] = hit / (count + self.taken[:, 0] - hit)
        if "iou_best" in self.names and count:
            hits = np.arange(1, count + 1)  # the best number of cells ends with one that is inside
            found["iou_best"] = (hits / (count + 1 + np.sort(place, axis=-1) - hits)).max(-1)
        return found

    def _shared(self, order: np.ndarray) -> np.ndarray:
        """Places from 0, where equal cells share the mean of theirs; int32, or float64 where any are equal."""
        same = self.ordered[:, 1:] == self.ordered[:, :-1]
        tied = same.any(-1)
        if not tied.any():
            return self.place
        same, cells = same[tied], order.shape[1]
        at = np.arange(cells, dtype=np.int32)
        edge = np.ones((len(same), 1), bool)
        first = np.maximum.accumulate(np.where(np.hstack([edge, ~same]), at, 0), axis=-1)
        last = np.minimum.accumulate(np.where(np.hstack([~same, edge]), at, cells)[:, ::-1], axis=-1)[:, ::-1]
        mean = np.empty((*same.shape[:1], cells))
        np.put_along_axis(mean, order[tied], (first + last) / 2, -1)
        shared = self.place.astype(np.float64)
        shared[tied] = mean
        return shared


def _descending(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values from high to low and the cells they stand in, [n, cells] each; equal ones in raster order."""
    if maps.dtype != np.float32:
        order = np.argsort(-maps, axis=-1, kind="stable")
        return np.take_along_axis(maps, order, -1), order
    bits = (maps + np.float32(0)).view(np.uint32)  # + 0 makes -0 a 0, whose bits sort right
    keys = (~bits).astype(np.uint64) << np.uint64(32) | np.arange(maps.shape[1], dtype=np.uint64)
    keys.sort(axis=-1)
    ordered = (~(keys >> np.uint64(32)).astype(np.uint32)).view(np.float32)
    return ordered, (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
