"""Masses of both sides on regions, on runs small enough to check by hand: 2 x 3 cells of 10 pixels."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.compare import Alignment, compare
from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Ellipse, Rectangle, Region, from_record
from tests.maps.hand_made import make_run

FIRST = Region("first", Rectangle(0, 0, 10, 10))
LAST_HALF = Region("last half", Rectangle(25, 10, 5, 10))
LEFT, RIGHT = np.array([0.6, 0.2, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 0, 0.3])
EVEN = np.full(6, 0.1)


def run_on(size, *heads):
    return replace(make_run(heads), case=Case(np.zeros((*size[::-1], 3), np.uint8), "Which animal?"))


def laid(matrix):
    return Alignment("registered", np.array(matrix, float), 30, 40, 0.8, "By hand.")


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


def test_each_image_may_have_its_own_region_of_a_name(correct, failing):
    own = replace(LAST_HALF, name="first")
    (one,) = compare(correct, failing, left_regions=FIRST, right_regions=[own]).regions
    assert (one.name, one.left, one.right) == ("first", FIRST, own)
    assert one.left_mass[0, 0] == pytest.approx(0.75)
    assert one.right_mass[0, 0] == pytest.approx(0.5)
    assert one.right_chance == pytest.approx(1 / 12)
    assert one.sided.said is None


def test_a_region_for_both_sides_is_fitted_to_the_failing_picture(correct):
    (one,) = compare(correct, run_on((60, 20), LEFT, EVEN), regions=FIRST).regions
    assert one.right == Region("first", Rectangle(0, 0, 20, 10))
    assert np.array_equal(one.left_mass, one.right_mass, equal_nan=True)


def test_a_region_goes_where_the_alignment_carries_it(correct, failing):
    """Turned by half a turn about the middle the first cell is the last one, and there is all of the failing map."""
    (one,) = compare(correct, failing, regions=FIRST, alignment=laid([[-1, 0, 30], [0, -1, 20], [0, 0, 1]])).regions
    assert one.right == Region("first", Rectangle(20, 10, 10, 10))
    assert one.right_mass[0, 0] == pytest.approx(1)
    assert (
        one.sided.said == "“first” on the failing image: carried by the registration: 30 of 40 points agree to 0.8 px."
    )


def test_what_falls_outside_the_other_image_is_dropped_and_said(correct, failing):
    (one,) = compare(correct, failing, regions=FIRST, alignment=laid([[1, 0, -6], [0, 1, 0], [0, 0, 1]])).regions
    assert one.right == Region("first", Rectangle(0, 0, 4, 10))
    assert one.sided.outside == pytest.approx(0.6)
    assert one.sided.said.endswith("; 60 % of it lies outside that image.")
    (gone,) = compare(correct, failing, regions=FIRST, alignment=laid([[1, 0, -16], [0, 1, 0], [0, 0, 1]])).regions
    assert gone.right is None
    assert np.isnan(gone.right_mass).all()
    assert np.isnan(gone.right_chance)
    assert gone.why(1) == "“first” lies outside the failing image."
    assert gone.why(0) is None


def test_a_region_of_one_image_is_carried_to_the_other_in_either_direction(correct, failing):
    shift = laid([[1, 0, 5], [0, 1, 0], [0, 0, 1]])
    there, back = compare(
        correct, failing, left_regions=FIRST, right_regions=Region("back", Rectangle(25, 0, 5, 10)), alignment=shift
    ).regions
    assert there.right == Region("first", Rectangle(5, 0, 10, 10))
    assert (back.left, back.sided.carried_to) == (Region("back", Rectangle(20, 0, 5, 10)), 0)
    assert "“back” on the correct image: carried by the registration" in back.sided.said


def test_images_that_are_not_aligned_have_regions_of_their_own(correct, failing):
    (one,) = compare(correct, failing, right_regions=LAST_HALF, alignment="by region").regions
    assert one.name == "last half"
    assert np.isnan(one.left_mass).all()
    assert np.isnan(one.left_chance)
    assert one.right_mass[0, 0] == pytest.approx(0.5)
    assert one.why(0) == "“last half” is drawn on the failing image only, and the images are not aligned."
    (both,) = compare(correct, run_on((60, 20), LEFT, EVEN), regions=FIRST, alignment="by region").regions
    assert both.right == Region("first", Rectangle(0, 0, 20, 10))
    assert "scaled by size, because the images are compared by regions only" in both.sided.said


def test_a_region_beside_the_picture_has_no_mass(correct, failing):
    (one,) = compare(correct, failing, regions=Region("out", Ellipse(500, 500, 5, 5))).regions
    assert np.isnan(one.left_mass).all()
    assert one.left_chance == 0
    assert one.why(0) == "“out” covers no pixel of the correct image."


def test_several_regions_become_columns_of_both_tables(correct, failing):
    comparison = compare(correct, failing, left_regions=[FIRST, LAST_HALF], right_regions=FIRST, alignment="by region")
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
    comparison = compare(correct, failing, regions=FIRST, right_regions=LAST_HALF, alignment="by region")
    made = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    first, half = made["regions"]
    assert from_record(first["correct"]["region"]) == FIRST
    assert first["failing"]["chance"] == pytest.approx(1 / 6)
    assert (first["carried_to"], first["outside"]) == ("failing", 0)
    assert first["carried"] == comparison.regions[0].sided.said
    assert half["correct"] is None
    assert half["why"] == {"correct": comparison.regions[1].why(0), "failing": None}
    assert {row["left_mass_last half"] for row in made["heads"]} == {None}


def test_without_regions_nothing_is_added(correct, failing):
    comparison = compare(correct, failing)
    assert comparison.regions == ()
    assert not [column for column in comparison.table().columns if "mass" in column]


SAME = Region("first", Rectangle(1, 1, 2, 2))


@pytest.mark.parametrize(
    "wrong",
    [
        {"regions": "spheres"},
        {"regions": 7},
        {"regions": [FIRST, "x"]},
        {"regions": (None, None)},
        {"regions": [FIRST, None]},
        {"regions": [(FIRST, LAST_HALF)]},
        {"regions": (FIRST, SAME)},
        {"left_regions": [FIRST, SAME]},
        {"right_regions": [FIRST, SAME]},
        {"regions": FIRST, "left_regions": SAME},
        {"regions": FIRST, "right_regions": [SAME]},
    ],
    ids=str,
)
def test_what_are_no_regions_or_two_of_one_name_is_refused_in_one_sentence(correct, failing, wrong):
    with pytest.raises(RegionError, match=r"^[A-Za-z][^\n]*\.$"):
        compare(correct, failing, **wrong)


def test_a_list_and_a_tuple_of_two_regions_are_two_regions(correct, failing):
    for several in ([FIRST, LAST_HALF], (FIRST, LAST_HALF)):
        assert [one.name for one in compare(correct, failing, regions=several).regions] == ["first", "last half"]
