"""Which words ask, and what are they called? The words of both cases as chips, and the short names that choose them.

A *ref* names who asks, in the address and between browser and server: a letter for the row of words (`a` the answer
the model chose, `h` what it thought before, `t` the expected answer fed to it, `q` the question), for one word of it
its number from 0 (`q2`), and for several side by side the first and the last (`q2-4`). `p` is the end of the prompt,
whose row chose the first word.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from qwenvl_debug.compare import shared_words
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import Query, answer_query, default_query, last_prompt_query, question_query, thoughts_query

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.answers import Answers

_REF = re.compile(r"([ahqt])(?:(\d{1,5})(?:-(\d{1,5}))?)?|p")
MOST_SHARED = 40
"""Words of both questions that are offered; Chinese questions share many single characters."""

LONGEST_REF = 12
"""Characters of the longest ref: a letter, two numbers and a dash."""


def chips(run: Run, row: str) -> list[dict[str, Any]]:
    """The tokens of a row of words, characters that are split over several tokens as one.

    Returns:
        JSON-ready dicts: text; ref; probability (of all its tokens together, None for words the model did not
        choose); alternatives as [text, probability] pairs, best first.
    """
    made = []
    for number, members in enumerate(_groups(run, row)):
        first = run.tokens[members[0]]
        probability = 1.0
        for index in members:
            own = run.tokens[index].probability
            probability = None if probability is None or own is None else probability * float(own)
        # Thoughts are long, and what else might have been thought is looked at for few of them: it is not sent.
        best = [[other.text, float(other.probability)] for other in first.alternatives if row != "h"]
        made.append({"text": first.text, "ref": f"{row}{number}", "probability": probability, "alternatives": best})
    return made


def query_of(answers: Answers, side: int, ref: str) -> tuple[Run, Query]:
    """The run and the tokens that a ref names.

    Raises:
        QueryError: it names nothing that this side has.
    """
    match = _REF.fullmatch(ref)
    if not match:
        raise QueryError(f"“{ref}” names no word: choose one by clicking it.")
    if ref == "p":
        run = answers.run(side, "a")
        return run, last_prompt_query(run)
    row, first, last = match[1], match[2], match[3] or match[2]
    run = answers.run(side, row)
    if first is None:
        if row in "qh":
            return run, question_query(run) if row == "q" else thoughts_query(run)
        return run, answer_query(run) if row == "t" else default_query(run)
    groups = _groups(run, row)
    if int(last) < int(first):
        raise QueryError(f"“{ref}” ends before it begins: choose words by clicking them.")
    if int(last) >= len(groups):
        raise QueryError(f"These words have only {len(groups)} tokens: there is no number {last}.")
    chosen = tuple(index for group in groups[int(first) : int(last) + 1] for index in group)
    return run, Query(chosen, "".join(run.tokens[index].text for index in chosen))


def ref_of(run: Run, row: str, query: Query) -> str | None:
    """The ref of words that stand side by side in a row; None where a query is something else."""
    numbers = [number for number, group in enumerate(_groups(run, row)) if set(group) <= set(query.tokens)]
    if not numbers or numbers != list(range(numbers[0], numbers[-1] + 1)):
        return None
    if sum(len(group) for group in _groups(run, row)[numbers[0] : numbers[-1] + 1]) != len(set(query.tokens)):
        return None
    return f"{row}{numbers[0]}" if len(numbers) == 1 else f"{row}{numbers[0]}-{numbers[-1]}"


def shared_refs(answers: Answers) -> list[tuple[str, str, str]]:
    """Words that both questions have, as (ref on the correct side, ref on the failing side, what its tokens spell)."""
    sides = [answers.run(side, "q") for side in (0, 1)]
    found = []
    for pair in shared_words(*sides):
        refs = [ref_of(run, "q", query) for run, query in zip(sides, pair, strict=True)]
        if None not in refs:
            found.append((*refs, "".join(sides[0].tokens[index].text for index in pair[0].tokens).strip()))
    return list(dict.fromkeys(found))[:MOST_SHARED]


def thought_tokens(run: Run) -> list[int]:
    """Indices of the tokens that the model thought before it answered."""
    return [token.index for token in run.tokens if token.kind == "thought"]


def default_ref(answers: Answers) -> str:
    """Who asks unless someone chooses: the expected answer where there is one, so that both sides are asked alike."""
    return "a" if answers.forced is None else "t"


def _groups(run: Run, row: str) -> list[list[int]]:
    """The tokens of a row of words by character: those that share one lie together."""
    groups: dict[int, list[int]] = {}
    words = thought_tokens(run) if row == "h" else run.question_tokens if row == "q" else run.answer_tokens
    for index in words:
        groups.setdefault(run.tokens[index].group, []).append(index)
    return list(groups.values())
