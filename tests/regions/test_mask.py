"""Masks have the areas that geometry gives, and coverage keeps them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, coverage, region_mask


def area(*shapes, size=(400, 300)) -> int:
    return int(region_mask(Region("r", shapes), size).sum())


@given(x=st.integers(-50, 350), y=st.integers(-50, 250), w=st.integers(0, 200), h=st.integers(0, 200))
def test_a_rectangle_of_whole_pixels_is_exact_also_where_it_leaves_the_picture(x, y, w, h):
    inside = max(0, min(x + w, 400) - max(x, 0)) * max(0, min(y + h, 300) - max(y, 0))
    assert area(Rectangle(x, y, w, h)) == inside


@given(
    rx=st.floats(30, 90), ry=st.floats(30, 90), turn=st.floats(0, 180), cx=st.floats(150, 250), cy=st.floats(110, 190)
)
def test_an_ellipse_of_sixty_pixels_or_more_is_within_one_per_cent(rx, ry, turn, cx, cy):
    assert area(Ellipse(cx, cy, rx, ry, turn)) == pytest.approx(np.pi * rx * ry, rel=0.01)


@given(st.lists(st.tuples(st.floats(50, 90), st.floats(50, 90)), min_size=3, max_size=3))
def test_a_triangle_moved_by_parts_of_a_pixel_has_its_area_in_pixels_on_average(points):
    p = np.array(points)
    x, y = p.T
    exact = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    steps = np.arange(8) / 8
    areas = [area(Polygon(p + np.array((dx, dy))), size=(100, 100)) for dx in steps for dy in steps]
    perimeter = np.hypot(*(p - np.roll(p, -1, 0)).T).sum()
    assert np.mean(areas) == pytest.approx(exact, abs=perimeter / 8)


def test_a_brush_is_as_wide_as_it_says_and_an_eraser_takes_away():
    straight = area(Brush(((100, 150), (300, 150)), 20))
    assert straight == pytest.approx(200 * 20 + np.pi * 100, rel=0.06)
    assert area(Rectangle(0, 0, 100, 100), Brush(((50, 50),), 40, erase=True)) == pytest.approx(
        1e4 - np.pi * 400, rel=0.01
    )


def test_shapes_of_a_region_are_a_union():
    assert area(Rectangle(0, 0, 100, 100), Rectangle(50, 50, 100, 100)) == 2 * 100**2 - 50**2


def test_a_mask_of_another_size_is_laid_from_the_corner():
    assert area(Mask(np.ones((10, 20)))) == 200
    assert area(Mask(np.ones((1000, 1000)))) == 400 * 300


@given(
    rows=st.integers(1, 20), cols=st.integers(1, 20), height=st.integers(1, 90), width=st.integers(1, 90),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_coverage_keeps_the_share_of_the_picture_for_any_grid(rows, cols, height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    cover = coverage(mask, (rows, cols))
    assert cover.shape == (rows, cols)
    assert cover.mean() == pytest.approx(mask.mean(), abs=1e-6)
    assert cover.min() >= 0
    assert cover.max() <= 1 + 1e-6


def test_coverage_of_a_cell_is_the_share_of_its_own_area():
    mask = np.zeros((40, 60), bool)
    mask[:10, :30] = True
    assert np.allclose(coverage(mask, (2, 2)), [[0.5, 0], [0, 0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rectangle(0, 0, -1, 5),
        lambda: Ellipse(0, 0, float("nan"), 1),
        lambda: Polygon(((0, 0), (1, 1))),
        lambda: Brush((), 3),
        lambda: Mask(np.zeros(4)),
        lambda: Region("", ()),
        lambda: Region("r", (), expect="maybe"),
        lambda: region_mask(Region("r", ()), (0, 5)),
        lambda: region_mask(Region("r", Polygon(((0, 0), (1e9, 1), (0, 4)))), (5, 5)),
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_one_sentence(make):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        make()
