"""No score depends on the order of the cells, and none is a number that every map would have."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.regions import REGION_MEASURES, score_maps
from qwenvl_debug.regions.at_once import at_once
from qwenvl_debug.regions.score import why_undefined
from qwenvl_debug.regions.ties import expected_iou
from qwenvl_debug.regions.undefined import undefined_on

ORDERED = ["pointing_game", "rank_accuracy", "auc", "iou", "iou_best", "nss"]


@st.composite
def tied_maps(draw, most: int = 12, kinds=(np.float32, np.float64)):
    """A map with ties and exact zeros and a coverage with halves, [rows, cols] each."""
    rows, cols = draw(st.integers(1, most)), draw(st.integers(1, most))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    levels = draw(st.sampled_from([1, 2, 3, 5, 1000]))
    values = rng.integers(0, levels + 1, (rows, cols)) * draw(st.sampled_from([1, 0.1, 1 / 3]))
    values = np.where(rng.random((rows, cols)) < draw(st.sampled_from([0, 0.5, 0.9])), 0, values)
    cover = rng.choice(
        [0, 0.2, 0.5, 0.7, 1], (rows, cols), p=draw(st.sampled_from([(0.4, 0.1, 0.1, 0.1, 0.3), (0.9, 0, 0, 0, 0.1)]))
    )
    return values.astype(draw(st.sampled_from(kinds))), cover.astype(np.float32)


def measured(values: np.ndarray, cover: np.ndarray) -> dict[str, float]:
    """Every measure by its definition."""
    return {
        name: float(one.compute(values.reshape(1, -1), cover.reshape(-1))[0]) for name, one in REGION_MEASURES.items()
    }


def all_at_once(values: np.ndarray, cover: np.ndarray) -> dict[str, float]:
    found = score_maps(values.reshape(1, -1), cover.reshape(1, -1))
    return {name: float(one[0, 0]) for name, one in found.items()}


def same(one: dict[str, float], other: dict[str, float]) -> None:
    for name, value in one.items():
        assert value == pytest.approx(other[name], rel=2e-5, abs=1e-6, nan_ok=True), name


@pytest.mark.parametrize("compute", [measured, all_at_once])
@given(tied_maps(), st.integers(0, 2**16))
def test_mirroring_turning_or_mixing_the_cells_of_map_and_region_together_changes_no_measure(compute, one, seed):
    values, cover = one
    before = compute(values, cover)
    mixed = np.random.default_rng(seed).permutation(values.size)
    for change in (
        lambda cells: cells[:, ::-1],
        lambda cells: cells[::-1],
        lambda cells: cells.T,
        lambda cells: cells.reshape(-1)[mixed],
    ):
        same(before, compute(change(values), change(cover)))


@given(tied_maps())
def test_all_measures_at_once_are_those_of_the_definitions(one):
    values, cover = one
    same(measured(values, cover), all_at_once(values, cover))


@pytest.mark.parametrize("half", [np.s_[:4], np.s_[4:], np.s_[::2], np.s_[1::2]])
def test_an_even_map_scores_the_same_on_every_half_of_the_picture(half):
    """Row by row it would hold half of itself exactly on the upper half: an IoU of 1, and of 0 on the lower one."""
    cover = np.zeros((8, 6), np.float32)
    cover[half] = 1
    found = all_at_once(np.full((8, 6), 0.25, np.float32), cover)
    assert found["mass"] == found["auc"] == found["pointing_game"] == found["rank_accuracy"] == pytest.approx(0.5)
    assert found["iou_best"] == pytest.approx(0.5)
    assert 1 / 3 < found["iou"] < 0.35


def orders_of(values: np.ndarray):
    """Every order of the cells, highest first; tied cells in all of theirs."""
    return [order for order in permutations(range(len(values))) if (np.diff(values[list(order)]) <= 0).all()]


@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=6).filter(any),
    st.lists(st.sampled_from([0.0, 0.3, 0.5, 1.0]), min_size=6, max_size=6),
)
def test_a_score_is_the_mean_over_all_orders_of_tied_cells(values, covers):
    values, cover = np.array(values, float), np.array(covers[: len(values)])
    inside, count = cover >= 0.5, len(values)
    if not inside.any() or inside.all():
        return
    k = int(np.floor(cover.sum() + 0.5))
    taken = 1 + next(n for n in range(count) if np.sort(values)[::-1][: n + 1].sum() >= values.sum() / 2)
    wanted = {name: [] for name in ORDERED[:4]}
    for order in orders_of(values):
        hits = inside[list(order)]
        wanted["pointing_game"].append(float(hits[0]))
        wanted["rank_accuracy"].append(hits[:k].mean())
        ahead = [hits[n + 1 :].size - hits[n + 1 :].sum() for n in np.flatnonzero(hits)]  # cells outside, lower down
        wanted["auc"].append(sum(ahead) / (inside.sum() * (~inside).sum()))
        wanted["iou"].append(hits[:taken].sum() / (inside.sum() + taken - hits[:taken].sum()))
    for found in (measured(values, cover), all_at_once(values, cover)):
        for name, scores in wanted.items():
            assert found[name] == pytest.approx(np.mean(scores)), name


@given(tied_maps(most=5))
def test_the_best_iou_is_that_of_the_best_threshold(one):
    values, cover = (cells.reshape(-1) for cells in one)
    inside = cover >= 0.5
    if values.any() and inside.any() and not inside.all():
        sets = [values >= threshold for threshold in np.unique(values)]
        best = max((some & inside).sum() / (some | inside).sum() for some in sets)
        assert all_at_once(values, cover)["iou_best"] == pytest.approx(best)


def test_the_mean_iou_is_that_of_many_draws_also_of_thousands_of_cells():
    rng = np.random.default_rng(0)
    tied, inside, taken = 6000, 2500, 1700
    hits = rng.hypergeometric(inside, tied - inside, taken, 20_000)
    drawn = (40 + hits) / (2600 + 1800 - 40 - hits)
    (found,) = expected_iou([40], [inside], [tied], [taken], 2600, [1800])
    assert found == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(len(drawn)))


@given(tied_maps(most=3))
def test_what_every_map_would_score_alike_is_not_a_number(one):
    """Every order of distinct values, and a map on one cell for each cell, stand for every map."""
    cover = one[1].reshape(-1)[:6]
    several = [*permutations(np.arange(1.0, len(cover) + 1)), *(np.eye(len(cover)) * 4 + 1)]
    found = {name: measure.compute(np.array(several), cover) for name, measure in REGION_MEASURES.items()}
    reasons = undefined_on(cover)
    for name, values in found.items():
        if name == "chance":
            assert not np.isnan(values).any()
        elif name == "iou" and (cover >= 0.5).all():  # it would say how many cells hold half, and nothing of the region
            assert np.isnan(values).all()
        elif np.ptp(values) < 1e-9 or np.isnan(values).all():
            assert np.isnan(values).all(), f"{name} is {values[0]} for every map"
            assert name in reasons
        else:
            assert not np.isnan(values).any(), name
            assert name not in reasons


WEIGHED = {"mass", "lift", "nss"}
COUNTED = {"pointing_game", "rank_accuracy", "auc", "iou", "iou_best"}


@pytest.mark.parametrize(
    ("values", "cover", "undefined", "why"),
    [
        (np.zeros(4), [1.0, 0, 0, 0], set(REGION_MEASURES), "There is no map here"),
        (np.full(4, np.nan), [1.0, 0, 0, 0], set(REGION_MEASURES), "There is no map here"),
        ([1.0, 2, 3, 4], np.zeros(4), WEIGHED | COUNTED, "empty, or lies outside"),
        ([1.0, 2, 3, 4], np.ones(4), WEIGHED | COUNTED, "covers the whole picture"),
        ([1.0], [0.4], WEIGHED | COUNTED, "single cell"),
        ([1.0, 2, 3, 4], [0.49, 0.3, 0, 0], COUNTED, "no cell counts as inside; use mass, lift or NSS"),
        ([1.0, 2, 3, 4], [1, 1, 1, 0.5], COUNTED, "no cell counts as outside; use mass, lift or NSS"),
        ([1.0, 2, 3, 4], np.full(4, 0.3), WEIGHED | COUNTED, "the same share of every cell"),
        (np.full(4, 0.1), [1.0, 0, 0, 0], {"nss"}, "The map is even"),
        ([1.0, 2, 3, 4], [1.0, 0, 0, 0], set(), None),
    ],
)
def test_what_means_nothing_is_empty_and_says_why(values, cover, undefined, why):
    values, cover = np.asarray(values), np.asarray(cover)
    for found in (measured(values, cover), all_at_once(values, cover)):
        assert {name for name, value in found.items() if np.isnan(value)} == undefined
    assert why is None if not undefined else why in why_undefined(values, cover)
    assert (why_undefined(values, cover) is None) == (not undefined)


def test_at_once_leaves_out_what_is_undefined_on_one_region_and_not_on_another():
    rng = np.random.default_rng(3)
    maps, covers = rng.random((5, 20)), np.stack([np.full(20, 0.2), np.arange(20) < 4, np.ones(20)])
    for name, values in at_once(maps, covers, ORDERED).items():
        assert np.isnan(values[[0, 2]]).all(), name
        assert not np.isnan(values[1]).any(), name
