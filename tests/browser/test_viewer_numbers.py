"""What the browser computes is what the library computes: differences, masses on regions, places carried across."""

import json
from importlib.resources import files
from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.compare import overlap
from qwenvl_debug.maps import map_stack
from qwenvl_debug.regions import Ellipse, Region, score_stack
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui import drawings, extras
from qwenvl_debug.ui.payload import maps_payload
from tests.ui.hand_made import make_run

pytestmark = pytest.mark.browser
VIEWER = files("qwenvl_debug.ui") / "viewer"
SCRIPTS = "\n".join((VIEWER / f"{name}.js").read_text(encoding="utf-8") for name in ("maps", "difference", "swipe"))
TURNED = [[0.9, 0.1, 2], [-0.1, 0.9, 3], [0, 0, 1]]
MOVED = [[1, 0, 16], [0, 1, 2], [0, 0, 1]]


@pytest.fixture(scope="module")
def compute(browser):
    """Evaluate an expression with the viewer's own scripts."""
    page = browser.new_page()

    def evaluate(expression, **given):
        return page.evaluate(
            f"text => {{ const given = JSON.parse(text)\n{SCRIPTS}\nreturn {expression} }}", json.dumps(given)
        )

    yield evaluate
    page.close()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("homography", [None, MOVED, TURNED])
def test_the_difference_drawn_is_that_of_the_library(compute, side, homography):
    draw = np.random.default_rng(3)
    stacks = [stack_of(draw.random((2, 2, 3, cols)).astype(np.float32)) for cols in (4, 4 if homography is None else 5)]
    grids, sizes = tuple(one.values.shape[2:] for one in stacks), ((40, 30), (40, 30))
    pieces = overlap(grids, sizes, None if homography is None else np.array(homography, float))
    left, right = (one.values[1, 0].reshape(-1) for one in stacks)
    expected = pieces.gather(pieces.cut(left, 0) - pieces.cut(right, 1), side)
    got = compute(
        """[...differenceOf({ maps: given.maps.map(unpackMaps), extras: {
            difference: { possible: true }, pieces: unpackPieces(given.pieces) } }, given.side, 1, 0)]
            .map(value => Number.isFinite(value) ? value : null)""",
        maps=[maps_payload(one) for one in stacks],
        pieces=extras.pieces_payload(pieces),
        side=side,
    )
    np.testing.assert_allclose(np.array(got, float), expected, atol=2 / 255)
    if homography is MOVED:
        assert np.isnan(expected).any(), "cells that the other picture does not show have no difference"


def stack_of(values):
    """As much of a MapStack as is sent."""
    return SimpleNamespace(values=values, mean=values.mean(axis=1))


def test_the_mass_on_a_region_is_that_of_the_library(compute, monkeypatch):
    stack = map_stack(make_run((("Pearl", None, 0.8),), [0.4, 0.1, 0.05, 0.05]))
    picture = Picture.open(np.zeros((20, 20, 3), np.uint8))
    region = Region("tower", [Ellipse(7, 6, 6, 5)], expect="look")
    monkeypatch.setattr(drawings, "load", lambda _: drawings.Drawing(1, (to_record(region),)))
    (sent,) = extras.regions_payload(picture, stack)
    mass = compute(
        "massOn(mapAt(unpackMaps(given.maps), 0, 1), bytesOf(given.coverage))",
        maps=maps_payload(stack),
        coverage=sent["coverage"],
    )
    expected = score_stack(stack, [region], picture.size, ["mass"])["mass"][0, 0, 1]
    assert mass == pytest.approx(float(expected), abs=0.004)
    assert (sent["name"], sent["chance"]) == ("tower", pytest.approx(np.pi * 6 * 5 / 400, abs=0.01))


def test_a_place_is_carried_across_as_the_alignment_says_and_back(compute):
    matrix = [0.9, 0.1, 12, -0.05, 1.1, -3, 0.0004, 0.0002, 1]
    there = compute("across(given.matrix, 30, 40)", matrix=matrix)
    x, y, depth = np.array(matrix).reshape(3, 3) @ [30, 40, 1]
    assert there == pytest.approx([x / depth, y / depth])
    assert compute("across(inverse(given.matrix), ...given.there)", matrix=matrix, there=there) == pytest.approx(
        [30, 40]
    )
