"""Random placements are other places: whole, all different, and at most half on the region itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.regions import Ellipse, Rectangle, Region, baselines, coverage, region_mask
from qwenvl_debug.regions.baselines import PLACES, covers_elsewhere
from qwenvl_debug.regions.placements import covers_at, placements


def shifted(mask: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """The mask moved, or a failure where that would cut it."""
    moved = np.zeros_like(mask)
    rows, cols = np.nonzero(mask)
    assert rows.min() + dy >= 0
    assert cols.min() + dx >= 0
    moved[rows + dy, cols + dx] = True
    return moved


def possible(mask: np.ndarray) -> set[tuple[int, int]]:
    """Every placement there is, one after the other."""
    rows, cols = np.nonzero(mask)
    height, width = mask.shape
    found = set()
    for dy in range(-rows.min(), height - rows.max()):
        for dx in range(-cols.min(), width - cols.max()):
            if 2 * np.count_nonzero(shifted(mask, dy, dx) & mask) <= len(rows):
                found.add((int(dy), int(dx)))
    return found


@st.composite
def masks(draw) -> np.ndarray:
    height, width = draw(st.integers(1, 14)), draw(st.integers(1, 14))
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    mask = np.zeros((height, width), bool)
    rows, cols = draw(st.integers(1, height)), draw(st.integers(1, width))
    top, left = draw(st.integers(0, height - rows)), draw(st.integers(0, width - cols))
    mask[top : top + rows, left : left + cols] = rng.random((rows, cols)) < draw(st.sampled_from([0.2, 0.6, 1]))
    return mask


@given(masks())
def test_placements_are_all_there_are_when_more_are_asked_for(mask):
    found = placements(mask, 10_000)
    assert len(set(map(tuple, found.tolist()))) == len(found)
    assert set(map(tuple, found.tolist())) == (possible(mask) if mask.any() else set())


@given(masks(), st.integers(1, 8), st.integers(1, 8), st.integers(0, 5))
def test_the_coverage_of_a_placement_is_that_of_the_moved_mask(mask, rows, cols, seed):
    places = placements(mask, 5, seed)
    for place, cover in zip(places, covers_at(mask, (rows, cols), places), strict=True):
        np.testing.assert_allclose(cover.reshape(rows, cols), coverage(shifted(mask, *place), (rows, cols)), atol=1e-6)


def test_a_region_as_wide_as_the_picture_less_one_pixel_is_never_held_against_itself():
    """Drawn with no such rule, 56 of 100 places were the region itself and the others all but it."""
    mask = np.zeros((60, 80), bool)
    mask[:, 1:] = True
    assert covers_elsewhere(mask, (6, 8)).shape == (0, 48)
    found = baselines(np.random.default_rng(0).random((6, 8)), mask)
    assert len(found.elsewhere) == found.less == 0
    assert np.isnan(found.percentile)


def test_where_few_placements_exist_all_of_them_are_used_and_no_more():
    mask = np.zeros((40, 100), bool)
    mask[:, 5:45] = True  # upright: it can only be moved sideways, by 20 pixels or more
    found = covers_elsewhere(mask, (4, 10))
    assert len(found) == 100 - 40 + 1 - (5 + 20)
    assert len(np.unique(found, axis=0)) == len(found)
    assert len(baselines(np.ones((4, 10)), mask).elsewhere) == len(found)


def test_a_ring_may_stand_on_its_own_middle():
    """What counts is the region's own pixels, not the box around them."""
    ring = region_mask(Region("r", Ellipse(50, 50, 45, 45)), (100, 100))
    ring &= ~region_mask(Region("r", Ellipse(50, 50, 40, 40)), (100, 100))
    assert len(placements(ring, 10_000)) > 50
    assert len(placements(region_mask(Region("r", Ellipse(50, 50, 45, 45)), (100, 100)), 100)) == 0


@pytest.mark.parametrize(("side", "least"), [(0.05, PLACES), (0.5, PLACES), (0.9, 0)])
def test_in_a_picture_of_twelve_megapixels_every_placement_keeps_the_rule_to_the_pixel(side, least):
    size = (4000, 3000)
    mask = region_mask(Region("r", Ellipse(1900, 1500, 1800 * side, 1300 * side, 20)), size)
    area = np.count_nonzero(mask)
    found = placements(mask, PLACES)
    assert len(found) == least
    assert len(set(map(tuple, found.tolist()))) == len(found)
    for dy, dx in found[:10]:
        assert 2 * np.count_nonzero(shifted(mask, dy, dx) & mask) <= area


def test_the_same_places_come_each_time_and_others_with_another_seed():
    mask = region_mask(Region("r", Rectangle(10, 10, 20, 20)), (100, 80))
    assert len(placements(mask, PLACES)) == PLACES
    np.testing.assert_array_equal(placements(mask, PLACES), placements(mask, PLACES))
    assert (placements(mask, PLACES) != placements(mask, PLACES, seed=1)).any()


def test_an_empty_region_has_no_other_place():
    assert placements(np.zeros((5, 5), bool), 10).shape == (0, 2)
    assert covers_elsewhere(np.zeros((5, 5), bool), (2, 2)).shape == (0, 4)
