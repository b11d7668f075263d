"""The viewer: two pictures side by side with the attention of the words that ask, redrawn in the browser.

The component is plain HTML, CSS and JavaScript in the folder `viewer`, joined here into one module: no build step.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import streamlit as st

_FOLDER = files("qwenvl_debug.ui") / "viewer"
SCOPE = (
    "pair", "model", "correct", "failing", "ask", "ask2", "expect", "expect2", "system", "turns", "shown",
    "seconds", "seconds2", "thinking",
)  # fmt: skip
"""Names in the address that tell one comparison from another."""
VIEW = ("layer", "head", "left", "right", "shows", "align", "overlay", "region", "asks", "measure", "picture")
"""Names in the address that say what is shown of a comparison."""


def _read(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


_SCRIPTS = (
    "palettes", "maps", "difference", "painting", "address", "chips", "picture", "zoom", "marks", "swipe", "mosaic",
    "legend", "save", "controls", "viewer",
)  # fmt: skip
_VIEWER = st.components.v2.component(
    "qwenvl_debug_viewer",
    html=_read("viewer.html"),
    css=_read("viewer.css", "panels.css"),
    js=_read(*(f"{name}.js" for name in _SCRIPTS)),
)
_KEEPER = st.components.v2.component("qwenvl_debug_keeper", js=_read("address.js", "keeper.js"))
_EXTRAS = st.components.v2.component("qwenvl_debug_extras", js=_read("extras.js"))


def viewer(
    data: dict[str, Any],
    *,
    key: str,
    on_query: Callable[[], None] = lambda: None,
    on_sinks: Callable[[], None] = lambda: None,
) -> None:
    """Mount the viewer.

    Args:
        data: what `viewer_data` makes; any change sends all of it again.
        key: the component's key; `st.session_state[key]["query"]` holds {left, right, shows, align} once someone chose.
        on_query: called when someone chooses other words, another normalisation or another alignment.
        on_sinks: called when someone wants to see the sinks.
    """
    _VIEWER(data=data, key=key, on_query_change=on_query, on_sinks_change=on_sinks)


def extras(data: dict[str, Any], *, key: str) -> None:
    """Give the viewer what is known beside its maps, see `extras.extras_data`; it may come later and change alone."""
    _EXTRAS(data=data, key=key, height=1)


def keeper(place: dict[str, Any], go: dict[str, Any], *, key: str) -> None:
    """Keep the address true and carry a click on a chart to the viewer.

    Args:
        place: {scope, view, address}, see `place_of`.
        go: {number, layer, head, suggested}; a new number moves the viewer there (head None leaves the head as it is),
            a suggestion only while nobody has moved it.
        key: the component's key.
    """
    _KEEPER(data={"place": place, "go": go}, key=key, height=1)


def place_of(address: dict[str, str]) -> dict[str, Any]:
    """Where the page is, for the browser's address: which names tell comparisons apart, and their values now."""
    return {
        "scope": list(SCOPE),
        "view": list(VIEW),
        "address": {name: address.get(name) for name in (*SCOPE, "picture")},
    }
