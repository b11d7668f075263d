"""What does a page remember? The address when a session begins, then what a person chooses.

The browser keeps the address true by itself (see `viewer/address.js`); the server reads it once, here, and never
writes it: writing would make Streamlit answer with its own copy of the address, which knows no slider.
"""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import streamlit as st

from qwenvl_debug.compare.alignment import KINDS
from qwenvl_debug.maps import NORMALISATIONS
from qwenvl_debug.settings import read_settings
from qwenvl_debug.ui import talk_form
from qwenvl_debug.ui.asks import LONGEST_REF
from qwenvl_debug.ui.pairs import OWN
from qwenvl_debug.ui.viewer import SCOPE, VIEW

MODEL = "micro"
"""The bundled model, which needs no download and no name in the address."""

_NUMBER = re.compile(r"\d{1,4}")


def model_choices() -> list[str]:
    """The models that a page offers: the bundled one and the app's, or those a shared server allows; and the chosen."""
    settings = read_settings()
    offered = settings.models or (MODEL, settings.model)
    return list(dict.fromkeys([*offered, st.session_state.model]))


def begin(pair_ids: list[str]) -> None:
    """At a session's first run, take over what the address asks for, as far as it exists."""
    state = st.session_state
    if "who" in state:
        return
    state.who = uuid4().hex
    link = {name: st.query_params[name] for name in (*SCOPE, *VIEW) if name in st.query_params}
    state.model = link.get("model", read_settings().model)
    wanted = link.get("pair")
    state.pair = wanted if wanted in (*pair_ids, OWN) else (pair_ids[0] if pair_ids else OWN)
    if wanted == OWN:
        asked = {name: link[name] for name in SCOPE[2:] if name in link}
        state.asked = asked or None
        talk_form.restore(asked)
        state.kept = {name: asked[name] for name in ("correct", "failing", "seconds", "seconds2") if name in asked}
        for name in ("ask", "ask2", "expect", "expect2"):
            state[f"own_{name}"] = asked.get(name, "")
    if wanted == state.pair:
        state.link = link


def query_for(scope: Any, default: str) -> dict[str, str]:
    """Who asks, what is shown and how the pictures lie on each other, for this comparison: {left, right, shows, align}.

    align is "" where that is found out. The link's wish counts the first time.

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
            "shows": link["shows"] if link.get("shows") in NORMALISATIONS else "picture",
            "align": link["align"] if link.get("align") in KINDS else "",
        }
    return queries[scope]


def alignment_for(scope: Any) -> str:
    """How a person wants the pictures of this comparison aligned, "" where that is found out; chooses nothing."""
    chosen = st.session_state.get("queries", {}).get(scope) or st.session_state.get("link", {})
    return chosen["align"] if chosen.get("align") in KINDS else ""


def choose_query(scope: Any, chosen: Any) -> None:
    """Take over what the viewer sent; anything but short texts that mean something is left aside."""
    if not isinstance(chosen, dict):
        return
    wanted = {name: str(chosen.get(name, ""))[:LONGEST_REF] for name in ("left", "right", "shows")}
    wanted["align"] = str(chosen.get("align", ""))
    if wanted["shows"] in NORMALISATIONS and wanted["align"] in ("", *KINDS):
        st.session_state.setdefault("queries", {})[scope] = wanted


def seed_for(scope: Any, layers: int, heads: int, layer: int, head: int) -> dict[str, Any]:
    """Where the viewer opens: where the link says the first time, else at this layer and head (-1 is the mean).

    Kept for the session: the viewer's data must not change with the slider, or all maps would be sent again.
    """
    seeds = st.session_state.setdefault("seeds", {})
    if scope not in seeds:
        link = st.session_state.pop("link", {})
        wanted = {name: link[name] for name in ("layer", "head") if _NUMBER.fullmatch(link.get(name, ""))}
        seeds[scope] = {
            "id": f"{len(seeds)}-{uuid4().hex[:8]}",
            "layer": min(int(wanted.get("layer", layer)), layers - 1),
            "head": min(int(wanted["head"]), heads - 1) if "head" in wanted else -1 if "layer" in wanted else head,
            "overlay": "difference" if link.get("overlay") == "difference" else "own",
            "stated": bool(wanted),
        }
    return seeds[scope]


def open_at(scope: Any, layer: int, head: int) -> None:
    """Have Compare open this comparison at a layer and head (-1 is the mean) when it appears next."""
    st.session_state.setdefault("seeds", {})[scope] = {"id": uuid4().hex[:12], "layer": layer, "head": head}


def forget_link() -> None:
    """Another pair was chosen: what the first address asked for no longer counts."""
    st.session_state.pop("link", None)


def suggest(scope: Any, layer: int, head: int) -> None:
    """Have the viewer go to a layer and head once for this comparison, unless someone has moved it already."""
    suggested = st.session_state.setdefault("suggested", set())
    if scope not in suggested:
        suggested.add(scope)
        go_to(layer, head)
        st.session_state.go["suggested"] = True


def want_sinks() -> None:
    """Someone wants to see the sinks; they are looked for from now on."""
    st.session_state.sinks = True


def sinks_wanted() -> bool:
    """Whether someone wants to see the sinks."""
    return st.session_state.get("sinks", False)


def go_to(layer: int, head: int | None) -> None:
    """Ask the viewer to show a layer (and head, -1 for the mean; None leaves the head as it is)."""
    before = st.session_state.get("go", {"number": 0})
    st.session_state.go = {"number": before["number"] + 1, "layer": layer, "head": head}


def going() -> dict[str, Any]:
    """Where the last click on a chart asked the viewer to go."""
    return st.session_state.get("go", {"number": 0, "layer": 0, "head": None})
