"""What came before the question? The fields of the own-pictures form for a system prompt and earlier turns.

In the address, and in what is asked, they are three texts: `system`; `turns`, a JSON list of [question, answer]; and
`shown`, which is "first" where the pictures were shown with the first turn rather than with the question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import streamlit as st

from qwenvl_debug.case import MAX_CHARACTERS, Turn

TALK = "own_talk"
"""Key of the switch that opens the fields."""

MOST_TURNS = 8
"""Most earlier turns of the form; Python and the command line take any number."""

NAMES = ("system", "turns", "shown")
WHEN = {"first": "with the first turn", "last": "with the question"}


def fields() -> None:
    """Draw them."""
    _field("own_system", "System prompt (optional)", "The checkpoint's own, where it has one")
    for turn in range(st.session_state.setdefault("own_turns", 0)):
        asked, answered = st.columns(2, gap="medium")
        with asked:
            _field(f"own_q_{turn}", f"Turn {turn + 1}: asked before", "What is this?")
        with answered:
            _field(f"own_a_{turn}", f"Turn {turn + 1}: answered then", "A tower.")
    with st.container(horizontal=True, vertical_alignment="center"):
        count = st.session_state.own_turns
        st.button("Add a turn", key="own_more", on_click=_change, args=(1,), disabled=count >= MOST_TURNS)
        st.button("Take the last turn out", key="own_fewer", on_click=_change, args=(-1,), disabled=not count)
    if st.session_state.own_turns:
        st.radio(
            "The pictures are shown",
            list(WHEN),
            format_func=WHEN.get,
            key="own_shown",
            horizontal=True,
            persist_state="session",
            help="In a chat the pictures usually come first, and the question that matters later.",
        )


def inputs() -> dict[str, str]:
    """What is typed, as three texts; nothing while the fields are closed."""
    if not st.session_state.get(TALK):
        return {}
    typed = [
        [st.session_state.get(f"own_{part}_{turn}", "").strip() for part in "qa"]
        for turn in range(st.session_state.get("own_turns", 0))
    ]
    turns = [turn for turn in typed if any(turn)]
    shown = st.session_state.get("own_shown", "first") if turns else ""
    return {
        "system": st.session_state.get("own_system", "").strip(),
        "turns": json.dumps(turns, ensure_ascii=False) if turns else "",
        "shown": "first" if shown == "first" else "",
    }


def restore(asked: Mapping[str, str]) -> None:
    """Fill the fields with what a link or a page asks."""
    state, turns = st.session_state, _turns(asked)
    state.own_system = asked.get("system", "")
    state.own_turns = len(turns)
    state.own_shown = "first" if asked.get("shown") == "first" or not turns else "last"
    for number, turn in enumerate(turns):
        for part, text in zip("qa", turn, strict=True):
            state[f"own_{part}_{number}"] = text
    several = any("," in asked.get(side, "") for side in ("correct", "failing"))
    state[TALK] = several or any(asked.get(name) for name in NAMES)


def asked_of(system: str | None, history: tuple[Turn, ...]) -> dict[str, str]:
    """The three texts of a case's conversation."""
    return {
        "system": system or "",
        "turns": json.dumps([[turn.question, turn.answer] for turn in history], ensure_ascii=False) if history else "",
        "shown": "first" if history and history[0].pictures else "",
    }


def history_of(asked: Mapping[str, str], pictures: int) -> tuple[Turn, ...]:
    """The earlier turns that are asked for, of a case of so many pictures.

    Raises:
        CaseError: a turn lacks its question or its answer.
    """
    shown = pictures if asked.get("shown") == "first" else 0
    return tuple(Turn(*turn, pictures=0 if number else shown) for number, turn in enumerate(_turns(asked)))


def _turns(asked: Mapping[str, str]) -> list[list[str]]:
    """The turns of an address, as far as they are turns."""
    try:
        turns = json.loads(asked.get("turns") or "[]")
    except (ValueError, RecursionError):
        return []
    if not isinstance(turns, list):
        return []
    whole = [turn for turn in turns if isinstance(turn, list) and [type(part) for part in turn] == [str, str]]
    return whole[:MOST_TURNS]


def _field(key: str, label: str, placeholder: str) -> None:
    st.text_input(label, key=key, placeholder=placeholder, max_chars=MAX_CHARACTERS, persist_state="session")


def _change(by: int) -> None:
    st.session_state.own_turns += by
