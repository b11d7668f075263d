"""How a map lies on a region: every measure in code and in words, each with what chance would score.

All functions take maps [..., cells] >= 0 of any total and a coverage [cells] in 0..1, both over the same cells in any
order, and give float64 [...]. A cell counts as inside when the region covers at least half of it.

The order of the cells makes no difference: where cells tie, a score is its mean over all orders of them (`ties`). NaN
stands where a number would mean nothing: for an all-zero map or one with NaN, and for what every map would score alike
on this region (`undefined` says which measures that are, and why).
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.maps.measures import MEASURES, Measure, markdown
from qwenvl_debug.regions.ties import expected_iou
from qwenvl_debug.regions.undefined import INSIDE, count_of, is_flat, undefined_on

ROUNDING = 1e-12
"""By how much sums of shares may be out."""

TIES = """\
**Ties.** No score depends on the order of the cells. Where cells tie, it is the mean over all orders of them, in closed
form: of t cells drawn from T that tie, of which h are inside, t h / T are expected inside (pointing game, rank
accuracy), and the IoU is the sum over j of P(j) (a + j) / (n + k - a - j). There n is the number of cells inside, k
that of the set, a that of those inside that are in the set surely, and P(j) = C(h, j) C(T - h, t - j) / C(T, t), which
is hypergeometric. AUC counts a tie as half. The best IoU takes tied cells together, as every threshold does."""

UNDEFINED = """\
**Undefined.** A score that no map could change is left empty, with the reason: everything but chance for a region that
is empty or the whole picture, and for a map of one cell; the pointing game, rank accuracy, AUC and both IoUs where no
cell, or every cell, is at least half covered (mass, lift and NSS remain: they weigh each cell by how much of it is
covered); mass, lift and NSS where all cells are covered alike; NSS for an even map."""


def mass(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Share of the map inside the region, cells counted by how much of them it covers; 0..1."""
    maps, cover = _checked(maps, cover)
    return _defined("mass", cover, (maps @ cover) / _total(maps))


def chance(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """What an even map scores as mass: the region's share of the picture, for each map that has one."""
    maps, cover = _checked(maps, cover)
    return np.where(np.isnan(_total(maps)), np.nan, cover.mean())


def lift(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Mass divided by chance: 1 is even, 2 is twice as much."""
    maps, cover = _checked(maps, cover)
    return mass(maps, cover) / (cover.mean() or np.nan)


def pointing_game(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """1 where the highest cell is inside, else 0; of cells that tie for the highest, the share that is inside."""
    maps, cover = _checked(maps, cover)
    top = maps == maps.max(axis=-1, keepdims=True)
    hit = (top & (cover >= INSIDE)).sum(-1) / np.maximum(top.sum(-1), 1)
    return _defined("pointing_game", cover, _known(maps, hit))


def rank_accuracy(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Share of the K highest cells that are inside, K = sum of coverage, rounded.

    Where t of T tied cells are among the K, of which h are inside, these count t * h / T, the mean over all choices.
    """
    maps, cover = _checked(maps, cover)
    k = count_of(cover)
    if not 0 < k <= len(cover):
        return np.full(maps.shape[:-1], np.nan)
    above, inside, tied, taken = _at_border(maps, cover, np.partition(maps, -k, axis=-1)[..., -k], np.asarray(k))
    return _defined("rank_accuracy", cover, _known(maps, (above + taken * inside / np.maximum(tied, 1)) / k))


def auc(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of the map against inside: how surely an inside cell outranks one outside.

    Tied cells share the mean of their ranks, so that a tie counts half.
    """
    maps, cover = _checked(maps, cover)
    inside = cover >= INSIDE
    n1, n0 = int(inside.sum()), int((~inside).sum())
    if not n1 or not n0:
        return np.full(maps.shape[:-1], np.nan)
    value = (_tied_ranks(maps)[..., inside].sum(-1) - n1 * (n1 + 1) / 2) / (n1 * n0)
    return _defined("auc", cover, _known(maps, value))


def iou(maps: np.ndarray, cover: np.ndarray, q: float = 0.5) -> np.ndarray:
    """IoU@mass q: of the smallest set of cells that holds share q of the map, against the cells inside.

    The set has all cells above some value and, of those that tie at it, as many as are needed: its IoU is the mean over
    all choices of these, see `ties.expected_iou`.
    """
    maps, cover = _checked(maps, cover)
    flat = maps.reshape(-1, maps.shape[-1])
    found = np.full(len(flat), np.nan)
    there = ~np.isnan(_total(flat))
    ordered = -np.sort(-flat[there], axis=-1)
    held = np.cumsum(ordered, axis=-1)
    taken = (held < (q - ROUNDING) * held[:, -1:]).sum(-1) + 1
    last = np.take_along_axis(ordered, taken[:, None] - 1, -1)[:, 0]
    found[there] = expected_iou(*_at_border(flat[there], cover, last, taken), int((cover >= INSIDE).sum()), taken)
    return _defined("iou", cover, found.reshape(maps.shape[:-1]))


def iou_best(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """The best IoU that the cells above any threshold reach; cells that tie are above it together or not at all."""
    maps, cover = _checked(maps, cover)
    inside = cover >= INSIDE
    order = np.argsort(-maps, axis=-1)
    ordered = np.take_along_axis(maps, order, -1)
    hits = np.cumsum(inside[order], axis=-1)
    taken = np.arange(1, maps.shape[-1] + 1)
    border = np.ones(maps.shape, bool)
    border[..., :-1] = ordered[..., 1:] != ordered[..., :-1]
    values = np.where(border, hits / np.maximum(inside.sum() + taken - hits, 1), 0.0)
    return _defined("iou_best", cover, _known(maps, values.max(-1)))


def nss(maps: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """Normalised scanpath saliency: mean over the region of (A - mean) / std; NaN for an even map."""
    maps, cover = _checked(maps, cover)
    spread = np.where(is_flat(maps), np.nan, maps.std(-1))
    scaled = (maps - maps.mean(-1, keepdims=True)) / spread[..., None]
    return _defined("nss", cover, _known(maps, scaled @ (cover / (cover.sum() or np.nan))))


def _checked(maps: np.ndarray, cover: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(maps, np.float64), np.asarray(cover, np.float64)


def _total(maps: np.ndarray) -> np.ndarray:
    total = maps.sum(-1)
    return np.where(total > 0, total, np.nan)


def _known(maps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values where there is a map; NaN elsewhere."""
    return np.where(np.isnan(_total(maps)), np.nan, values)


def _defined(measure: str, cover: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of a measure; NaN where every map would score alike on this region."""
    return np.full_like(values, np.nan) if measure in undefined_on(cover) else values


def _at_border(maps: np.ndarray, cover: np.ndarray, last: np.ndarray, taken: np.ndarray) -> tuple[np.ndarray, ...]:
    """What is known of the `taken` highest cells, of which the lowest has the value `last`; float or int [...] each.

    Returns:
        How many of the cells above that value are inside, how many of those that tie at it are, how many tie at it, and
        how many of these are among the highest.
    """
    inside = cover >= INSIDE
    above, tied = maps > last[..., None], maps == last[..., None]
    return (above & inside).sum(-1), (tied & inside).sum(-1), tied.sum(-1), taken - above.sum(-1)


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
        "Whether the single highest cell lies inside; of cells that tie for the highest, the share that does. It says "
        "nothing about the rest of the map.",
        0.0, 1.0, "by chance, the share of cells inside",
        "the highest of four cells is the region's: 1",
        "Zhang et al. 2016", pointing_game,
    ),
    "rank_accuracy": _measure(
        "rank accuracy",
        "share of the K highest cells with M >= 0.5, K = sum(M) rounded, halves up",
        "Of as many highest cells as the region has, how many lie inside. Tied cells count by their expected share.",
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
        "IoU of the smallest set of cells holding half of p, against M >= 0.5; its mean over all choices of tied cells",
        "How well the brightest half of the map and the region are the same cells.",
        0.0, 1.0, "see the best IoU, which this cannot exceed unless cells tie",
        "half of the map on exactly the region's cells: 1",
        "intersection over union; the rule for the set is part of the name", iou,
    ),
    "iou_best": _measure(
        "best IoU",
        "max over thresholds v of the IoU of the cells with A >= v, against M >= 0.5",
        "The best IoU that this map reaches at any threshold. Cells that tie are taken together.",
        0.0, 1.0, "an even map has the share of cells inside",
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
    return markdown(MEASURES | REGION_MEASURES, (TIES, UNDEFINED))
