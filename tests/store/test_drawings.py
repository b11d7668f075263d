"""Several windows draw on one picture: whatever is built on the latest change is kept, and nothing else ever."""

import threading

import numpy as np
import pytest
from sqlalchemy import text

from qwenvl_debug.case import Case
from qwenvl_debug.regions import Ellipse, Mask, Rectangle, Region
from qwenvl_debug.regions.names import free_name
from qwenvl_debug.store import (
    Change,
    add_region,
    changes_on,
    check,
    drawing_of,
    find_picture,
    instead_of,
    keep_changes,
    open_store,
    save_case,
)
from tests.store.hand_made import save_case_as_before

SPHERES = Region("spheres", Ellipse(20, 20, 5, 5))
WIDER = Region("spheres", Ellipse(20, 20, 9, 5))
MAST = Region("mast", (Rectangle(40, 2, 3, 20), Mask(np.random.default_rng(0).random((60, 90)) < 0.3)), "measure")


@pytest.fixture
def picture(case):
    return case.pictures[0]


def drawn(store, picture):
    return {one.key: (one.change, one.region) for one in drawing_of(store, picture.sha256).regions}


def test_what_is_built_on_the_last_change_is_kept_and_what_is_not_is_refused(store, picture):
    assert drawing_of(store, picture.sha256) is None
    assert keep_changes(store, picture, [Change("s", "a1", region=SPHERES, colour="#112233")]) == ()
    assert keep_changes(store, picture, [Change("s", "b1", ("a1",), True, WIDER)]) == ()
    late = Change("s", "c1", ("a1",), True, Region("balls", SPHERES.shapes))
    assert keep_changes(store, picture, [late, Change("m", "c2", region=MAST)]) == ("s",)
    assert drawn(store, picture) == {"s": ("b1", WIDER), "m": ("c2", MAST)}
    assert keep_changes(store, picture, [Change("s", "c3", ("b1",), True, late.region)]) == ()
    assert drawn(store, picture)["s"] == ("c3", late.region)
    assert changes_on(store, [picture.sha256, "0" * 64]) == {picture.sha256: 4}
    assert check(store, abandoned=0).clean


def test_a_window_goes_on_drawing_before_it_hears_that_its_last_change_was_kept(store, picture):
    keep_changes(store, picture, [Change("s", "a1", region=SPHERES)])
    keep_changes(store, picture, [Change("s", "a2", ("a1",), region=WIDER)])
    assert keep_changes(store, picture, [Change("s", "a3", ("a1", "a2"), region=SPHERES)]) == ()
    assert drawn(store, picture) == {"s": ("a3", SPHERES)}
    assert keep_changes(store, picture, [Change("s", "a3", ("a1", "a2"), region=SPHERES)]) == ()  # sent twice
    assert drawn(store, picture) == {"s": ("a3", SPHERES)}


def test_two_windows_that_make_the_same_change_are_of_one_mind(store, picture):
    keep_changes(store, picture, [Change("s", "a1", region=SPHERES)])
    keep_changes(store, picture, [Change("s", "b1", ("a1",), True, WIDER)])
    assert keep_changes(store, picture, [Change("s", "c1", ("a1",), True, WIDER)]) == ()


def test_a_deletion_meets_a_change_and_neither_is_lost(store, picture):
    keep_changes(store, picture, [Change("s", "a1", region=SPHERES), Change("m", "a2", region=MAST)])
    keep_changes(store, picture, [Change("s", "b1", ("a1",), True, WIDER), Change("m", "b2", ("a2",), True)])
    assert keep_changes(store, picture, [Change("s", "c1", ("a1",), True)]) == ("s",)
    assert keep_changes(store, picture, [Change("m", "c2", ("a2",), True, SPHERES)]) == ("m",)
    assert drawn(store, picture) == {"s": ("b1", WIDER)}
    assert keep_changes(store, picture, [Change("m", "c2", ("a2",), True)]) == ()  # deleted twice is deleted
    assert keep_changes(store, picture, [Change("m", "c3", region=MAST)]) == ()  # and may be drawn again


def test_regions_that_came_with_a_picture_are_stored_only_once_somebody_changes_something(store, picture):
    given = [Change("g1", "given", region=SPHERES, given=True), Change("g2", "given", region=MAST, given=True)]
    assert keep_changes(store, picture, given) == ()
    assert drawing_of(store, picture.sha256) is None
    keep_changes(store, picture, [given[0], Change("g2", "a1", ("given",))])
    assert drawn(store, picture) == {"g1": ("given", SPHERES)}
    wide = Change("g1", "b1", ("given",), region=WIDER)
    assert keep_changes(store, picture, [wide, given[1]]) == ()  # the other window still shows the mast
    assert drawn(store, picture) == {"g1": ("b1", WIDER)}


def test_a_picture_whose_regions_were_all_deleted_stays_empty(store, picture):
    keep_changes(store, picture, [Change("g1", "a1", ("given",))])
    assert drawing_of(store, picture.sha256).regions == ()


def test_two_regions_never_have_one_name(store, picture):
    keep_changes(store, picture, [Change("a", "1", region=SPHERES)])
    keep_changes(store, picture, [Change("b", "2", region=WIDER), Change("c", "3", region=MAST)])
    keep_changes(store, picture, [Change("c", "4", ("3",), True, SPHERES)])
    names = [one.region.name for one in drawing_of(store, picture.sha256).regions]
    assert names == ["spheres", "spheres 2", "spheres 3"]
    assert free_name("球 2", {"球 2", "球 3"}) == "球 4"


def test_of_windows_that_change_one_region_at_the_same_time_exactly_one_succeeds(store, picture):
    keep_changes(store, picture, [Change("s", "a1", region=SPHERES)])
    refused, start = {}, threading.Barrier(4)

    def work(number):
        region = Region(f"balls of {number}", WIDER.shapes)
        start.wait()
        refused[number] = keep_changes(store, picture, [Change("s", f"b{number}", ("a1",), True, region)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [number for number, keys in refused.items() if keys == ()]
    assert drawn(store, picture)["s"][0] == f"b{winner}"


def test_regions_that_were_read_before_are_not_read_again(store, picture):
    keep_changes(store, picture, [Change("m", "1", region=MAST), Change("s", "2", region=SPHERES)])
    first = drawing_of(store, picture.sha256)
    keep_changes(store, picture, [Change("s", "3", ("2",), True, WIDER)])
    again = drawing_of(store, picture.sha256, first.regions)
    assert again.regions[0].region is first.regions[0].region
    assert again.regions[1].region == WIDER


def test_other_regions_take_the_place_of_a_drawing_and_keep_what_has_the_same_name(store, picture):
    keep_changes(store, picture, [Change("s", "1", region=SPHERES, colour="#112233"), Change("m", "2", region=MAST)])
    window = Region("window", Rectangle(1, 1, 4, 4))
    keep_changes(store, picture, instead_of(drawing_of(store, picture.sha256), [(WIDER, None), (window, "#445566")]))
    found = drawing_of(store, picture.sha256)
    assert [(one.region, one.colour) for one in found.regions] == [(WIDER, "#112233"), (window, "#445566")]
    assert found.regions[0].key == "s"
    assert instead_of(found, [(WIDER, None), (window, None)]) == ()


def test_regions_of_an_older_store_get_names_and_their_pictures_count_as_drawn_on(settings, picture, monkeypatch):
    with monkeypatch.context() as old:
        old.setattr("qwenvl_debug.store.engine.HEAD", "0001")
        store = open_store(settings)
    number = save_case_as_before(store, Case(picture, "Which tower?"))
    with store.writing() as session:
        session.execute(
            text(
                "INSERT INTO regions (picture, record, created, version) VALUES "
                f"""('{picture.sha256}', '{{"version": 1, "name": "old", "expect": "look", "shapes": []}}', '', 1)"""
            )
        )
    store.close()
    store = open_store(settings)
    found = drawing_of(store, picture.sha256)
    assert (found.changes, found.regions[0].region, found.regions[0].key) == (1, Region("old", ()), "row-1")
    assert add_region(store, picture, SPHERES).key not in ("", "row-1")
    assert save_case(store, Case(picture, "Which tower?")) == number
    store.close()


def test_a_picture_is_found_by_the_beginning_of_its_hash_and_has_the_name_of_its_last_case(store, case):
    save_case(store, case)
    found = find_picture(store, case.pictures[0].sha256[:24])
    assert (found, found.name) == (case.pictures[0], case.pictures[0].name)
    for nothing in ("0" * 24, "", "%" * 24, "_" * 24, case.pictures[0].sha256[:8]):
        assert find_picture(store, nothing) is None
