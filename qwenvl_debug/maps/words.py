"""Which tokens spell a word? Words of the question or the answer, and spans of tokens, as queries.

A word is found in the text that the tokens spell, and every token that carries a part of it asks. Tokens do not end
where words do: one token may hold two Chinese characters, and one character may be spread over three tokens.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps.query import Query

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

Part = Literal["question", "answer", "thoughts"]

# Written without spaces between words (Thai; Hangul is not; kana; Chinese): any place may be the edge of a word.
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_LETTER = rf"[^\W_{UNSPACED}]"


def word_query(run: Run, text: str, part: Part = "question", occurrence: int = 0) -> Query:
    """A word or several, of the question or of the answer, ask.

    Args:
        run: the run whose words ask.
        text: the words, in any case; "cat" is found as a whole word and not in "category", "塔" anywhere.
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
    found = list(re.finditer(_whole(wanted), spelled, re.IGNORECASE))
    if not 0 <= occurrence < len(found):
        if found:
            raise QueryError(f"“{wanted}” stands {len(found)} times in the {part}, counted from 0.")
        raise QueryError(f"“{wanted}” does not stand in the {part} “{spelled.strip()}”: choose words that do.")
    first, end = found[occurrence].span()
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


def _whole(wanted: str) -> str:
    """A pattern for the words, not inside longer ones; any white space stands for any other."""
    inner = r"\s+".join(re.escape(word) for word in wanted.split())
    before = rf"(?<!{_LETTER})" if re.match(_LETTER, wanted) else ""
    after = rf"(?!{_LETTER})" if re.search(rf"{_LETTER}\Z", wanted) else ""
    return before + inner + after
