"""How a page says whether a run can be believed: one small badge, with what was checked in its help text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.model.run_checks import Check
    from qwenvl_debug.ui.answers import Answers

_PLAIN = {
    "pictures": "Cells and picture tokens match",
    "rows": "Attention rows add up to 1",
    "order": "No row looks ahead",
    "probabilities": "Probabilities are probabilities",
    "answer": "The answer is the model's likeliest",
}


def run_badge(run: Run) -> None:
    """Draw the badge of a run. A check that fails is shown in red with its name, never hidden.

    Args:
        run: fresh or from the store.
    """
    from qwenvl_debug.model.run_checks import run_checks  # where a run is, the model's room is loaded already

    label, colour, icon, tip = badge(run_checks(run))
    st.badge(label, color=colour, icon=icon, help=tip)


def pair_badges(checks: tuple[tuple[Check, ...], tuple[Check, ...]]) -> None:
    """Draw the badges of a correct and a failing run side by side, from `checks_of_pair`."""
    with st.container(horizontal=True):
        for side, found in zip(("Correct", "Failing"), checks, strict=True):
            label, colour, icon, tip = badge(found)
            st.badge(f"{side}: {label[0].lower()}{label[1:]}", color=colour, icon=icon, help=tip)


def checks_of_pair(answers: Answers) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
    """The checks of both runs of an answered pair; some hundredths of a second, so a page keeps them."""
    from qwenvl_debug.model.run_checks import run_checks

    return run_checks(answers.correct), run_checks(answers.failing)


def badge(checks: tuple[Check, ...]) -> tuple[str, str, str, str]:
    """Label, colour, icon and help text (Markdown) of a run's checks."""
    failed = [check for check in checks if not check.passed]
    lines = [
        f"- {'✓' if check.passed else '✗'} {_PLAIN.get(check.name, check.name)}: {check.words}." for check in checks
    ]
    lines.append("")
    lines.append("`qwenvl-debug doctor --model …` also compares answer and rows with transformers' own.")
    tip = "\n".join(lines)
    if failed:
        return f"Do not trust: {', '.join(check.name for check in failed)}", "red", "⚠️", tip
    return f"{len(checks)} checks passed", "green", "✔️", tip
