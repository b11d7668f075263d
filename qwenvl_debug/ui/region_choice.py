"""Which region and whose map are scored? The controls of the Regions page, what they begin with, and its address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from qwenvl_debug.ui import charts
from qwenvl_debug.ui.asks import default_ref
from qwenvl_debug.ui.region_scores import MEAN
from qwenvl_debug.ui.viewer import place_of

if TYPE_CHECKING:
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.region_scores import RegionScores, Shown

NAME, LAYER, HEAD, ASKS, SHOWN = "regions_name", "regions_layer", "regions_head", "regions_asks", "regions_shown"
ASKING = {
    "t": "the expected answer",
    "a": "each side's own answer",
    "q": "the question",
    "p": "the end of the prompt",
}


@dataclass(frozen=True)
class Chosen:
    """What the page is about: a region, and the layer and head (-1 the mean) whose map is scored."""

    name: str
    layer: int
    head: int
    shown: Shown


def asks_field(answers: Answers) -> str:
    """Who asks, as a ref."""
    options = [ref for ref in ASKING if ref != "t" or answers.forced is not None]
    if st.session_state.get(ASKS) not in options:
        wished = _wished("asks")
        st.session_state[ASKS] = wished if wished in options else default_ref(answers)
    return st.selectbox(
        "Asks",
        options,
        format_func=ASKING.get,
        key=ASKS,
        persist_state="session",
        help="Whose attention is scored. The expected answer is fed to both runs, so that the same words ask.",
    )


def fields(scores: RegionScores, scope: tuple[str, ...], name_at: Any, layer_at: Any, head_at: Any) -> Chosen:
    """Region, layer and head, each in its column of the page.

    Args:
        scores: both sides'.
        scope: what tells one comparison from another.
        name_at, layer_at, head_at: where the fields stand.
    """
    _begin(scores, scope)
    layers, heads = scores.sides[0].stack.values.shape[:2]
    with name_at:
        name = st.selectbox(
            "Region",
            scores.names,
            key=NAME,
            persist_state="session",
            help="The region that the sentence, the charts and the ranking are about.",
        )
    with layer_at:
        layer = st.slider(
            "Layer",
            0,
            max(1, layers - 1),
            key=LAYER,
            persist_state="session",
            help="The layer whose map is scored below, and shown over the pictures with “Show attention”.",
        )
    with head_at:
        head = st.selectbox(
            "Head",
            range(-1, heads),
            format_func=lambda one: "mean" if one == MEAN else str(one),
            key=HEAD,
            persist_state="session",
            help="One head of that layer, or the mean of them all.",
        )
    return Chosen(name, min(layer, layers - 1), head, st.session_state[SHOWN])


def shown_switch() -> None:
    """Whether charts and the ranking show mass or lift."""
    st.segmented_control(
        "Shown as",
        ["mass", "lift"],
        key=SHOWN,
        required=True,
        persist_state="session",
        label_visibility="collapsed",
        help="Mass is the share of the map inside the region; lift is how many times chance that is.",
    )


def place(address: dict[str, str], ref: str | None, chosen: Chosen | None) -> dict[str, Any]:
    """What the browser's address holds, so that a link opens the page as it is now."""
    found = place_of(address)
    if chosen is not None:
        found["address"] |= {
            "region": chosen.name,
            "asks": ref,
            "layer": chosen.layer,
            "head": "mean" if chosen.head == MEAN else chosen.head,
            "measure": "lift" if chosen.shown == "lift" else None,
        }
    return found


def go_to(layer: int, head: int | None) -> None:
    """Score this map in the cards, and show it over the pictures."""
    st.session_state[LAYER] = layer
    if head is not None:
        st.session_state[HEAD] = head
    st.session_state.regions_lit = st.session_state.get("regions_lit", 0) + 1


def clicked(key: str, selection: str) -> None:
    """Follow a click on a chart; see `charts.clicked`."""
    toggled = st.session_state.setdefault("toggled", {})
    points = st.session_state[key].selection.get(selection) or []
    toggled[key], there = charts.clicked(toggled.get(key, set()), points)
    if there is not None:
        go_to(*there)


follow_layer = partial(clicked, selection=charts.LAYER_CLICK)
follow_cell = partial(clicked, selection=charts.CELL_CLICK)


def _wished(name: str) -> str:
    """What the link with which the session began asks for; "" where it says nothing or another page has used it."""
    return str(st.session_state.get("link", {}).get(name, ""))


def _begin(scores: RegionScores, scope: tuple[str, ...]) -> None:
    """The region that was just drawn, else the last to be looked at; the layer where it differs most."""
    kept = st.session_state
    seen = kept.setdefault("regions_seen", {})
    before, names = seen.get(scope), scores.names
    first = not seen
    fresh = [name for name in names if before is not None and name not in before]
    if fresh:
        kept[NAME] = fresh[-1]
    elif before is None or kept.get(NAME) not in names:
        wished = _wished("region") if first else ""
        kept[NAME] = wished if wished in names else scores.most_telling()
    layers, heads = scores.sides[0].stack.values.shape[:2]
    if before is None or kept.get(LAYER, layers) >= layers or kept.get(HEAD, heads) >= heads:
        kept[LAYER], kept[HEAD] = _furthest_layer(scores, kept[NAME]), MEAN
    if first:
        layer, head = _wished("layer"), _wished("head")
        kept[LAYER] = min(int(layer), layers - 1) if re.fullmatch(r"\d{1,4}", layer) else kept[LAYER]
        kept[HEAD] = min(int(head), heads - 1) if re.fullmatch(r"\d{1,4}", head) else kept[HEAD]
    if SHOWN not in kept:
        kept[SHOWN] = "lift" if _wished("measure") == "lift" else "mass"
    seen[scope] = names


def _furthest_layer(scores: RegionScores, name: str) -> int:
    """The layer where both sides differ most on a region, or where most lies on it when it is on one side."""
    difference = scores.difference(name)
    values = scores.sides[scores.drawn_on(name)[0]].mass[name] if difference is None else difference
    known = np.abs(values[:, MEAN])
    return int(np.nanargmax(known)) if np.isfinite(known).any() else 0
