"""The viewer: two pictures side by side with the attention of the words that ask, redrawn in the browser.

The component is plain HTML, CSS and JavaScript in the folder `viewer`, joined here into one module: no build step.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import streamlit as st

_FOLDER = files("qwenvl_debug.ui") / "viewer"
SCOPE = ("pair", "model", "correct", "failing", "ask", "ask2", "expect", "expect2")
"""Names in the address that tell one comparison from another."""
VIEW = ("layer", "head", "left", "right", "shows", "region", "asks", "measure")
"""Names in the address that say what is shown of a comparison."""


def _read(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


_VIEWER = st.components.v2.component(
    "qwenvl_debug_viewer",
    html=_read("viewer.html"),
    css=_read("viewer.css"),
    js=_read("palettes.js", "maps.js", "address.js", "chips.js", "picture.js", "legend.js", "viewer.js"),
)
_KEEPER = st.components.v2.component("qwenvl_debug_keeper", js=_read("address.js", "keeper.js"))


def viewer(data: dict[str, Any], *, key: str, on_query: Callable[[], None]) -> None:
    """Mount the viewer.

    Args:
        data: what `compare_view.viewer_data` makes; only what changes it is sent again.
        key: the component's key; `st.session_state[key]["query"]` holds {left, right, shows} once someone chose.
        on_query: called when someone chooses other words.
    """
    _VIEWER(data=data, key=key, on_query_change=on_query)


def keeper(place: dict[str, Any], go: dict[str, Any], *, key: str) -> None:
    """Keep the address true and carry a click on a chart to the viewer.

    Args:
        place: {scope, view, address}, see `place_of`.
        go: {number, layer, head}; a new number moves the viewer there (head None leaves the head as it is).
        key: the component's key.
    """
    _KEEPER(data={"place": place, "go": go}, key=key, height=1)


def place_of(address: dict[str, str]) -> dict[str, Any]:
    """Where the page is, for the browser's address: which names tell comparisons apart, and their values now."""
    return {
        "scope": list(SCOPE),
        "view": list(VIEW),
        "address": {name: address.get(name) for name in SCOPE},
    }
