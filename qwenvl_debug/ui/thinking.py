"""Does the model think before it answers? A control where its chat template has a switch, and what to know of thoughts.

Whether the template has one is known as soon as the model is loaded, so the control appears with the first answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from qwenvl_debug.ui.jobs import worker

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.pairs import Choice

THINKING = "thinking"
WAYS = {"on": True, "off": False}
"""What the address calls turning it on and off; without the name it is left to the chat template."""


def choose(model: str, choice: Choice) -> Choice:
    """The choice with thinking turned on, off or left to the chat template; draws the control where there is one."""
    with st.container():  # always there, so that what follows keeps its place when the control appears
        chosen = _control(model)
    if chosen is None:
        return choice
    return replace(choice, thinking=WAYS[chosen], address={**choice.address, "thinking": chosen})


def _control(model: str) -> str | None:
    """One of `WAYS` where it differs from the chat template's own way, else None; draws the control."""
    state, key = st.session_state, f"{THINKING}_{model}"
    wished = state.get(key, state.get("link", {}).get("thinking"))
    chosen, loaded = wished if wished in WAYS else None, worker().loaded(model)
    if loaded is None:
        return chosen
    if not loaded.template.has_switch:
        return None
    default = "on" if loaded.template.thinks() else "off"
    state[key] = chosen or default
    chosen = st.segmented_control(
        "Thinking",
        list(WAYS),
        format_func=str.capitalize,
        key=key,
        required=True,
        persist_state="session",
        help="Whether the model thinks before it answers. The checkpoint's chat template turns it "
        f"{default} unless it is told otherwise. Both sides are asked again.",
    )
    return None if chosen == default else chosen


def said(answers: Answers) -> str:
    """What to know of the thoughts of two runs, in a sentence or two; nothing where there are none."""
    sides = {"correct": answers.correct, "failing": answers.failing}
    lines = [_cut(name, run) for name, run in sides.items() if _thinks(run) and run.cut == "thoughts"]
    counts = [sum(token.kind == "thought" for token in run.tokens) for run in sides.values()]
    if any(counts) and not lines:
        lines.append(
            f"The model thought before it answered, {counts[0]:,} tokens on the correct side and {counts[1]:,} on the "
            "failing one. Verdicts, boxes and maps are about the answers."
        )
    if lines and answers.forced is not None and answers.forced[0].fed_after == "empty thoughts":
        lines.append("The expected answer is fed after the chat template's own empty thoughts, without thinking.")
    return " ".join(lines)


def _thinks(run: Run) -> bool:
    return any(token.kind == "thought" for token in run.tokens)


def _cut(name: str, run: Run) -> str:
    count = sum(token.kind == "thought" for token in run.tokens)
    return (
        f"The {name} run was cut in its thoughts after {count:,} tokens, so it has no answer yet: turn thinking off "
        "where the model has a switch, or raise max_new_tokens in Python."
    )
