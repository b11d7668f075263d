"""The editor's wish to copy regions is answered with where the alignment carries them, how, and what is left behind."""

import numpy as np
import pytest

from qwenvl_debug.compare import Alignment
from qwenvl_debug.errors import QueryError
from qwenvl_debug.regions import Brush, Ellipse, Rectangle, Region, carry, from_record, to_record
from qwenvl_debug.ui.region_copy import copied

SIZES = (160, 120), (200, 100)
SHIFT = np.array([[1, 0, 30], [0, 1, -20], [0, 0, 1.0]])
REGIONS = [
    Region("box", Rectangle(20, 40, 40, 30)),
    Region("half", Rectangle(20, 0, 40, 40), "avoid"),
    Region("gone", Ellipse(20, 8, 10, 6)),
    Region("stroke", Brush(((30, 30), (90, 60)), 8)),
]
RECORDS = [to_record(one) for one in REGIONS]


def registered():
    return Alignment("registered", SHIFT, 30, 40, 0.8, "By hand.")


@pytest.mark.parametrize("to", [0, 1])
def test_regions_are_carried_by_the_alignment_in_either_direction(to):
    answer = copied(RECORDS, registered, SIZES, to)
    assert answer["error"] is None
    homography = SHIFT if to else np.linalg.inv(SHIFT)
    assert {one["place"] for one in answer["regions"]} == {0, 1, 3}
    for one in answer["regions"]:
        wanted = carry(REGIONS[one["place"]], homography, SIZES[1 - to], SIZES[to]).region
        assert from_record({**RECORDS[one["place"]], "shapes": one["shapes"]}) == wanted


def test_it_is_said_how_they_were_carried_and_what_was_left_behind():
    said = copied(RECORDS, registered, SIZES, 1)["said"]
    how = "carried by the registration: 30 of 40 points agree to 0.8 px"
    assert said.startswith(f"3 regions copied to the failing picture: {how}.")
    assert "50 % of “half” lies outside the failing picture." in said
    assert "“gone” lies outside the failing picture and was not copied." in said
    apart = copied(RECORDS[:1], lambda: Alignment("by region", None, 0, 0, np.nan, "Too little."), SIZES, 1)
    assert "scaled by size, because the images are compared by regions only" in apart["said"]
    assert apart["regions"][0]["shapes"][0]["x"] == 25
    same = copied(RECORDS[:1], lambda: Alignment("same frame", np.eye(3), 0, 0, 0.0, ""), (SIZES[0], SIZES[0]), 1)
    assert same["said"] == "1 region copied to the failing picture: same frame."
    assert same["regions"][0]["shapes"] == RECORDS[0]["shapes"]


def test_what_cannot_be_copied_is_answered_with_one_sentence():
    def refused():
        raise QueryError("These pictures cannot be aligned.")

    for answer in (copied(RECORDS, refused, SIZES, 1), copied([{"name": 7}], registered, SIZES, 1)):
        assert (answer["regions"], answer["said"]) == ([], None)
        assert answer["error"].endswith(".")
    assert copied(None, registered, SIZES, 1)["regions"] == []
