"""What comes from the browser is taken for what it is: data of unknown origin."""

import pytest
from streamlit.testing.v1 import AppTest

from qwenvl_debug.regions import Rectangle, Region
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui.drawings import Drawing, received

RECORD = to_record(Region("spheres", (Rectangle(1, 2, 3, 4),)))


def test_what_the_browser_sends_is_read_back_exactly():
    sent = {"abc": {"version": 7, "regions": [RECORD | {"colour": "#112233"}]}}
    drawing = received(sent)["abc"]
    assert drawing.version == 7
    assert drawing.regions() == ((Region("spheres", (Rectangle(1, 2, 3, 4),)),), ())


@pytest.mark.parametrize(
    "sent", [None, [], "x", {"abc": 1}, {"abc": {"version": "1", "regions": []}}, {"abc": {"version": 1}}]
)
def test_anything_else_is_left_aside(sent):
    assert received(sent) == {}


def test_a_record_that_cannot_be_used_is_named_and_the_others_stay():
    drawing = Drawing(1, (RECORD, RECORD | {"shapes": [{"kind": "rectangle", "x": "left"}]}))
    regions, wrong = drawing.regions()
    assert [region.name for region in regions] == ["spheres"]
    assert wrong == ("The rectangle of region “spheres” has no x that can be used.",)


def test_the_browser_is_not_sent_its_own_drawing_back_but_a_later_one_of_the_server():
    def script():
        import streamlit as st

        from qwenvl_debug.regions import Rectangle, Region
        from qwenvl_debug.ui import drawings

        drawings.bring("abc", [])
        first = drawings.seed("abc")
        drawings.save("abc", drawings.Drawing(5, ({"name": "drawn"},)))
        st.session_state.own = drawings.seed("abc") == first
        drawings.save("abc", drawings.Drawing(4, ()))
        st.session_state.newest = drawings.load("abc").version
        drawings.replace("abc", [Region("server", (Rectangle(0, 0, 1, 1),))])
        st.session_state.seed = drawings.seed("abc").version

    app = AppTest.from_function(script).run()
    assert not app.exception
    assert app.session_state.own
    assert (app.session_state.newest, app.session_state.seed) == (5, 6)
