"""What does a page remember? The address when a session begins, then what a person chooses.

The browser keeps the address true by itself (see `viewer/address.js`); the server reads it once, here, and never
writes it: writing would make Streamlit answer with its own copy of the address, which knows no slider.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import streamlit as st

from qwenvl_debug.ui.pairs import OWN
from qwenvl_debug.ui.viewer import SCOPE, VIEW

MODEL = "micro"
"""The bundled model, which needs no download and no name in the address."""

SHOWS = {"picture": "share of the picture", "row": "share of all attention"}
_NUMBER = re.compile(r"\d{1,4}")


def begin(pair_ids: list[str]) -> None:
    """At a session's first run, take over what the address asks for, as far as it exists."""
    state = st.session_state
    if "who" in state:
        return
    state.who = uuid4().hex
    link = {name: st.query_params[name] for name in (*SCOPE, *VIEW) if name in st.query_params}
    state.model = link.get("model", MODEL)
    wanted = link.get("pair")
    state.pair = wanted if wanted in (*pair_ids, OWN) else (pair_ids[0] if pair_ids else OWN)
    if wanted == OWN:
        asked = {name: link[name] for name in SCOPE[2:] if name in link}
        state.asked = asked or None
        state.kept = {side: asked[side] for side in ("correct", "failing") if side in asked}
        for name in ("ask", "ask2", "expect", "expect2"):
            state[f"own_{name}"] = asked.get(name, "")
    if wanted == state.pair:
        state.link = link


def query_for(scope: Any, default: str) -> dict[str, str]:
    """Who asks and what is shown for this comparison: {left, right, shows}. The link's wish counts the first time.

    Args:
        scope: what tells comparisons apart.
        default: the ref that asks unless someone chose another.
    """
    queries = st.session_state.setdefault("queries", {})
    if scope not in queries:
        link = st.session_state.get("link", {})
        queries[scope] = {
            "left": link.get("left", default),
            "right": link.get("right", default),
            "shows": link["shows"] if link.get("shows") in SHOWS else "picture",
        }
    return queries[scope]


def choose_query(scope: Any, chosen: Any) -> None:
    """Take over what the viewer sent; anything but three short texts is left aside."""
    if not isinstance(chosen, dict):
        return
    wanted = {name: str(chosen.get(name, ""))[:8] for name in ("left", "right", "shows")}
    if wanted["shows"] in SHOWS:
        st.session_state.setdefault("queries", {})[scope] = wanted


def seed_for(scope: Any, layers: int, heads: int, best_layer: int) -> dict[str, Any]:
    """Which layer and head the viewer opens with: the link's the first time, else the most different layer's mean.

    Kept for the session: the viewer's data must not change with the slider, or all maps would be sent again.
    """
    seeds = st.session_state.setdefault("seeds", {})
    if scope not in seeds:
        link = st.session_state.pop("link", {})
        layer, head = link.get("layer", ""), link.get("head", "")
        seeds[scope] = {
            "id": f"{len(seeds)}-{uuid4().hex[:8]}",
            "layer": min(int(layer), layers - 1) if _NUMBER.fullmatch(layer) else best_layer,
            "head": min(int(head), heads - 1) if _NUMBER.fullmatch(head) else -1,
        }
    return seeds[scope]


def open_at(scope: Any, layer: int, head: int) -> None:
    """Have Compare open this comparison at a layer and head (-1 is the mean) when it appears next."""
    st.session_state.setdefault("seeds", {})[scope] = {"id": uuid4().hex[:12], "layer": layer, "head": head}


def forget_link() -> None:
    """Another pair was chosen: what the first address asked for no longer counts."""
    st.session_state.pop("link", None)


def go_to(layer: int, head: int | None) -> None:
    """Ask the viewer to show a layer (and head, -1 for the mean; None leaves the head as it is)."""
    before = st.session_state.get("go", {"number": 0})
    st.session_state.go = {"number": before["number"] + 1, "layer": layer, "head": head}


def going() -> dict[str, Any]:
    """Where the last click on a chart asked the viewer to go."""
    return st.session_state.get("go", {"number": 0, "layer": 0, "head": None})
