"""Masses of both sides on regions, on runs small enough to check by hand: 2 x 3 cells of 10 pixels."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.compare import compare
from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Ellipse, Rectangle, Region, from_record
from tests.maps.hand_made import make_run

FIRST = Region("first", Rectangle(0, 0, 10, 10))
LAST_HALF = Region("last half", Rectangle(25, 10, 5, 10))
LEFT, RIGHT = np.array([0.6, 0.2, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 0, 0.3])
EVEN = np.full(6, 0.1)


def run_on(size, *heads):
    pictures = (Picture.open(np.zeros((*size[::-1], 3), np.uint8), "p.png"),)
    return replace(make_run(heads), case=SimpleNamespace(question="Which animal?", pictures=pictures))


@pytest.fixture
def correct():
    return run_on((30, 20), LEFT, EVEN)


@pytest.fixture
def failing():
    return run_on((30, 20), RIGHT, EVEN)


def test_masses_are_the_shares_of_the_maps_inside(correct, failing):
    (one,) = compare(correct, failing, regions=FIRST).regions
    assert one.left_mass[0] == pytest.approx([0.75, 1 / 6, (0.75 + 1 / 6) / 2])
    assert one.right_mass[2] == pytest.approx([0, 1 / 6, 1 / 12])
    assert one.left_chance == one.right_chance == pytest.approx(1 / 6)
    assert np.isnan(one.left_mass[1]).all()  # a layer without a map


def test_a_pair_of_regions_is_measured_each_on_its_own_side(correct, failing):
    (one,) = compare(correct, failing, regions=(FIRST, LAST_HALF)).regions
    assert one.name == "first"
    assert one.left_mass[0, 0] == pytest.approx(0.75)
    assert one.right_mass[0, 0] == pytest.approx(0.5)
    assert one.right_chance == pytest.approx(1 / 12)


def test_a_region_for_both_sides_is_fitted_to_the_failing_picture(correct):
    (one,) = compare(correct, run_on((60, 20), LEFT, EVEN), regions=FIRST).regions
    assert one.right == Region("first", Rectangle(0, 0, 20, 10))
    assert np.array_equal(one.left_mass, one.right_mass, equal_nan=True)


def test_a_side_without_a_region_has_no_number(correct, failing):
    (one,) = compare(correct, failing, regions=(None, LAST_HALF)).regions
    assert one.name == "last half"
    assert np.isnan(one.left_mass).all()
    assert np.isnan(one.left_chance)
    assert one.right_mass[0, 0] == pytest.approx(0.5)


def test_a_region_beside_the_picture_has_no_mass(correct, failing):
    (one,) = compare(correct, failing, regions=Region("out", Ellipse(500, 500, 5, 5))).regions
    assert np.isnan(one.left_mass).all()
    assert one.left_chance == 0


def test_several_regions_become_columns_of_both_tables(correct, failing):
    comparison = compare(correct, failing, regions=[FIRST, (LAST_HALF, None)])
    table, layers = comparison.table(), comparison.layers()
    added = [
        f"{side}_{what}_{name}"
        for name in ("first", "last half")
        for what in ("mass", "chance")
        for side in ("left", "right")
    ]
    assert list(table.columns)[7:] == list(layers.columns)[6:] == added
    top = table[(table["layer"] == 0) & (table["head"] == 0)].iloc[0]
    assert top[added].tolist() == pytest.approx([0.75, 0, 1 / 6, 1 / 6, 0, np.nan, 1 / 12, np.nan], nan_ok=True)
    assert layers["left_mass_first"][0] == pytest.approx((0.75 + 1 / 6) / 2)


def test_the_dictionary_holds_regions_masses_and_chance(correct, failing):
    made = json.loads(
        json.dumps(compare(correct, failing, regions=[FIRST, (None, LAST_HALF)]).to_dict(), allow_nan=False)
    )
    first, half = made["regions"]
    assert from_record(first["correct"]["region"]) == FIRST
    assert first["failing"]["chance"] == pytest.approx(1 / 6)
    assert half["correct"] is None
    assert {row["left_mass_last half"] for row in made["heads"]} == {None}


def test_without_regions_nothing_is_added(correct, failing):
    comparison = compare(correct, failing)
    assert comparison.regions == ()
    assert not [column for column in comparison.table().columns if "mass" in column]


@pytest.mark.parametrize(
    "wrong", ["spheres", 7, (FIRST, "x"), (None, None), [FIRST, None], [FIRST, Region("first", Rectangle(1, 1, 2, 2))]]
)
def test_what_is_not_a_choice_of_regions_is_refused_in_one_sentence(correct, failing, wrong):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        compare(correct, failing, regions=wrong)
