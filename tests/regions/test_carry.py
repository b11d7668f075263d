"""A region carried to another image covers what it covered: each place is asked where it came from, shape by shape."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, carry, region_mask
from tests.regions.strategies import SIZE, regions

FROM, TO = (160, 120), (150, 130)
BLOCKS = np.kron(np.random.default_rng(5).random((12, 16)) < 0.4, np.ones((10, 10), bool))


def about_middle(turn=0.0, scale=1.0, squeeze=1.0, tilt=(0.0, 0.0)):
    """Turned, scaled and tilted about the middle of the first image, onto the middle of the second."""
    angle = np.deg2rad(turn)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [*tilt, 1]])
    here, there = np.eye(3), np.eye(3)
    here[:2, 2], there[:2, 2] = np.array(FROM) / -2, np.array(TO) / 2
    return there @ turned @ np.diag([scale, scale * squeeze, 1]) @ here


MOVES = {
    "crop": np.array([[1, 0, -60], [0, 1, -17], [0, 0, 1.0]]),
    "shift": np.array([[1, 0, 13.5], [0, 1, -7.25], [0, 0, 1.0]]),
    "zoom": about_middle(scale=1.6),
    "farther": about_middle(scale=0.4),
    "turned": about_middle(turn=30),
    "a quarter round": about_middle(turn=90),
    "upside down": about_middle(turn=180),
    "mirrored": np.array([[-1, 0, 150], [0, 1, 0], [0, 0, 1.0]]),
    "squeezed": about_middle(turn=20, scale=1.2, squeeze=0.6),
    "tilted": about_middle(turn=-12, scale=0.9, tilt=(2e-3, -1e-3)),
    "edge to edge": None,
    "of another factor": -3.5 * about_middle(turn=30),
}
SHAPES = {
    "rectangle": Rectangle(40, 35, 60, 44),
    "a rectangle over the edge": Rectangle(-30, 70, 80, 90),
    "ellipse": Ellipse(80, 60, 40, 22, 25),
    "an ellipse over the edge": Ellipse(5, 100, 44, 30, -40),
    "polygon": Polygon(((20, 10), (150, 50), (60, 60), (100, 115), (10, 90))),
    "a polygon that crosses itself": Polygon(((-20, 10), (150, 115), (150, 10), (-20, 115))),
    "stroke": Brush(((30, 30), (120, 50), (90, 100)), 16),
    "a stroke over the edge": Brush(((-10, -10), (40, 60), (170, 60)), 22),
    "mask": Mask(BLOCKS),
}


def inside(shape, x, y):
    """Whether places lie in a shape, by its definition alone."""
    match shape:
        case Rectangle():
            return (x >= shape.x) & (x < shape.x + shape.width) & (y >= shape.y) & (y < shape.y + shape.height)
        case Ellipse():
            angle = np.deg2rad(shape.turn)
            right, down = x - shape.cx, y - shape.cy
            along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
            return (along / shape.rx) ** 2 + (across / shape.ry) ** 2 <= 1
        case Polygon():
            odd = np.zeros(x.shape, bool)
            for (x0, y0), (x1, y1) in pairwise([*shape.points, shape.points[0]]):
                crosses = (y0 <= y) != (y1 <= y)
                with np.errstate(divide="ignore", invalid="ignore"):
                    odd ^= crosses & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
            return odd
        case Brush():
            near = np.full(x.shape, np.inf)
            for (x0, y0), (x1, y1) in pairwise([shape.points[0], *shape.points]):
                long = (x1 - x0) ** 2 + (y1 - y0) ** 2
                part = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (long or 1), 0, 1)
                near = np.minimum(near, np.hypot(x - x0 - part * (x1 - x0), y - y0 - part * (y1 - y0)))
            return near <= shape.size / 2
        case Mask():
            there = (x >= 0) & (y >= 0) & (x < shape.pixels.shape[1]) & (y < shape.pixels.shape[0])
            row, col = (np.where(there, one, 0).astype(int) for one in (y, x))
            return there & shape.pixels[row, col]


def covered(region, x, y):
    found = np.zeros(x.shape, bool)
    for shape in region.shapes if region is not None else ():
        found = found & ~inside(shape, x, y) if getattr(shape, "erase", False) else found | inside(shape, x, y)
    return found


def places(homography, count=40_000, seed=0):
    """Places on the second image, and where on the first each of them came from, with whether that is in sight."""
    x, y = (np.random.default_rng(seed).random((2, count)).T * TO).T
    homography = np.diag([TO[0] / FROM[0], TO[1] / FROM[1], 1]) if homography is None else homography
    back = np.linalg.solve(homography, np.stack([x, y, np.ones(count)]))
    came = back[:2] / back[2]
    seen = (came >= 0).all(0) & (came[0] < FROM[0]) & (came[1] < FROM[1])
    return x, y, *came, seen


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("move", MOVES)
def test_each_place_is_covered_where_it_came_from_a_covered_place(move, shape):
    made = carry(Region("r", SHAPES[shape], "avoid"), MOVES[move], FROM, TO)
    x, y, came_x, came_y, seen = places(MOVES[move])
    wanted = covered(Region("r", SHAPES[shape]), came_x, came_y) & seen
    if not wanted.any():
        assert (made.region, made.outside) == (None, 1)
        return
    assert made.region.expect == "avoid"
    if isinstance(made.region.shapes[0], Mask):  # whole pixels, which stand for the places about their centres
        found = made.region.shapes[0].pixels[y.astype(int), x.astype(int)]
        assert np.mean(found != wanted) < 0.05
    else:
        wrong = covered(made.region, x, y) != wanted
        assert np.mean(wrong) < (2e-3 if isinstance(SHAPES[shape], Brush) else 1e-9)
    if move in ("zoom", "crop", "turned", "upside down") and "edge" not in shape:
        assert type(made.region.shapes[0]) in (type(SHAPES[shape]), Polygon)


@pytest.mark.parametrize("move", MOVES)
def test_a_mask_is_asked_pixel_by_pixel_what_lay_at_its_centre(move):
    homography = MOVES[move]
    made = carry(Region("r", Mask(BLOCKS)), homography, FROM, TO).region.shapes[0].pixels
    assert made.shape == TO[::-1]
    homography = np.diag([TO[0] / FROM[0], TO[1] / FROM[1], 1]) if homography is None else homography
    unlike = 0
    for row in range(TO[1]):
        for col in range(TO[0]):
            x, y, depth = np.linalg.solve(homography, [col + 0.5, row + 0.5, 1])
            x, y = x / depth, y / depth
            if min(abs(x - round(x)), abs(y - round(y))) < 1e-9:
                continue  # on the border of two pixels either is right
            there = 0 <= x < FROM[0] and 0 <= y < FROM[1]
            unlike += made[row, col] != (there and BLOCKS[int(y), int(x)])
    assert unlike == 0


def test_a_crop_moves_a_rectangle_by_whole_pixels():
    crop = np.array([[1, 0, -60], [0, 1, -160], [0, 0, 1.0]])
    made = carry(Region("tower", Rectangle(229, 280, 44, 159)), crop, (640, 480), (500, 300))
    assert made.region == Region("tower", Rectangle(169, 120, 44, 159))
    assert made.outside == 0


def test_the_share_that_falls_outside_is_said():
    crop = np.array([[1, 0, -60], [0, 1, 0], [0, 0, 1.0]])
    half = carry(Region("r", Rectangle(40, 10, 40, 20)), crop, FROM, TO)
    assert half.region.shapes == (Rectangle(0, 10, 20, 20),)
    assert half.outside == 0.5
    gone = carry(Region("r", Rectangle(0, 10, 40, 20)), crop, FROM, TO)
    assert (gone.region, gone.outside) == (None, 1.0)
    nothing = carry(Region("r", Rectangle(300, 10, 40, 20)), crop, FROM, TO)
    assert nothing.region is None
    assert np.isnan(nothing.outside)


@given(regions())
@settings(max_examples=60, deadline=None)
def test_nothing_moves_where_nothing_moved(region):
    assert carry(region, np.eye(3) * 2.5, SIZE, SIZE).region is region


@given(regions())
@settings(max_examples=60, deadline=None)
def test_upside_down_the_same_pixels_are_covered(region):
    turned = np.array([[-1, 0, SIZE[0]], [0, -1, SIZE[1]], [0, 0, 1.0]])
    before = region_mask(region, SIZE)
    made = carry(region, turned, SIZE, SIZE)
    if made.region is None:
        assert not before.any()
        return
    assert made.outside == 0 or not before.any()
    after = region_mask(made.region, SIZE)[::-1, ::-1]
    # Polygons and strokes are drawn with their outline, which is not symmetric; the rest is equal to the pixel.
    if not any(isinstance(shape, (Polygon, Brush)) for shape in region.shapes):
        assert (before != after).sum() <= 2


def test_an_eraser_that_cannot_stay_a_stroke_still_takes_away():
    region = Region("r", (Rectangle(20, 20, 100, 80), Brush(((30, 60), (110, 60)), 20, erase=True)))
    made = carry(region, MOVES["squeezed"], FROM, TO).region
    x, y, came_x, came_y, seen = places(MOVES["squeezed"])
    wanted = covered(region, came_x, came_y) & seen
    assert np.mean(made.shapes[0].pixels[y.astype(int), x.astype(int)] != wanted) < 0.02


def test_an_ellipse_that_reaches_the_horizon_is_cut_at_what_is_in_sight():
    steep = np.array([[1, 0, 0], [0, 1, 0], [-9e-3, 0, 1.0]])  # the horizon is at x = 111
    region = Region("r", Ellipse(80, 60, 60, 30))
    made = carry(region, steep, FROM, TO).region
    x, y, came_x, came_y, seen = places(steep)
    ahead = came_x < 1 / 9e-3
    wanted = covered(region, came_x, came_y) & seen & ahead
    assert np.mean(made.shapes[0].pixels[y.astype(int), x.astype(int)] != wanted) < 0.01


@pytest.mark.parametrize(
    ("homography", "size"),
    [
        (np.zeros((3, 3)), FROM),
        (np.full((3, 3), np.nan), FROM),
        (np.eye(2), FROM),
        (np.diag([1, 0, 1.0]), FROM),
        (np.array([[1, 0, 0], [0, 1, 0], [1, 0, -80.0]]), FROM),
        (np.eye(3), (0, 10)),
    ],
)
def test_what_is_no_alignment_of_images_is_refused_in_one_sentence(homography, size):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        carry(Region("r", Rectangle(1, 1, 5, 5)), homography, size, TO)
