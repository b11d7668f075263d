"""On one picture every region has a name of its own; where that cannot be arranged, two of one name are refused."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.compare import compare_group, sweep
from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Rectangle, Region, check_names, score_run, score_table, unique_names
from qwenvl_debug.regions.names import free_name, name_key
from tests.maps.hand_made import make_run

SHAPE = Rectangle(0, 0, 10, 10)


@pytest.mark.parametrize(
    ("names", "taken", "unique"),
    [
        (["spheres", "spheres", "spheres"], [], ["spheres", "spheres 2", "spheres 3"]),
        (["spheres"], ["spheres", "spheres 2"], ["spheres 3"]),
        (["cat 2", "cat 2"], [], ["cat 2", "cat 3"]),
        (["cat", "cat", "cat 2"], [], ["cat", "cat 3", "cat 2"]),  # who has a name keeps it
        (["cat", "cat "], [], ["cat", "cat  2"]),
        (["é", "e\u0301"], [], ["é", "e\u0301 2"]),
        (["球", "球"], ["球 2"], ["球", "球 3"]),
        (["a", "A"], [], ["a", "A"]),
        (["2", "2"], [], ["2", "2 2"]),
    ],
)
def test_a_name_that_comes_again_gets_the_next_number_that_is_free(names, taken, unique):
    assert [name_key(name) for name in unique_names(names, taken)] == [name_key(name) for name in unique]


@given(
    st.lists(st.sampled_from(["a", "a 2", "a 3", "b", " b", "a 2 2", "é", "e\u0301"]), max_size=9),
    st.lists(st.sampled_from(["a", "a 2", "b"]), max_size=3),
)
def test_names_are_all_different_and_those_that_were_are_kept(names, taken):
    found = unique_names(names, taken)
    keys = [name_key(name) for name in found]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {name_key(name) for name in taken}
    assert unique_names(found, taken) == found
    for number, name in enumerate(names):
        before = [name_key(one) for one in [*taken, *names[:number]]]
        assert found[number] == name or name_key(name) in before


def test_five_thousand_regions_of_one_name_are_named_at_once():
    began = time.perf_counter()
    assert unique_names(["cat"] * 5000)[-1] == "cat 5000"
    assert time.perf_counter() - began < 1
    assert free_name("cat", ["dog"]) == "cat"


def test_two_regions_of_one_name_are_refused_wherever_they_would_be_told_apart_by_it():
    two = [Region("spheres", SHAPE), Region("mast", SHAPE), Region(" spheres", SHAPE)]
    run = make_run([[1, 0, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]])
    sentence = r"^Two regions are called “ ?spheres”: give each its own name\.$"
    for act in (
        lambda: check_names(two),
        lambda: score_table(run, two),
        lambda: score_run(run, two),
        lambda: sweep(None, None, "fog", regions=two),
        lambda: compare_group(run, [run] * 3, regions=[two, [], [], []]),
    ):
        with pytest.raises(RegionError, match=sentence):
            act()
    check_names(two[:2])


def test_accents_typed_in_two_ways_are_one_name():
    one, other = (Region(unicodedata.normalize(form, "été"), SHAPE) for form in ("NFC", "NFD"))
    assert one.name != other.name
    with pytest.raises(RegionError, match="Two regions are called"):
        check_names([one, other])
