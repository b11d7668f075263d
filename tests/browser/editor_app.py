"""A small app to draw in, without a model: the editor, what the server heard of it, a score card, and a second page."""

import json

import streamlit as st

from qwenvl_debug.regions import Mask, Region
from qwenvl_debug.ui import drawings
from qwenvl_debug.ui.editor import Panel, editor
from qwenvl_debug.ui.region_scores import score_sides
from qwenvl_debug.ui.score_cards import card
from tests.browser import drawn

PICTURES = [drawn.picture(0), drawn.picture(1)]
NAMES = ("Correct", "Failing")


def draw() -> None:
    """Draw on two pictures; region “stamp” comes with the first."""
    if drawings.load(PICTURES[0].sha256) is None:
        drawings.bring(PICTURES[0].sha256, [Region("stamp", (Mask(drawn.stamp()),))])
    editor(tuple(Panel(name, one, "waves") for name, one in zip(NAMES, PICTURES, strict=True)), key="editor")
    kept = [drawings.load(one.sha256) or drawings.Drawing() for one in PICTURES]
    st.button(
        "The server draws",
        on_click=lambda: drawings.replace(PICTURES[1].sha256, [Region("from server", (Mask(drawn.stamp()),))]),
    )
    with st.container(key="kept"):
        st.code(json.dumps([{"version": one.version, "regions": one.records} for one in kept]), wrap_lines=True)
    stacks = drawn.stack(0), drawn.stack(1)
    scores = score_sides(stacks, tuple(one.regions()[0] for one in kept), drawn.SIZES)
    for name in scores.names:
        st.html(card(scores, name, 1, 1))


st.set_page_config(page_title="Editor", layout="wide")
st.navigation(
    [
        st.Page(draw, title="Draw", url_path="draw", default=True),
        st.Page(lambda: st.title("Elsewhere"), title="Other", url_path="other"),
    ],
    position="top",
).run()
