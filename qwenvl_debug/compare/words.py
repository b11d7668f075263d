"""Which words do two questions have in common, so that both sides can be asked with the same ones?

A word written with spaces around it is a word; Chinese, Japanese and Thai have no such marks, so there every run of
characters that both questions hold is taken, and each of its characters too. A word that stands in a question twice
is paired with its first and its second place in the other.
"""

from __future__ import annotations

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from qwenvl_debug.maps import Query
from qwenvl_debug.maps.words import UNSPACED, word_query

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

_LETTER = rf"[^\W_{UNSPACED}]"
_WORD = re.compile(rf"(?<!['’])(?<!{_LETTER}){_LETTER}+")  # not the s of "cat's"
_RUN = re.compile(f"[{UNSPACED}]+")


def shared_words(left: Run, right: Run) -> list[tuple[Query, Query]]:
    """The words that both questions have, as queries of either run, in the order of the left question.

    Returns:
        Pairs for the left and the right run; empty where the questions share no word. Case does not count.
    """
    spelled = [_spelled(run) for run in (left, right)]
    found: list[tuple[int, str, int]] = []  # where, the word, which of its occurrences
    counts = Counter(word.casefold() for word in _WORD.findall(spelled[1]))
    seen: Counter[str] = Counter()
    for match in _WORD.finditer(spelled[0]):
        word = match.group().casefold()
        if seen[word] < counts[word]:
            found.append((match.start(), match.group(), seen[word]))
        seen[word] += 1
    found += [(spelled[0].index(run), run, 0) for run in _shared_runs(*spelled)]
    return [
        tuple(word_query(run, word, "question", occurrence) for run in (left, right))
        for _, word, occurrence in sorted(found, key=lambda one: (one[0], -len(one[1])))
    ]


def _shared_runs(left: str, right: str) -> list[str]:
    """Runs of unspaced characters that both texts hold, the longest there are, and the characters they are made of."""
    runs: set[str] = set()
    others = _RUN.findall(right)
    for run in _RUN.findall(left):
        for other in others:
            blocks = SequenceMatcher(None, run, other, autojunk=False).get_matching_blocks()
            runs |= {run[block.a : block.a + block.size] for block in blocks if block.size}
    return sorted(runs | ({*"".join(_RUN.findall(left))} & {*"".join(others)}))


def _spelled(run: Run) -> str:
    return "".join(run.tokens[token].text for token in run.question_tokens)
