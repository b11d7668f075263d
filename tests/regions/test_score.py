"""Scores agree with closed forms, with SciPy and scikit-learn, and with each other under mirrors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import (
    REGION_MEASURES,
    Ellipse,
    Polygon,
    Rectangle,
    Region,
    baselines,
    coverage,
    region_mask,
    score_maps,
)

SHAPES = (
    Rectangle(13, 22, 90, 41),
    Ellipse(120, 80, 50, 33, 20),
    Polygon(((10, 10), (180, 40), (90, 140))),
)
grids = st.tuples(st.integers(2, 15), st.integers(2, 15))


def scores(maps, cover, *names):
    found = score_maps(np.atleast_2d(np.asarray(maps, float)), np.atleast_2d(cover), names or tuple(REGION_MEASURES))
    return {name: values[0, 0] for name, values in found.items()}


@pytest.mark.parametrize("shape", SHAPES)
@given(grid=grids)
def test_an_even_map_scores_exactly_chance(shape, grid):
    mask = region_mask(Region("r", shape), (200, 150))
    cover = coverage(mask, grid).ravel()
    found = scores(np.full(cover.size, 0.3), cover)
    assert found["mass"] == pytest.approx(mask.mean(), abs=1e-6)
    assert found["mass"] == pytest.approx(found["chance"], abs=1e-6)
    assert found["lift"] == pytest.approx(1, abs=1e-5)
    if (cover >= 0.5).any() and not (cover >= 0.5).all():
        assert found["auc"] == pytest.approx(0.5)
        assert found["pointing_game"] == pytest.approx((cover >= 0.5).mean())
    assert np.isnan(found["nss"])


def test_a_map_inside_the_region_only_scores_one():
    cover = np.array([1.0, 1, 0, 0, 0, 0])
    found = scores([2.0, 2, 0, 0, 0, 0], cover)
    assert found["mass"] == 1
    assert found["lift"] == pytest.approx(3)
    assert found["pointing_game"] == found["rank_accuracy"] == found["auc"] == found["iou_best"] == 1
    assert found["nss"] == pytest.approx(np.sqrt(2))


def test_the_examples_in_the_explanations_are_true():
    quarter = np.array([1.0, 0, 0, 0])
    assert scores(np.ones(4), quarter)["mass"] == 0.25
    assert scores([3.0, 1, 1, 1], quarter)["lift"] == pytest.approx(2)
    assert scores([2.0, 1, 1, 1], quarter)["pointing_game"] == 1
    assert scores([3.0, 0, 2, 1], [1.0, 1, 0, 0])["rank_accuracy"] == 0.5
    assert scores([0.5, 0.2, 0.2, 0.1], quarter)["iou"] == 1
    assert scores([1.0, 0, 0, 0], quarter)["nss"] == pytest.approx(3**0.5)


@given(seed=st.integers(0, 10_000), rows=st.integers(2, 9), cols=st.integers(2, 9), ties=st.booleans())
def test_auc_agrees_with_scikit_learn(seed, rows, cols, ties):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, rows * cols).astype(float) if ties else rng.random(rows * cols)
    inside = rng.random(rows * cols) < 0.4
    if values.sum() and inside.any() and not inside.all():
        assert scores(values, inside.astype(float), "auc")["auc"] == pytest.approx(roc_auc_score(inside, values))


@given(seed=st.integers(0, 10_000), grid=grids)
def test_a_map_and_its_mirror_score_the_same_on_mirrored_regions(seed, grid):
    rng = np.random.default_rng(seed)
    values = rng.random(grid)
    cover = coverage(rng.random((40, 30)) < 0.5, grid)
    one = scores(values.ravel(), cover.ravel())
    two = scores(values[:, ::-1].ravel(), cover[:, ::-1].ravel())
    for name in one:
        assert one[name] == pytest.approx(two[name], nan_ok=True), name


@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6))
def test_the_total_of_a_map_does_not_matter(seed, scale):
    rng = np.random.default_rng(seed)
    values, cover = rng.random(30), rng.random(30)
    one, two = scores(values, cover), scores(values * scale, cover)
    for name in one:
        assert one[name] == pytest.approx(two[name], rel=1e-6, nan_ok=True), name


def test_iou_at_mass_takes_the_smallest_set_by_brute_force():
    from itertools import combinations

    rng = np.random.default_rng(4)
    for _ in range(20):
        values, inside = rng.random(7), rng.random(7) < 0.5
        if not inside.any():
            continue
        share = values / values.sum()
        size = next(k for k in range(1, 8) if any(sum(share[list(c)]) >= 0.5 for c in combinations(range(7), k)))
        best = max(combinations(range(7), size), key=lambda c: sum(share[list(c)]))
        taken = np.isin(np.arange(7), best)
        wanted = (taken & inside).sum() / (taken | inside).sum()
        assert scores(values, inside.astype(float), "iou")["iou"] == pytest.approx(wanted)


def test_many_maps_and_regions_at_once_score_as_one_by_one():
    rng = np.random.default_rng(2)
    maps, covers = rng.random((3, 4, 20)), rng.random((2, 20))
    every = score_maps(maps, covers)
    for name, values in every.items():
        assert values.shape == (2, 3, 4)
        assert values[1, 2, 3] == pytest.approx(scores(maps[2, 3], covers[1])[name], nan_ok=True)


def test_an_unknown_measure_is_refused():
    with pytest.raises(RegionError, match="no measure 'luck'"):
        score_maps(np.ones((1, 4)), np.ones((1, 4)), ["luck"])


def test_baselines_of_a_map_that_peaks_on_the_region():
    mask = np.zeros((100, 100), bool)
    mask[10:30, 10:30] = True
    values = coverage(mask, (10, 10)) + 0.01
    found = baselines(values, mask)
    assert found.uniform == pytest.approx(0.04)
    assert found.centre < 0.04  # it lies in a corner
    assert len(found.elsewhere) == 100
    assert found.percentile > 0.95
    even = baselines(np.ones((10, 10)), mask)
    assert np.allclose(even.elsewhere, 0.04)
    assert (even.less, even.percentile) == (0, 0.5)
    assert (baselines(values, mask).elsewhere == found.elsewhere).all(), "always the same places"
    assert np.isnan(baselines(values, np.ones((100, 100), bool)).percentile)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_all_measures_at_once_are_those_of_the_definitions_ties_and_undefined_maps_included(kind):
    rng = np.random.default_rng(11)
    maps = rng.random((60, 150)).astype(kind)
    maps[10:30] = np.round(maps[10:30] * 4) / 4
    maps[30], maps[31], maps[32], maps[33, 5:] = 0, np.nan, 1, 0
    covers = np.stack([rng.random(150), np.arange(150) < 20, np.zeros(150), np.ones(150), (np.arange(150) < 3) * 0.3])
    found = score_maps(maps, covers)
    for name, measure in REGION_MEASURES.items():
        expected = np.stack([measure.compute(maps, cover) for cover in covers])
        assert np.allclose(found[name], expected, rtol=1e-6, atol=1e-9, equal_nan=True), name
