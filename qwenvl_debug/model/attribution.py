"""Whose is each character of a rendered chat? Found without changing what is rendered.

The conversation is rendered once more with every visible character of the words replaced by a stand-in that names its
place. Templates look at white space and at marks such as `</think>`, which stay, and at nothing else of the words, so
both texts have the same form, and each stand-in lies where its character does. Where they have not (a template that
escapes the words, or tests them for others), the words are searched for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from qwenvl_debug.model.run import Kind
from qwenvl_debug.model.thoughts import split_thoughts

_FIRST, _COUNT = 0xF0000, 65_000
"""Stand-ins: a private use area of Unicode, which no template trims, writes or tests for."""

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")


@dataclass(frozen=True)
class Part:
    """What one person or model said.

    Attributes:
        kind: what its tokens are.
        turn: which turn of the conversation, from 0; None for the system prompt.
        text: the words.
    """

    kind: Kind
    turn: int | None
    text: str


def marks_of(source: str, controls: re.Pattern[str]) -> re.Pattern[str] | None:
    """Return what finds the marks that a template may look for in words: its quoted texts that are no mere words.

    Args:
        source: the template.
        controls: special tokens, which never count as marks.
    """
    quoted = {re.sub(r"\\.", " ", one or other).strip() for one, other in _QUOTED.findall(source)}
    marks = [mark for mark in quoted if re.search(r"[^\w\s]", mark) and not controls.search(mark)]
    return re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True)))) if marks else None


def stand_ins(said: str, marks: re.Pattern[str] | None) -> str:
    """Return the words with a stand-in for every visible character, but for marks that stay."""
    stay = {place for mark in marks.finditer(said) for place in range(*mark.span())} if marks else ()
    return "".join(
        character if character.isspace() or place in stay else chr(_FIRST + place % _COUNT)
        for place, character in enumerate(said)
    )


def owners_of(text: str, other: str | None, parts: Sequence[Part]) -> list[int] | None:
    """Return whose each character is, from a rendering with stand-ins; None where that has another form.

    Args:
        text: the chat with its real words.
        other: the chat with stand-ins; None where the template raised an error.
        parts: what was said, in order.

    Returns:
        For each character of the text the number of a part, or -1 for the template.
    """
    if other is None or len(other) != len(text):
        return None
    said = "".join(part.text for part in parts)
    part_of = [number for number, part in enumerate(parts) for _ in part.text]
    ends = list(accumulate(len(part.text) for part in parts))
    found: list[tuple[int, int]] = []  # (place in the text, place in what was said)
    for place, (real, stand_in) in enumerate(zip(text, other, strict=True)):
        if not _FIRST <= ord(stand_in) < _FIRST + _COUNT:
            if real != stand_in:
                return None
            continue
        index = _index(ord(stand_in) - _FIRST, len(said), found[-1][1] if found else 0)
        if index is None:
            return None
        found.append((place, index))
    owners = [-1] * len(text)
    for place, index in found:
        owners[place] = part_of[index]
    # White space and marks that stayed belong to the words beside them, where the template left them as they were.
    for before, after in pairwise([None, *found, None]):
        start = 0 if before is None else before[0] + 1
        gap = text[start : len(text) if after is None else after[0]]
        if not gap:
            continue
        same = before and after and part_of[before[1]] == part_of[after[1]]
        if same and (gap.isspace() or gap == said[before[1] + 1 : after[1]]):
            owners[start : start + len(gap)] = [part_of[before[1]]] * len(gap)
            continue
        if before:
            number = part_of[before[1]]
            kept = _common(gap, said[before[1] + 1 : ends[number]])
            owners[start : start + kept] = [number] * kept
        if after:
            number = part_of[after[1]]
            kept = _common(gap[::-1], said[ends[number] - len(parts[number].text) : after[1]][::-1])
            owners[start + len(gap) - kept : start + len(gap)] = [number] * kept
    return owners


def _index(code: int, count: int, last: int) -> int | None:
    """The place in what was said that a stand-in names; in very long conversations they come round again."""
    possible = range(code, count, _COUNT)
    return next((index for index in possible if index >= last), possible[-1]) if possible else None


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike, up to the last visible one."""
    alike = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return len(one[:alike].rstrip())


def searched(text: str, parts: Sequence[Part]) -> list[int]:
    """Return whose each character is, by looking for the words from the last to the first.

    Backwards, for the marks of a turn, such as its role, stand before its words and might be taken for them.
    """
    owners, end = [-1] * len(text), len(text)
    for number, part in reversed(list(enumerate(parts))):
        for words in (part.text.strip(), part.text[split_thoughts(part.text, opened=False) :].strip()):
            start = text.rfind(words, 0, end) if words else -1
            if start >= 0:
                owners[start : start + len(words)] = [number] * len(words)
                end = start
                break
    return owners
