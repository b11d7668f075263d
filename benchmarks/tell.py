"""How a benchmark tells how far it is, and whether a goal was met."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

Goal = tuple[str, float, float, str]
"""What was measured, the value, what it may be at most, and the form both are written in."""


def report(line: str) -> None:
    """Say how far it is, beside the results on standard output."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def goals_table(goals: Sequence[Goal]) -> list[str]:
    """Lines of Markdown: each goal, what was measured, and whether that meets it."""
    lines = ["", "| goal | measured | at most | |", "| --- | ---: | ---: | --- |"]
    for name, value, most, form in goals:
        verdict = "met" if value <= most else "missed"
        lines.append(f"| {name} | {form.format(value)} | {form.format(most)} | {verdict} |")
    return lines


def quickest(work: Callable[[], Any], rounds: int) -> float:
    """Seconds of the quickest of several rounds: other work on the machine only ever makes it slower."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)
