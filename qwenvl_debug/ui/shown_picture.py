"""Which of several pictures, or which frame of a video, do the pages show? A control above both sides."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from qwenvl_debug.ui.pairs import Choice

NUMBER = "picture_number"


def choose(choice: Choice) -> Choice:
    """The choice with the picture that is looked at; draws the control where both sides have several."""
    if choice.count < 2:
        return choice
    state = st.session_state
    link = state.get("link", {}).get("picture", "")
    wished = state.get(NUMBER, int(link) if link.isdecimal() else 0)
    state[NUMBER] = wished if isinstance(wished, int) and 0 <= wished < choice.count else 0
    seconds = choice.correct.seconds
    if seconds:
        number = st.select_slider(
            "Frame",
            range(choice.count),
            format_func=lambda one: f"{seconds[one]:.1f} s",
            key=NUMBER,
            persist_state="session",
            help="Which frame of both videos is shown. Models read two frames as one, so both have the same map.",
        )
    else:
        number = st.segmented_control(
            "Picture",
            range(choice.count),
            format_func=lambda one: _name(choice, one),
            key=NUMBER,
            required=True,
            persist_state="session",
            help="Which picture of both conversations is shown, in the order in which the model saw them.",
        )
    return replace(choice, picture=number, address={**choice.address, **({"picture": str(number)} if number else {})})


def _name(choice: Choice, number: int) -> str:
    names = list(dict.fromkeys(case.pictures[number].name for case in (choice.correct, choice.failing)))
    return f"{number + 1} · {' / '.join(names)}"
