"""A pixel belongs to a shape exactly when its centre lies inside, as exact arithmetic and pycocotools say."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from qwenvl_debug.regions import Brush, Ellipse, Polygon, Rectangle, Region, coverage, region_mask

WIDTH, HEIGHT = 24, 18
SIZE = (WIDTH, HEIGHT)
HALF = Fraction(1, 2)

eighth = st.integers(-10 * 8, 34 * 8).map(lambda n: n / 8)  # centres lie exactly on many of these outlines
anywhere = st.floats(-10, 34)
tenth = st.integers(-100, 340).map(lambda n: n / 10)  # what the editor gives


def points(least: int, most: int = 7, place=None) -> st.SearchStrategy:
    kinds = (place,) if place is not None else (eighth, tenth, anywhere)
    return st.one_of([st.lists(st.tuples(kind, kind), min_size=least, max_size=most).map(tuple) for kind in kinds])


def drawn(*shapes, size=SIZE) -> np.ndarray:
    return region_mask(Region("r", shapes), size)


def by_hand(belongs) -> np.ndarray:
    """The mask of what `belongs` says of each pixel's centre, in exact fractions."""
    return np.array([[belongs(x + HALF, y + HALF) for x in range(WIDTH)] for y in range(HEIGHT)])


def in_polygon(corners):
    """Even-odd, by crossings to the left; a centre on a left or upper edge is inside."""
    corners = [(Fraction(x), Fraction(y)) for x, y in corners]
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))

    def belongs(x, y):
        crossed = [(x0 + (y - y0) * (x1 - x0) / (y1 - y0)) for (x0, y0), (x1, y1) in edges if (y0 <= y) != (y1 <= y)]
        return sum(one <= x for one in crossed) % 2 == 1

    return belongs


def squared_distance(x, y, x0, y0, x1, y1):
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    along = min(max(((x - x0) * dx + (y - y0) * dy) / length, 0), 1) if length else 0
    return (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2


def near_stroke(places, size):
    places = [(Fraction(x), Fraction(y)) for x, y in places]
    pieces = list(pairwise(places)) or [(places[0], places[0])]
    reach = (Fraction(size) / 2) ** 2
    return lambda x, y: any(squared_distance(x, y, *one, *other) <= reach for one, other in pieces)


@given(points(3, 9, eighth))
def test_a_polygon_is_what_exact_arithmetic_says_also_where_its_outline_runs_through_centres(corners):
    np.testing.assert_array_equal(drawn(Polygon(corners)), by_hand(in_polygon(corners)))


@given(points(3))
def test_a_polygon_of_any_coordinates_differs_from_exact_arithmetic_at_most_in_centres_on_its_outline(corners):
    differs = drawn(Polygon(corners)) != by_hand(in_polygon(corners))
    on_it = by_hand(near_stroke((*corners, corners[0]), 1e-9)) if differs.any() else differs
    assert not (differs & ~on_it).any()


@settings(max_examples=30)  # fractions are slow
@given(points(1), st.one_of(st.integers(1, 160).map(lambda n: n / 8), st.floats(0.1, 20)))
def test_a_stroke_has_the_centres_at_most_half_its_width_away(places, size):
    found = drawn(Brush(places, size))
    least, most = (by_hand(near_stroke(places, size + rounding)) for rounding in (0, 1e-8))
    assert not (least & ~found).any(), "centres at exactly half the width belong"
    assert not (found & ~most).any()
    everything = Rectangle(0, 0, WIDTH, HEIGHT)
    np.testing.assert_array_equal(drawn(everything, Brush(places, size, erase=True)), ~found)


@given(eighth, eighth, st.integers(0, 100), st.integers(0, 100), st.sampled_from([0, 90, 180, -90, 270]))
def test_an_upright_ellipse_is_what_exact_arithmetic_says(cx, cy, a, b, turn):
    rx, ry = (Fraction(side, 8) for side in ((a, b) if turn % 180 == 0 else (b, a)))

    def belongs(x, y):
        return rx * ry > 0 and ((x - Fraction(cx)) / rx) ** 2 + ((y - Fraction(cy)) / ry) ** 2 <= 1

    np.testing.assert_array_equal(drawn(Ellipse(cx, cy, a / 8, b / 8, turn)), by_hand(belongs))


@given(anywhere, anywhere, st.floats(0.01, 30), st.floats(0.01, 30), st.floats(-360, 360))
def test_a_turned_ellipse_has_the_centres_that_turned_back_lie_in_the_upright_one(cx, cy, rx, ry, degrees):
    found, turn = drawn(Ellipse(cx, cy, rx, ry, degrees)), np.deg2rad(degrees)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    x, y = x - cx, y - cy
    value = np.hypot((x * np.cos(turn) + y * np.sin(turn)) / rx, (y * np.cos(turn) - x * np.sin(turn)) / ry)
    on_it = np.abs(value - 1) < 1e-6
    np.testing.assert_array_equal(found[~on_it], (value <= 1)[~on_it])


@given(eighth, eighth, st.integers(1, 60).map(lambda n: n / 4), st.floats(0, 180))
def test_a_dot_of_the_brush_is_a_circle_however_it_is_turned(x, y, size, turn):
    np.testing.assert_array_equal(drawn(Brush(((x, y),), size)), drawn(Ellipse(x, y, size / 2, size / 2, turn)))


@given(st.one_of(eighth, tenth), tenth, st.integers(0, 200).map(lambda n: n / 10), st.floats(0, 20))
def test_a_rectangle_is_the_same_as_a_polygon(x, y, width, height):
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    box = drawn(Rectangle(x, y, width, height))
    np.testing.assert_array_equal(box, drawn(Polygon(corners)))
    np.testing.assert_array_equal(box, drawn(Polygon(corners[::-1])))
    np.testing.assert_array_equal(box, by_hand(in_polygon(corners)))


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16])
@pytest.mark.parametrize(("x", "y"), [(1, 1), (0.5, 1.25), (0.1, 0.3)])
def test_a_square_of_n_pixels_a_side_has_n_times_n_however_it_is_drawn(n, x, y):
    corners = ((x, y), (x + n, y), (x + n, y + n), (x, y + n))
    for shape in (Rectangle(x, y, n, n), Polygon(corners), Polygon(corners[::-1])):
        assert drawn(shape).sum() == n * n


@given(points(3, 12), eighth)
def test_the_two_parts_of_a_polygon_cut_along_a_line_neither_overlap_nor_leave_a_gap(corners, at):
    """Even-odd: a polygon is what an odd number of the triangles from any one place to its edges cover."""
    fan = [
        drawn(Polygon(((at, at), one, other))) for one, other in zip(corners, corners[1:] + corners[:1], strict=True)
    ]
    np.testing.assert_array_equal(np.sum(fan, axis=0) % 2 == 1, drawn(Polygon(corners)))


@given(st.lists(st.tuples(tenth, st.floats(0, HEIGHT)), min_size=3, max_size=5))
def test_shapes_side_by_side_have_every_pixel_of_their_union_once(corners):
    """The picture cut by a zigzag into a left and a right part."""
    cut = tuple(sorted(corners, key=lambda corner: corner[1]))
    left = Polygon(((-50, 0), (cut[0][0], 0), *cut, (cut[-1][0], HEIGHT), (-50, HEIGHT)))
    right = Polygon(((cut[-1][0], HEIGHT), *cut[::-1], (cut[0][0], 0), (50, 0), (50, HEIGHT)))
    count = drawn(left).astype(int) + drawn(right)
    np.testing.assert_array_equal(count, np.ones((HEIGHT, WIDTH), int))


@pytest.mark.parametrize(
    "shape",
    [
        Polygon(((10, 10), (30, 10), (30, 10))),
        Polygon(((3, 3), (12, 12), (3, 3), (12, 12))),
        Polygon(((3.5, 2), (3.5, 9), (3.5, 4))),
        Polygon(((5, 5), (5, 5), (5, 5))),
        Rectangle(3, 3, 0, 9),
        Rectangle(3, 3, 9, 0),
        Ellipse(8.5, 8.5, 0, 4),
        Ellipse(8.5, 8.5, 4, 0, 30),
        Rectangle(-20, 0, 20, 10),
        Polygon(((24, 0), (40, 0), (40, 18), (24, 18))),
        Ellipse(-50, 9, 49, 9),
        Brush(((-9, -9), (40, -9)), 10),
    ],
)
def test_a_shape_without_area_or_beside_the_picture_has_no_pixel(shape):
    assert not drawn(shape).any()


@given(points(3, 7, eighth), st.integers(0, 19))
def test_what_lies_beyond_the_picture_changes_nothing_within_it(places, move):
    """The same shapes on a larger picture, moved by whole pixels, and cut."""
    moved = tuple((x + move, y + move) for x, y in places)
    for make in (Polygon, lambda some: Brush(some, 5)):
        large = drawn(make(moved), size=(WIDTH + 40, HEIGHT + 40))
        np.testing.assert_array_equal(large[move : move + HEIGHT, move : move + WIDTH], drawn(make(places)))


@given(st.integers(0, 23), st.integers(0, 17), st.integers(1, 20), st.integers(1, 20))
def test_pycocotools_has_the_same_pixels_of_upright_shapes_of_whole_pixels(x, y, width, height):
    width, height = min(width, WIDTH - x), min(height, HEIGHT - y)
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    np.testing.assert_array_equal(drawn(Polygon(corners)), by_coco(corners))


@given(st.lists(st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=3, max_size=8))
def test_pycocotools_differs_by_less_than_a_quarter_of_a_pixel(corners):
    differs = drawn(Polygon(corners)) != by_coco(corners)
    for y, x in np.argwhere(differs):
        assert near_stroke((*corners, corners[0]), 0.5)(x + HALF, y + HALF)


def by_coco(corners) -> np.ndarray:
    flat = [float(value) for corner in corners for value in corner]
    return coco.decode(coco.merge(coco.frPyObjects([flat], HEIGHT, WIDTH))).astype(bool)


def test_equal_shapes_have_equal_chance_whatever_they_are_drawn_as():
    corners = ((3, 3), (11, 3), (11, 11), (3, 11))
    for shape in (Rectangle(3, 3, 8, 8), Polygon(corners)):
        assert coverage(drawn(shape), (6, 8)).mean() == pytest.approx(64 / (WIDTH * HEIGHT))


def test_an_outline_with_more_crossings_than_are_held_at_once_is_drawn_whole(monkeypatch):
    rng = np.random.default_rng(7)
    corners, places = rng.random((40, 2)) * SIZE, rng.random((30, 2)) * SIZE
    whole = [drawn(Polygon(corners)), drawn(Brush(places, 2.5))]
    monkeypatch.setattr("qwenvl_debug.regions.raster.AT_ONCE", 7)
    np.testing.assert_array_equal(whole, [drawn(Polygon(corners)), drawn(Brush(places, 2.5))])
