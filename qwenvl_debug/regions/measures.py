"""How a map lies on a region: every measure in code and in words, each with what chance would score.

All functions take maps [..., cells] >= 0 of any total and a coverage [cells] in 0..1, both over the same cells in
raster order, and give float64 [...]. NaN stands where a number would mean nothing: an all-zero map or one with NaN,
an empty region, and, for measures that compare inside with outside, a region that covers everything.
A cell counts as inside when the region covers at least half of it.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.maps.measures import MEASURES, Measure, markdown

INSIDE = 0.5


def mass(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Share of the map inside the region, cells counted by how much of them it covers; 0..1."""
    maps, cover = _checked(maps, cover)
    return _undefined(cover, (maps @ cover) / _total(maps))


def chance(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """What an even map scores as mass: the region's share of the picture, for each map that has one."""
    maps, cover = _checked(maps, cover)
    return np.where(np.isnan(_total(maps)), np.nan, cover.mean())


def lift(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Mass divided by chance: 1 is even, 2 is twice as much; NaN for an empty region."""
    maps, cover = _checked(maps, cover)
    return mass(maps, cover) / (cover.mean() or np.nan)


def pointing_game(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """1 where the highest cell is inside, else 0; cells that tie for the highest share the point."""
    maps, cover = _checked(maps, cover)
    top = maps == maps.max(axis=-1, keepdims=True)
    hit = (top & (cover >= INSIDE)).sum(-1) / np.maximum(top.sum(-1), 1)
    return _undefined(cover, np.where(np.isnan(_total(maps)), np.nan, hit))


def rank_accuracy(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Share of the K highest cells that are inside, K = round(sum of coverage); ties count by their share."""
    maps, cover = _checked(maps, cover)
    k = round(float(cover.sum()))
    if not k > 0:
        return np.full(maps.shape[:-1], np.nan)
    last = np.partition(maps, -k, axis=-1)[..., -k, None]
    above, tied, inside = maps > last, maps == last, cover >= INSIDE
    places = k - above.sum(-1)
    found = (above & inside).sum(-1) + places * (tied & inside).sum(-1) / np.maximum(tied.sum(-1), 1)
    return np.where(np.isnan(_total(maps)), np.nan, found / k)


def auc(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of the map against inside: how surely an inside cell outranks one outside."""
    maps, cover = _checked(maps, cover)
    inside = cover >= INSIDE
    n1, n0 = int(inside.sum()), int((~inside).sum())
    if not n1 or not n0:
        return np.full(maps.shape[:-1], np.nan)
    ranks = _tied_ranks(maps)
    value = (ranks[..., inside].sum(-1) - n1 * (n1 + 1) / 2) / (n1 * n0)
    return np.where(np.isnan(_total(maps)), np.nan, value)


def iou(maps: np.ndarray, cover: np.ndarray, q: float = 0.5) -> np.ndarray:
    """IoU@mass q: of the smallest set of cells that holds share q of the map, against the cells inside."""
    return _iou(maps, cover, q)[0]


def iou_best(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """The best IoU that any number of highest cells of this map reaches."""
    return _iou(maps, cover, 0.5)[1]


def nss(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Normalised scanpath saliency: mean over the region of (A - mean) / std; NaN for an even map."""
    maps, cover = _checked(maps, cover)
    spread = maps.std(-1, keepdims=True)
    flat = spread <= 1e-12 * maps.max(-1, keepdims=True, initial=0.0)
    scaled = (maps - maps.mean(-1, keepdims=True)) / np.where(flat, np.nan, spread)
    weight = cover / (cover.sum() or np.nan)
    return np.where(np.isnan(_total(maps)), np.nan, scaled @ weight)


def _checked(maps: np.ndarray, cover: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(maps, np.float64), np.asarray(cover, np.float64)


def _total(maps: np.ndarray) -> np.ndarray:
    total = maps.sum(-1)
    return np.where(total > 0, total, np.nan)


def _undefined(cover: np.ndarray, values: np.ndarray) -> np.ndarray:
    return values if cover.any() else np.full_like(values, np.nan)


def _tied_ranks(maps: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the last axis; equal values share the mean of their ranks."""
    order = np.argsort(maps, axis=-1)
    ordered = np.take_along_axis(maps, order, -1)
    place = np.broadcast_to(np.arange(maps.shape[-1]), maps.shape)
    starts = np.ones(maps.shape, bool)
    starts[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ends = np.ones(maps.shape, bool)
    ends[..., :-1] = starts[..., 1:]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, place, maps.shape[-1])[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(maps.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, -1)
    return ranks


def _iou(maps: np.ndarray, cover: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray]:
    """IoU at mass q, and the best over all numbers of highest cells."""
    maps, cover = _checked(maps, cover)
    inside, total = cover >= INSIDE, _total(maps)
    if not inside.any():
        nothing = np.full(maps.shape[:-1], np.nan)
        return nothing, nothing.copy()
    order = np.argsort(-maps, axis=-1, kind="stable")
    held = np.cumsum(np.take_along_axis(maps, order, -1), -1) / total[..., None]
    found = np.cumsum(inside[order], -1)
    taken = np.arange(1, maps.shape[-1] + 1)
    values = found / (inside.sum() + taken - found)
    count = (held < q - 1e-12).sum(-1, keepdims=True)
    at = np.take_along_axis(values, np.minimum(count, maps.shape[-1] - 1), -1)[..., 0]
    known = ~np.isnan(total)
    return np.where(known, at, np.nan), np.where(known, values.max(-1), np.nan)


def _measure(name, formula, plain, low, high, reference, example, source, compute) -> Measure:
    return Measure(name, formula, plain, low, high, reference, example, source, compute)


REGION_MEASURES: dict[str, Measure] = {
    "mass": _measure(
        "mass",
        "sum(p * M), with p = A / sum(A)",
        "The share of the map that lies inside the region. Always read it beside chance.",
        0.0, 1.0, "an even map scores chance, the region's share of the picture",
        "four equal cells, the region on one of them: 0.25",
        "energy-based pointing game, Wang et al. 2020 (Score-CAM)", mass,
    ),
    "chance": _measure(
        "chance",
        "mean(M)",
        "What a map that knows nothing scores as mass: the share of the picture that the region covers.",
        0.0, 1.0, "itself",
        "a region on a quarter of the picture: 0.25",
        "the mass of a uniform map", chance,
    ),
    "lift": _measure(
        "lift",
        "mass / mean(M)",
        "How many times more than chance lies inside: 1 is even, 2 is twice as much, below 1 is less.",
        0.0, np.inf, "an even map has 1",
        "half of the map on a quarter of the picture: 2",
        "a ratio to the uniform map", lift,
    ),
    "pointing_game": _measure(
        "pointing game",
        "1 if the highest cell has M >= 0.5, else 0",
        "Whether the single highest cell lies inside. It says nothing about the rest of the map.",
        0.0, 1.0, "by chance, the share of cells inside",
        "the highest of four cells is the region's: 1",
        "Zhang et al. 2016; undefined for an empty region", pointing_game,
    ),
    "rank_accuracy": _measure(
        "rank accuracy",
        "share of the K highest cells with M >= 0.5, K = round(sum(M))",
        "Of as many highest cells as the region has, how many lie inside.",
        0.0, 1.0, "by chance, about the share of cells inside",
        "the two highest cells, one of them inside a region of two: 0.5",
        "relevance rank accuracy, Arras et al. 2022 (CLEVR-XAI)", rank_accuracy,
    ),
    "auc": _measure(
        "AUC",
        "ROC AUC of A against M >= 0.5",
        "How surely a cell inside is higher than a cell outside, wherever the threshold is put.",
        0.0, 1.0, "by chance 0.5",
        "every inside cell above every other: 1",
        "area under the ROC curve, ties counted half", auc,
    ),
    "iou": _measure(
        "IoU@mass 0.5",
        "IoU of the smallest set of cells holding half of p, against M >= 0.5",
        "How well the brightest half of the map and the region are the same cells.",
        0.0, 1.0, "see the best IoU that any number of highest cells reaches",
        "half of the map on exactly the region's cells: 1",
        "intersection over union; the rule for the set is part of the name", iou,
    ),
    "iou_best": _measure(
        "best IoU",
        "max over k of the IoU of the k highest cells, against M >= 0.5",
        "The best IoU that this map reaches at any threshold.",
        0.0, 1.0, "an upper bound for IoU at any rule",
        "the region's cells are the highest ones: 1",
        "intersection over union, threshold chosen with hindsight", iou_best,
    ),
    "nss": _measure(
        "NSS",
        "mean over the region of (A - mean(A)) / std(A)",
        "How many standard deviations the region stands above the average cell.",
        -np.inf, np.inf, "by chance 0",
        "cells 1, 0, 0, 0 and the region on the first: 1.73",
        "normalised scanpath saliency, Peters et al. 2005", nss,
    ),
}  # fmt: skip


def page() -> str:
    """The page docs/measures.md: every measure there is, those of maps first."""
    return markdown(MEASURES | REGION_MEASURES)
