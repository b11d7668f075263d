"""Overlays: cells where they belong, colours from one scale."""

import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import AttentionMap, Query
from qwenvl_debug.report import PALETTES, overlay, palette


def attention(values):
    return AttentionMap(np.array(values, dtype=np.float32), 0, 1, -1, Query((0,), "cat"), "picture")


@pytest.fixture
def picture():
    return Picture.open(np.full((40, 90, 3), 200, dtype=np.uint8))


def drawn(png):
    return Picture.open(png).pixels.astype(int)


def test_each_cell_covers_its_even_part_of_the_picture_with_crisp_edges(picture):
    pixels = drawn(overlay(picture, attention([[0, 0.5, 1], [1, 0, 0]]), opacity=1))
    faint = np.rint(0.85 * 200 + 0.15 * palette()[0])
    assert pixels.shape == (40, 90, 3)
    assert np.abs(pixels[:20, :30] - faint).max() <= 1
    assert (pixels[:20, 60:] == palette()[255]).all()
    assert (pixels[20:, :30] == palette()[255]).all()
    assert np.abs(pixels[20:, 30:] - faint).max() <= 1
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 3


def test_opacity_mixes_the_picture_and_the_cells(picture):
    values = attention([[1, 0]])
    assert (drawn(overlay(picture, values, opacity=0)) == 200).all()
    mixed = drawn(overlay(picture, values, opacity=0.25))
    assert np.abs(mixed[0, 0] - (0.75 * 200 + 0.25 * palette()[255])).max() <= 1


def test_a_picture_whose_sides_the_grid_does_not_divide_keeps_its_size_and_its_cells():
    picture = Picture.open(np.full((41, 100, 3), 200, dtype=np.uint8))
    pixels = drawn(overlay(picture, attention([[0, 0, 1], [0, 0, 0], [0, 0, 0]]), opacity=1))
    assert pixels.shape == (41, 100, 3)
    strong = (pixels == palette()[255]).all(axis=2)
    assert strong[:13, 67:].all()
    assert abs(strong.mean() - 1 / 9) < 0.01


def test_on_one_scale_the_same_value_has_the_same_colour_on_both_sides(picture):
    left = drawn(overlay(picture, attention([[0.2, 0.8]]), opacity=1, scale=0.8))
    right = drawn(overlay(picture, attention([[0.2, 0.1]]), opacity=1, scale=0.8))
    assert (left[0, 0] == right[0, 0]).all()
    assert (left[0, -1] != right[0, -1]).any()


def test_values_above_the_scale_get_the_last_colour(picture):
    assert (drawn(overlay(picture, attention([[5.0]]), opacity=1, scale=0.5)) == palette()[255]).all()


def test_a_map_of_zeros_is_drawn_in_the_first_colour(picture):
    pixels = drawn(overlay(picture, attention([[0, 0]]), opacity=1))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 1
    assert (pixels[0, 0] < 200).all()


@pytest.mark.parametrize("name", list(PALETTES))
def test_palettes_grow_in_lightness(name):
    luminance = palette(name) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(luminance[::8]) > 0).all()


def test_magma_is_in_rgb_order():
    assert palette("magma")[192, 0] > palette("magma")[192, 2]  # its upper half is orange, not blue


def test_what_cannot_be_drawn_is_refused_in_a_sentence(picture):
    with pytest.raises(QueryError, match="no map to draw at layer 1"):
        overlay(picture, attention([[np.nan, np.nan]]))
    with pytest.raises(QueryError, match="Opacity"):
        overlay(picture, attention([[1]]), opacity=1.5)
    with pytest.raises(QueryError, match="colour scale must end above 0"):
        overlay(picture, attention([[1]]), scale=0)
    with pytest.raises(QueryError, match="choose one of magma"):
        overlay(picture, attention([[1]]), palette="jet")
