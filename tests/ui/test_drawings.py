"""Drawings: what the browser says is taken for data of unknown origin, kept for everyone, and never overwritten."""

import time

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qwenvl_debug.case import Picture
from qwenvl_debug.errors import StoreError
from qwenvl_debug.regions import Ellipse, Mask, Rectangle, Region
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.settings import read_settings
from qwenvl_debug.store import add_region, drawing_of, open_store
from qwenvl_debug.store.tables import RegionRow
from qwenvl_debug.ui import archive
from qwenvl_debug.ui.drawing_messages import Drawing, received

SPHERES = Region("spheres", (Rectangle(1, 2, 3, 4),))
MAST = Region("mast", (Ellipse(10, 10, 2, 5), Mask(np.eye(20, 30))), "measure")
RECORD = to_record(SPHERES)


def picture() -> Picture:
    return Picture.open(np.random.default_rng(7).integers(0, 256, (20, 30, 3), dtype=np.uint8))


SHA = picture().sha256


class Window:
    """A session with the editor open, and a browser that draws as the real one does."""

    def __init__(self, given=()):
        self.app = AppTest.from_function(_page)
        self.app.session_state.given = [to_record(region) for region in given]
        self.run()

    def run(self, **wanted):
        for name in ("sent", "put", "problem"):
            self.app.session_state[name] = wanted.get(name)
        self.app.run()
        assert not self.app.exception
        return self

    @property
    def shown(self) -> dict[str, Region]:
        drawing = self.app.session_state.shown
        return {region.name: region for region in drawing.regions()[0]} if drawing else {}

    @property
    def told(self) -> dict:
        return self.app.session_state.told["pictures"][0]

    def send(self, *regions, gone=(), version=1):
        """Each region as (region, key, change, base, trail)."""
        names = ("key", "change", "base", "trail")
        sent = [{**to_record(region), **dict(zip(names, marks, strict=True))} for region, *marks in regions]
        gone = [dict(zip(names, marks, strict=True)) for marks in gone]
        return self.run(sent={SHA: {"version": version, "regions": sent, "gone": gone}})


def _page():
    import streamlit as st

    from qwenvl_debug.regions.record import from_record
    from qwenvl_debug.ui import archive, drawings
    from tests.ui.test_drawings import SHA, picture

    state = st.session_state
    if state.get("sent"):
        drawings.receive(state.sent)
    if state.get("put") is not None:
        drawings.replace(SHA, state.put)
    if drawings.load(SHA) is None and state.given:
        drawings.bring(SHA, [from_record(one) for one in state.given])
    drawings.show([picture()], appeared="shown" not in state)
    state.told = {"pictures": [drawings._told(SHA)]}
    state.shown = drawings.load(SHA)
    state.notice = archive.notice()


def stored() -> dict[str, Region]:
    """What another program finds in the store."""
    store = open_store(read_settings())
    found = drawing_of(store, SHA)
    store.close()
    return {one.key: one.region for one in found.regions} if found else {}


def test_what_is_drawn_in_one_window_is_there_in_another_and_after_a_restart():
    one, other = Window(), Window()
    one.send((SPHERES, "k1", "c1", None, []))
    assert stored() == {"k1": SPHERES}
    assert other.run().shown == {"spheres": SPHERES}
    archive._DESK.archives.clear()  # as a new process begins
    assert Window().shown == {"spheres": SPHERES}


def test_of_two_windows_that_change_one_region_the_later_is_refused_and_told_what_the_other_did():
    one, other = Window(), Window()
    one.send((SPHERES, "k1", "c1", None, []), (MAST, "k2", "c2", None, []))
    other.run()
    mine, theirs = Region("spheres", (Rectangle(0, 0, 9, 9),)), Region("spheres", (Rectangle(5, 5, 5, 5),))
    one.send((theirs, "k1", "c3", "c1", []), (MAST, "k2", "c2", "c2", None))
    other.send((mine, "k1", "c4", "c1", []), (MAST, "k2", "c2", "c2", None))
    assert stored()["k1"] == theirs
    assert other.shown["spheres"] == mine  # what its person sees is what is scored there
    rows = {row["key"]: row for row in other.told["regions"]}
    assert (rows["k1"]["change"], from_record(rows["k1"])) == ("c3", theirs)
    assert rows["k2"] == {"key": "k2", "change": "c2"}  # what a browser has is not sent back to it
    other.send((mine, "k1", "c5", "c3", []), (MAST, "k2", "c2", "c2", None))  # “Keep mine”
    assert stored()["k1"] == mine
    assert one.run().shown["spheres"] == mine


def test_regions_that_came_with_a_picture_are_stored_with_the_first_change_and_not_before():
    one = Window(given=[SPHERES, MAST])
    assert one.shown == {"spheres": SPHERES, "mast": MAST}
    assert [row["change"] for row in one.told["regions"]] == ["given", "given"]
    assert stored() == {}
    wide = Region("spheres", (Rectangle(0, 0, 9, 9),))
    one.send((wide, "given-0", "c1", "given", []), (MAST, "given-1", "given", "given", None))
    assert stored() == {"given-0": wide, "given-1": MAST}
    one.send((MAST, "given-1", "given", "given", None), gone=[("given-0", "c2", "c1", [])])
    one.send(gone=[("given-1", "c3", "given", [])])
    assert Window(given=[SPHERES, MAST]).shown == {}


def test_what_the_server_puts_in_place_is_one_more_change_that_the_browser_can_take_back():
    one = Window(given=[SPHERES, MAST])
    box = Region("box", (Rectangle(3, 3, 3, 3),))
    one.run(put=[SPHERES, box])
    assert list(stored().values()) == [SPHERES, box]
    assert (one.told["undoable"], one.shown) == (1, {"spheres": SPHERES, "box": box})
    assert one.app.session_state.shown.version == 1


def test_a_deletion_by_someone_else_is_told_apart_from_a_region_that_has_not_arrived():
    one, other = Window(), Window()
    one.send((SPHERES, "k1", "c1", None, []))
    assert one.told["taken"] == {}
    other.run().send(gone=[("k1", "c2", "c1", [])])
    assert one.run().told["taken"] == {"k1": "c1"}
    assert one.shown == {}


def test_while_the_disk_is_full_the_drawing_stays_and_one_sentence_says_so(monkeypatch):
    one = Window()

    def full(*_):
        raise StoreError("The disk is full, so nothing was saved: free some space and try again.")

    with monkeypatch.context() as patch:
        patch.setattr("qwenvl_debug.ui.drawings.keep_changes", full)
        one.send((SPHERES, "k1", "c1", None, []))
        assert one.run().shown == {"spheres": SPHERES}
        assert one.app.session_state.notice.startswith("The disk is full")
        assert stored() == {}
    one.send((SPHERES, "k1", "c1", None, []))  # the browser sends again what is not kept
    assert stored() == {"k1": SPHERES}
    assert one.app.session_state.notice is None


def test_keeping_a_stroke_and_looking_for_others_takes_a_page_no_time():
    one = Window()
    one.send((SPHERES, "k0", "c0", None, []))
    taken, looked = [], []
    for number in range(8):
        began = time.perf_counter()
        one.send(*((SPHERES, f"k{n}", f"c{n}", None, []) for n in range(number + 1)))
        taken.append(time.perf_counter() - began)
        began = time.perf_counter()
        one.run()
        looked.append(time.perf_counter() - began)
    print(f"{1000 * (np.median(taken) - np.median(looked)):.1f} ms for keeping a stroke")
    assert np.median(taken) - np.median(looked) < 0.1


def test_what_the_browser_sends_is_read_back_exactly():
    sent = {"abc": {"version": 7, "regions": [RECORD | {"colour": "#112233"}]}}
    drawing = received(sent)["abc"].drawing
    assert drawing.version == 7
    assert drawing.regions() == ((SPHERES,), ())


@pytest.mark.parametrize(
    "sent", [None, [], "x", {"abc": 1}, {"abc": {"version": "1", "regions": []}}, {"abc": {"version": 1}}]
)
def test_anything_else_is_left_aside(sent):
    assert received(sent) == {}


@pytest.mark.parametrize(
    "marks",
    [
        {"key": 1, "change": "c", "trail": []},
        {"key": "k", "change": "", "trail": []},
        {"key": "k", "change": "c", "trail": "none"},
        {"key": "a b", "change": "c", "trail": []},
        {"key": "k" * 65, "change": "c", "trail": []},
        {"key": "k", "change": "c", "trail": [], "shapes": "none"},
    ],
)
def test_a_change_that_cannot_be_from_the_editor_is_not_stored(marks):
    (sent,) = received({SHA: {"version": 1, "regions": [RECORD | marks], "gone": [7]}}).values()
    assert sent.changes == ()


def test_pictures_that_are_not_shown_cannot_be_drawn_on():
    one = Window()
    region = {**RECORD, "key": "k", "change": "c", "base": None, "trail": []}
    one.run(sent={"0" * 64: {"version": 1, "regions": [region]}})
    assert list(one.app.session_state["drawings"]) == []


def test_a_record_that_cannot_be_used_is_named_and_the_others_stay():
    drawing = Drawing(1, (RECORD, RECORD | {"name": "box", "shapes": [{"kind": "rectangle", "x": "left"}]}))
    regions, wrong = drawing.regions()
    assert [region.name for region in regions] == ["spheres"]
    assert wrong == ("The rectangle of region “box” has no x that can be used.",)


def names_shown(window: Window) -> list[str]:
    return [region.name for region in window.app.session_state.shown.regions()[0]]


def test_two_windows_that_draw_a_region_of_one_name_see_two_names():
    one, other = Window(), Window()
    one.send((SPHERES, "k1", "c1", None, []))
    other.send((Region("spheres", (Rectangle(5, 5, 5, 5),)), "k2", "d1", None, []))
    assert [region.name for region in stored().values()] == ["spheres", "spheres 2"]
    assert names_shown(one.run()) == names_shown(other.run()) == ["spheres", "spheres 2"]
    assert {row["key"]: row.get("name") for row in other.told["regions"]}["k2"] == "spheres 2", "its browser is told"


def test_regions_put_or_given_under_one_name_get_names_of_their_own():
    twin = Region("spheres", (Rectangle(9, 9, 3, 3),))
    one = Window(given=[SPHERES, twin])
    assert names_shown(one) == ["spheres", "spheres 2"]
    one.run(put=[SPHERES, MAST, twin])
    assert sorted(names_shown(one)) == ["mast", "spheres", "spheres 2"]
    assert sorted(region.name for region in stored().values()) == ["mast", "spheres", "spheres 2"]
    one.run(put=[SPHERES, MAST, twin])
    assert len(stored()) == 3


def test_two_of_one_name_from_an_older_store_are_shown_under_two_and_can_both_be_replaced():
    store = open_store(read_settings())
    with_two = add_region(store, picture(), SPHERES), add_region(store, picture(), Region("mast", SPHERES.shapes))
    with store.writing() as session:
        row = session.get(RegionRow, with_two[1].id)
        row.record = {**row.record, "name": "spheres"}
    store.close()
    one = Window()
    assert names_shown(one) == ["spheres", "spheres 2"]
    assert [row["name"] for row in one.told["regions"]] == ["spheres", "spheres 2"]
    one.run(put=[MAST])
    assert list(stored().values()) == [MAST]
