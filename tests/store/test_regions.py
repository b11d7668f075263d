"""Regions: what was drawn comes back, and whoever is second is told."""

import numpy as np
import pytest
from sqlalchemy.orm.exc import StaleDataError

from qwenvl_debug.errors import ChangedMeanwhile, RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region
from qwenvl_debug.store import add_region, change_region, check, delete_region, files, load_picture, regions_of
from qwenvl_debug.store.tables import RegionRow

MASK = np.random.default_rng(1).random((60, 91)) < 0.4
SHAPES = (
    Mask(MASK),
    Ellipse(1 / 3, 9.5, 5, 6, turn=30),
    Mask(~MASK[:7, :3]),
    Rectangle(-3, 2, 10, 0.1),
    Polygon(((0, 0), (5, 0.25), (5, 5))),
    Brush(((1, 1), (2, 2)), 3, erase=True),
)


@pytest.fixture
def picture(case):
    return case.pictures[0]


def test_a_region_of_every_shape_comes_back_exactly_in_its_order(store, picture):
    region = Region("球 \0", SHAPES, "avoid")
    added = add_region(store, picture, region, colour="#e69f00")
    assert regions_of(store, picture) == (added,)
    assert regions_of(store, picture.sha256)[0].region == region
    assert (added.version, added.colour) == (1, "#e69f00")
    assert load_picture(store, picture.sha256) == picture


def test_regions_come_in_the_order_they_were_added_and_only_on_their_picture(store, case):
    first, second = (add_region(store, case.pictures[0], Region(name, SHAPES[1])) for name in "ab")
    other = add_region(store, case.pictures[1], Region("a", SHAPES[1]))
    changed = change_region(store, first, Region("c", SHAPES[4]))
    assert regions_of(store, case.pictures[0]) == (changed, second)
    assert regions_of(store, case.pictures[1]) == (other,)


def test_a_name_that_the_picture_has_already_is_refused_and_nothing_is_kept(store, case):
    picture = case.pictures[0]
    spheres, mast = (add_region(store, picture, Region(name, SHAPES[1])) for name in ("spheres", "mast"))
    for name in ("spheres", " spheres "):
        with pytest.raises(RegionError, match=r"^The picture has a region “ ?spheres ?” already: [^\n]*\.$"):
            add_region(store, picture, Region(name, SHAPES[3]))
    with pytest.raises(RegionError, match="already"):
        change_region(store, mast, Region("spheres", SHAPES[3]))
    assert regions_of(store, picture) == (spheres, mast)
    change_region(store, mast, Region("mast", SHAPES[3]))
    add_region(store, case.pictures[1], Region("spheres", SHAPES[1]))


def test_the_second_window_to_change_a_region_is_told_and_overwrites_nothing(store, picture):
    seen = add_region(store, picture, Region("spheres", SHAPES[1]))
    mine = change_region(store, seen, Region("spheres", SHAPES[4]))
    assert mine.version == 2
    with pytest.raises(ChangedMeanwhile, match="“spheres” was changed in another window"):
        change_region(store, seen, Region("balls", SHAPES[3]))
    with pytest.raises(ChangedMeanwhile, match="was changed in another window"):
        delete_region(store, seen)
    assert regions_of(store, picture) == (mine,)
    assert change_region(store, mine, Region("balls", SHAPES[3])).version == 3


def test_a_region_that_was_deleted_meanwhile_does_not_come_back(store, picture):
    seen = add_region(store, picture, Region("spheres", SHAPES))
    delete_region(store, seen)
    for late in (lambda: change_region(store, seen, seen.region), lambda: delete_region(store, seen)):
        with pytest.raises(ChangedMeanwhile, match="was deleted in another window"):
            late()
    assert regions_of(store, picture) == ()


@pytest.mark.parametrize("store", ["postgresql"], indirect=True)  # SQLite lets no one write who read before a write
def test_a_change_that_does_not_wait_for_its_turn_is_noticed_by_the_database(store, picture):
    """Two sessions hold the same version; the update of the second finds no row of that version."""
    seen = add_region(store, picture, Region("spheres", SHAPES[1]))
    with store.reading() as late:
        row = late.get(RegionRow, seen.id)
        mine = change_region(store, seen, Region("spheres", SHAPES[4]))
        row.colour = "#000000"
        with pytest.raises(StaleDataError):
            late.commit()
    assert regions_of(store, picture) == (mine,)
    with pytest.raises(ChangedMeanwhile, match="Someone else changed this first"), store.reading():
        raise StaleDataError


def test_the_masks_of_a_region_go_with_it_unless_another_has_the_same(store, picture):
    two = [add_region(store, picture, Region(name, SHAPES)) for name in ("spheres", "balls")]
    assert len(list(files.names(store.folder))) == 2  # the picture and the masks
    delete_region(store, two[0])
    assert regions_of(store, picture) == (two[1],)
    change_region(store, two[1], Region("balls", SHAPES[1]))
    assert len(list(files.names(store.folder))) == 1
    assert check(store, abandoned=0).clean
