"""Which tokens spell a word? Words of the question or the answer, and spans of tokens, as queries.

A word is found in the text that the tokens spell, however either is spelled in Unicode (see `folding`), and every token
that carries a part of it asks. Tokens do not end where words do: one token may hold two Chinese characters, and one
character may be spread over three tokens.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps.folding import Folded, fold, joins
from qwenvl_debug.maps.query import Query

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

Part = Literal["question", "answer", "thoughts"]

# Written without spaces between words (Thai; Hangul is not; kana; Chinese): any place may be the edge of a word.
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_HANGUL = "[\u1100-\u11ff]"  # as it is when folded
_LETTER = rf"[^\W_{UNSPACED}]"
_LETTER_BUT_HANGUL = rf"(?!{_HANGUL}){_LETTER}"
LONGEST = 32
"""Marks that a letter has at most."""


def word_query(run: Run, text: str, part: Part = "question", occurrence: int = 0) -> Query:
    """A word or several, of the question or of the answer, ask.

    Args:
        run: the run whose words ask.
        text: the words, in any case and Unicode spelling; "cat" is found as a whole word and not in "category", "塔"
            anywhere. A Korean word that nowhere stands alone is found where it is part of one: "고양이" in "고양이가".
        part: where to look for them.
        occurrence: which one to take where they stand there more than once, from 0.

    Returns:
        The tokens that carry any part of the words, whole characters, labelled with the words as they stand there.

    Raises:
        QueryError: the text is empty or does not stand there.
    """
    wanted = text.strip()
    if not wanted:
        raise QueryError("No word is given to ask with: write one that stands in the question or the answer.")
    if part == "thoughts":
        tokens = run.thought_tokens
    else:
        tokens = run.question_tokens if part == "question" else run.answer_tokens
    spelled = "".join(run.tokens[token].text for token in tokens)
    found = _found(fold(wanted).text, fold(spelled))
    if not 0 <= occurrence < len(found):
        if found:
            raise QueryError(f"“{wanted}” stands {len(found)} times in the {part}, counted from 0.")
        raise QueryError(f"“{wanted}” does not stand in the {part} “{spelled.strip()}”: choose words that do.")
    first, end = found[occurrence]
    groups, place = set(), 0
    for token in tokens:
        length = len(run.tokens[token].text)
        if place < end and place + length > first:
            groups.add(run.tokens[token].group)
        place += length
    return Query(tuple(token for token in tokens if run.tokens[token].group in groups), spelled[first:end])


def span_query(run: Run, first: int, last: int) -> Query:
    """Tokens in a row ask, from one to another, both included; characters at the ends ask as a whole.

    Args:
        run: the run whose tokens ask.
        first, last: indices into `run.tokens`, in either order, of words and not of a picture.

    Raises:
        QueryError: there is no such token, or a picture lies between them.
    """
    first, last = min(first, last), max(first, last)
    if first < 0 or last >= len(run.tokens):
        missing = first if first < 0 else last
        raise QueryError(f"This run has tokens 0 to {len(run.tokens) - 1}: there is no token {missing}.")
    groups = {token.group for token in run.tokens[first : last + 1]}
    members = [token for token in run.tokens if token.group in groups]
    if any(token.picture is not None for token in members):
        raise QueryError("Between these two tokens lies a picture: choose a span of words on one side of it.")
    return Query(tuple(token.index for token in members), "".join(token.text for token in members).strip())


def _found(wanted: str, spelled: Folded) -> list[tuple[int, int]]:
    """Where folded words stand in a text: first and end in the original, in order."""
    found = _places(wanted, spelled, _LETTER)
    if found or not re.search(_HANGUL, wanted):
        return found
    return _places(wanted, spelled, _LETTER_BUT_HANGUL)


def _places(wanted: str, spelled: Folded, letter: str) -> list[tuple[int, int]]:
    """The same for words that stand alone: on neither side of them goes a word on.

    Args:
        wanted, spelled: folded.
        letter: a pattern for what a word goes on with; marks of such letters count too.
    """
    # Any white space stands for any other.
    pattern, text = re.compile(r"\s+".join(re.escape(word) for word in wanted.split())), spelled.text
    ends = tuple(re.match(letter, _base(part)) for part in (wanted, wanted[::-1]))
    found, place = [], 0
    while match := pattern.search(text, place):
        first, end = match.span()
        goes_on = (ends[0] and re.match(letter, _base(text[:first][::-1]))) or (
            ends[1] and re.match(letter, text[end : end + 1])
        )
        if goes_on or not spelled.whole(first, end):
            place = first + 1
            continue
        found.append(spelled.span(first, end))
        place = end
    return found


def _base(text: str) -> str:
    """The first character of a text that is no mark on another; "" where there is none."""
    return next((character for character in text[:LONGEST] if not joins(character)), "")
