"""How far a series of interventions is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Progress = Callable[[int, int, str], Any]
"""Called as progress(done, of, text) from the thread that works."""

T = TypeVar("T")


class Steps:
    """Counts the steps of some work and reports each before it is taken.

    Args:
        progress: who is told, if anybody.
        of: how many steps there are.
    """

    def __init__(self, progress: Progress | None, of: int) -> None:
        self.progress, self.of, self.done = progress, of, 0

    def take(self, text: str, work: Callable[[], T]) -> T:
        """Report a step, do it, and count it."""
        if self.progress is not None:
            self.progress(self.done, self.of, text)
        result = work()
        self.done += 1
        if self.progress is not None and self.done == self.of:
            self.progress(self.of, self.of, "")
        return result
