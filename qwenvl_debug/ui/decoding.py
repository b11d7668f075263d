"""Is an answer greedy, or generated as the checkpoint says? A control where its own settings say something.

What they say is known as soon as the model is loaded, so the control appears with the first answers. What is left out
or applied stands beside the answers, see `run_badge`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from qwenvl_debug.report.decoding_text import settings_text
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.sentence import plain

if TYPE_CHECKING:
    from qwenvl_debug.ui.pairs import Choice

DECODING, SEED = "decoding", "seed"
WAYS = {"greedy": "Greedy", "checkpoint": "As the checkpoint says"}
"""What the address calls them (greedy is left out there), and what people do."""

LARGEST_SEED = 2**31 - 1


def choose(model: str, choice: Choice) -> Choice:
    """The choice with its decoding and seed; draws the control where there is one."""
    with st.container():  # always there, so that what follows keeps its place when the control appears
        chosen, seed = _control(model)
    if chosen == "greedy":
        return choice
    address = {**choice.address, DECODING: chosen, **({SEED: str(seed)} if seed else {})}
    return replace(choice, decoding=chosen, seed=seed, address=address)


def _control(model: str) -> tuple[str, int]:
    """One of `WAYS`, and the seed; draws the control."""
    state, link = st.session_state, st.session_state.get("link", {})
    key, seed_key = f"{DECODING}_{model}", f"{SEED}_{model}"
    wished, loaded = state.get(key, link.get(DECODING)), worker().loaded(model)
    chosen = wished if wished in WAYS else "greedy"
    seed = _seed(state.get(seed_key, link.get(SEED)))
    if loaded is None:
        return chosen, seed
    if loaded.own.record("checkpoint", 0)["decoding"] == "greedy":  # it asks for nothing that can be applied
        return "greedy", 0
    state[key], state[seed_key] = chosen, seed
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.segmented_control(
            "Decoding",
            list(WAYS),
            format_func=WAYS.get,
            key=key,
            required=True,
            persist_state="session",
            help="Greedy takes the likeliest token each time. The checkpoint's own generation settings: "
            f"{plain(settings_text(loaded.own.said))}. Both sides are asked again.",
        )
        if chosen == "checkpoint" and loaded.own.sampling:
            seed = int(
                st.number_input(
                    "Seed",
                    0,
                    LARGEST_SEED,
                    step=1,
                    key=seed_key,
                    persist_state="session",
                    width=140,
                    help="Of the random numbers: the same seed gives the same answer.",
                )
            )
    return chosen, seed


def _seed(wished: int | str | None) -> int:
    text = str(wished) if wished is not None else ""
    return min(int(text), LARGEST_SEED) if text.isdecimal() else 0
