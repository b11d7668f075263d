"""Keeping account of what an import leaves out, so that nothing is lost without being named.

Things that share a reason share a sentence, and what is merely not taken over is counted by its name: a file with a
thousand captions says so once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from qwenvl_debug.regions.files import listed


class Losses:
    """What was left out of one file so far; `sentences` tells it."""

    def __init__(self) -> None:
        self._noted: list[str] = []
        self._refused: dict[tuple[str, str], list[str]] = {}
        self._dropped: dict[str, Counter[str]] = {}
        self._gathered: dict[str, list[str]] = {}

    def note(self, sentence: str) -> None:
        """Something to be said in a sentence of its own; no text is nothing."""
        if sentence and sentence not in self._noted:
            self._noted.append(sentence)

    def gather(self, heading: str, name: str) -> None:
        """Something that is true of several, to be said in one sentence: the heading, and their names."""
        self._gathered.setdefault(heading, []).append(f"“{name}”")

    def refuse(self, kind: str, name: object, reason: str) -> None:
        """A thing that could not be used.

        Args:
            kind: what it is, such as "Annotation".
            name: which one it is.
            reason: a sentence.
        """
        self._refused.setdefault((kind, reason), []).append(str(name))

    def drop(self, where: str, name: str, times: int = 1) -> None:
        """A part of something that was used otherwise.

        Args:
            where: what it belonged to, such as "annotations".
            name: what it is called there.
            times: how often.
        """
        self._dropped.setdefault(where, Counter())[name] += times

    @property
    def first_reason(self) -> str | None:
        """The first refusal as a sentence, for a file of which nothing could be used."""
        return next(self._refusals(), None)

    def sentences(self) -> tuple[str, ...]:
        """All of it: what was noted, then what was refused, then what was dropped."""
        dropped = (
            f"Not imported from {where}: {', '.join(f'{name} ({count})' for name, count in names.items())}."
            for where, names in self._dropped.items()
        )
        gathered = (f"{heading}: {listed(names)}." for heading, names in self._gathered.items())
        return (*self._noted, *self._refusals(), *gathered, *dropped)

    def _refusals(self) -> Iterator[str]:
        for (kind, reason), names in self._refused.items():
            yield f"{kind}{'' if len(names) == 1 else 's'} {listed(names)}: {reason}"


def is_set(value: object) -> bool:
    """Whether a field says anything: not empty, nothing, false or zero."""
    if isinstance(value, str):
        return value.strip().lower() not in ("", "false", "0", "no", "none", "null")
    if isinstance(value, (list, tuple)):
        return any(map(is_set, value))
    if isinstance(value, dict):
        return any(map(is_set, value.values()))
    return bool(value)
