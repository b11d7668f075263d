"""How a page says whether a run can be believed, and how it was made: small badges, with the whole in their help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from qwenvl_debug.ui.sentence import plain

if TYPE_CHECKING:
    from qwenvl_debug.model.run import Provenance
    from qwenvl_debug.model.run_checks import Check
    from qwenvl_debug.ui.answers import Answers

_PLAIN = {
    "pictures": "Cells and picture tokens match",
    "rows": "Attention rows add up to 1",
    "order": "No row looks ahead",
    "probabilities": "Probabilities are probabilities",
    "answer": "The answer is the model's likeliest",
}


def pair_badges(checks: tuple[tuple[Check, ...], tuple[Check, ...]], made: tuple[Provenance, Provenance]) -> None:
    """Draw what is known of a correct and a failing run: their checks, from `checks_of_pair`, and how they ran.

    Args:
        checks: of either side. One that fails is shown in red with its name, never hidden.
        made: where either side came from; said once where both ran in the same way.
    """
    with st.container(horizontal=True):
        for side, found in zip(("Correct", "Failing"), checks, strict=True):
            label, colour, icon, tip = badge(found)
            st.badge(f"{side}: {label[0].lower()}{label[1:]}", color=colour, icon=icon, help=tip)
        ways = [way(one) for one in made]
        for label, tip in ways[:1] if ways[0] == ways[1] else ways:
            st.badge(label, color="gray", help=tip)


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


def way(made: Provenance) -> tuple[str, str]:
    """How a run was made, in a few words and in full (Markdown); a run kept by an older version may say less."""
    said = made.settings
    precision = said.get("dtype", "unknown precision")
    if said.get("bits"):
        precision = f"{said['bits']}-bit with {precision}"
    vision = said.get("vision_layers")
    lines = [
        f"- Model: {plain(made.model)}, {plain(made.family)}",
        f"- Revision: {plain(made.revision)}",
        f"- Weights: {precision}, on {said.get('device', 'an unknown device')}",
        f"- Attention kept: the language layers'{f', and of {len(vision)} vision blocks' if vision else ''}",
    ]
    if template := said.get("chat_template"):
        lines.append(f"- Chat template: {plain(template)}")
    if (thinking := said.get("thinking")) is not None:
        lines.append(f"- Thinking: turned {'on' if thinking else 'off'}")
    if area := said.get("picture_area"):
        lines.append(f"- Pictures are resized to between {area[0]:,} and {area[1]:,} pixels")
    lines += [f"- {name} {version}" for name, version in made.versions.items() if name != "python"]
    return f"{precision} on {said.get('device', 'an unknown device')}", "\n".join(lines)
