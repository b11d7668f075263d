"""A region laid on a picture of another size covers the same part of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, fit, region_mask
from tests.regions.strategies import SIZE, regions

BLOCKS = np.kron(np.random.default_rng(3).random((6, 8)) < 0.4, np.ones((25, 25), bool))


@given(regions())
def test_a_picture_of_the_same_size_keeps_the_region(region):
    assert fit(region, SIZE, SIZE) is region


@pytest.mark.parametrize(
    "shape",
    [
        Rectangle(20, 30, 90, 50),
        Ellipse(110, 70, 60, 20, 35),
        Ellipse(110, 70, 20, 60, 90),
        Polygon(((10, 10), (180, 40), (90, 140))),
        Mask(BLOCKS),
    ],
)
@pytest.mark.parametrize("onto", [(400, 300), (500, 210), (100, 300)])
def test_the_share_of_the_picture_and_its_place_stay(shape, onto):
    region = Region("r", shape, "avoid")
    before, after = region_mask(region, (200, 150)), region_mask(fit(region, (200, 150), onto), onto)
    assert after.mean() == pytest.approx(before.mean(), rel=0.03)
    centre = [np.mean(np.argwhere(mask) / mask.shape, axis=0) for mask in (before, after)]
    assert np.allclose(*centre, atol=0.01)
    assert fit(region, (200, 150), onto).expect == "avoid"


@given(st.floats(1, 50), st.floats(1, 50), st.floats(0, 180), st.floats(0.3, 3), st.floats(0.3, 3))
def test_a_stretched_ellipse_holds_the_stretched_points_of_the_old_one(rx, ry, turn, across, down):
    size, onto = (1000, 1000), (round(1000 * across), round(1000 * down))
    (new,) = fit(Region("r", Ellipse(500, 400, rx, ry, turn)), size, onto).shapes
    angles, turned = np.linspace(0, 2 * np.pi, 12), np.deg2rad(turn)
    x, y = rx * np.cos(angles), ry * np.sin(angles)
    x, y = x * np.cos(turned) - y * np.sin(turned), x * np.sin(turned) + y * np.cos(turned)
    x, y = x * onto[0] / 1000, y * onto[1] / 1000
    back = np.deg2rad(new.turn)
    along, across_it = x * np.cos(back) + y * np.sin(back), y * np.cos(back) - x * np.sin(back)
    assert np.allclose((along / new.rx) ** 2 + (across_it / new.ry) ** 2, 1, atol=1e-6)


def test_a_brush_grows_with_the_picture():
    (new,) = fit(Region("r", Brush(((10, 20),), 6, erase=True)), (100, 100), (200, 200)).shapes
    assert new == Brush(((20, 40),), 12, erase=True)


def test_a_picture_of_no_size_is_refused():
    with pytest.raises(RegionError, match="at least one pixel"):
        fit(Region("r", Rectangle(0, 0, 1, 1)), (10, 10), (0, 10))
