"""Which tokens ask: the words whose attention a map shows.

A word of the question asks with its own row. A word of the answer asks with the row that *chose* it, one position
earlier, because its own row only chooses the word after it; `Run.row_of` knows. Several tokens are averaged by one
rule, `SAY`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from qwenvl_debug.errors import QueryError

if TYPE_CHECKING:
    from qwenvl_debug.model import Run


SAY = "All chosen tokens have an equal say; the tokens that make up one character share one say."
"""How several tokens are averaged, as it is told on screen."""


@dataclass(frozen=True)
class Query:
    """Tokens that ask, and what to call them.

    Attributes:
        tokens: indices into `run.tokens`, not attention rows.
        label: the words as a person reads them.
    """

    tokens: tuple[int, ...]
    label: str


def default_query(run: Run) -> Query:
    """The whole answer, without thoughts; where there is none, the end of the prompt, whose row chose what follows."""
    return answer_query(run) if run.answer_tokens else last_prompt_query(run)


def answer_query(run: Run, which: Literal["all"] | int = "all") -> Query:
    """The answer asks: all of it, or one token of it.

    Args:
        run: the run whose answer asks.
        which: "all", or the number of an answer token from 0. A character that is split over several tokens asks
            as a whole.

    Raises:
        QueryError: the answer is empty or has no such token.
    """
    tokens = run.answer_tokens
    if not tokens:
        raise QueryError("The model answered with no words, so no answer token can ask: ask with the question instead.")
    if which == "all":
        return Query(tuple(tokens), run.answer.strip())
    if not isinstance(which, int) or not 0 <= which < len(tokens):
        raise QueryError(f"The answer has tokens 0 to {len(tokens) - 1}: there is no token {which} in it.")
    return token_query(run, tokens[which])


def thoughts_query(run: Run) -> Query:
    """All that the model thought before it answered.

    Raises:
        QueryError: the run holds no thoughts.
    """
    if not run.thought_tokens:
        raise QueryError("This run holds no thoughts: use the answer or the question instead.")
    return Query(tuple(run.thought_tokens), run.thoughts)


def question_query(run: Run) -> Query:
    """All words of the question ask.

    Raises:
        QueryError: the run holds no question tokens.
    """
    if not run.question_tokens:
        raise QueryError("This run holds no words of the question to ask with.")
    return Query(tuple(run.question_tokens), run.case.question.strip())


def last_prompt_query(run: Run) -> Query:
    """The last token of the prompt asks: the row from which the first word of the answer was chosen."""
    return Query((run.last_prompt,), "end of the prompt")


def token_query(run: Run, index: int) -> Query:
    """One token of the sequence asks, with every other token of the same character.

    Raises:
        QueryError: there is no such token.
    """
    if not 0 <= index < len(run.tokens):
        raise QueryError(f"This run has tokens 0 to {len(run.tokens) - 1}: there is no token {index}.")
    group = run.tokens[index].group
    members = tuple(token.index for token in run.tokens if token.group == group)
    return Query(members, run.tokens[members[0]].text)


def rows_of(run: Run, query: Query) -> list[int]:
    """The attention rows that belong to a query, in its order.

    Raises:
        QueryError: the query names no token, or one that the run does not have.
    """
    if not query.tokens:
        raise QueryError("No token is chosen to ask with: choose at least one word.")
    missing = [token for token in query.tokens if not 0 <= token < len(run.tokens)]
    if missing:
        raise QueryError(f"This run has tokens 0 to {len(run.tokens) - 1}: there is no token {missing[0]}.")
    return [run.row_of(token) for token in query.tokens]


def weights_of(run: Run, query: Query) -> np.ndarray:
    """How much each token of a query counts in its average: `SAY`.

    A rare character can be three tokens where a whole word is one. Were each to count, it would have three says.

    Returns:
        float64 [tokens of the query], > 0, summing to 1.

    Raises:
        QueryError: as `rows_of`.
    """
    rows_of(run, query)
    groups = [run.tokens[token].group for token in query.tokens]
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    return 1.0 / (sizes[group] * len(sizes))
