"""What did the model say to both cases, and who can be asked about it? Runs a pair of cases, and lays out its words.

A *ref* names who asks, in the address and between browser and server: a letter for the row of words (`a` the answer
the model chose, `t` the expected answer fed to it, `q` the question) and, for one word of it, its number from 0.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import Query, answer_query, default_query, question_query, token_query

if TYPE_CHECKING:
    from qwenvl_debug.case import Case
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.jobs import Progress, Worker

_REF = re.compile(r"([aqt])(\d{1,5})?")


@dataclass(frozen=True, eq=False)
class Answers:
    """A pair of cases, answered.

    Attributes:
        correct, failing: each side's run with the answer the model chose.
        forced: both sides' runs with the expected answer fed in, or None where no answer was expected.
    """

    correct: Run
    failing: Run
    forced: tuple[Run, Run] | None

    @property
    def nbytes(self) -> int:
        """Memory that the runs' traces and pictures fill."""
        runs = (self.correct, self.failing, *(self.forced or ()))
        pixels = {p.sha256: p.pixels.nbytes for run in runs for p in run.case.pictures}
        return sum(run.trace.nbytes for run in runs) + sum(pixels.values())

    def run(self, side: int, row: str) -> Run:
        """The run whose tokens a row of words shows: side 0 is the correct one, row is a letter of a ref."""
        if row == "t":
            if self.forced is None:
                raise QueryError("No expected answer was given, so it cannot ask: write one and ask again.")
            return self.forced[side]
        return self.correct if side == 0 else self.failing


def answer_pair(
    name: str, correct: Case, failing: Case, worker: Worker, progress: Progress, cancel: threading.Event
) -> Answers:
    """Load the model where needed and run both cases. Called on the worker's thread.

    Args:
        name: the model's name, see `load_model`.
        correct, failing: the two cases. The expected answer of the correct one (else of the other) is the target.
        worker, progress, cancel: see `Worker.submit`.
    """
    target = correct.expected or failing.expected
    steps = 3 if target is None else 5
    model = worker.model(name, lambda part, text: progress(part / steps, text))

    def ask(case: Case, step: int, words: str, target: str | None = None) -> Run:
        def inner(done: int, of: int, text: str) -> None:
            progress((step + (done / of if of else 0.0)) / steps, f"{words}: {text}" if text else words)

        progress(step / steps, words)
        return model.ask(case, target=target, progress=inner, cancel=cancel)

    runs = ask(correct, 1, "Asking about the correct picture"), ask(failing, 2, "Asking about the failing picture")
    forced = None
    if target is not None:
        words = "Feeding the expected answer"
        forced = ask(correct, 3, words, target), ask(failing, 4, words, target)
    progress(1.0, "Done")
    return Answers(*runs, forced)


def chips(run: Run, row: str) -> list[dict[str, Any]]:
    """The tokens of a row of words, characters that are split over several tokens as one.

    Returns:
        JSON-ready dicts: text; ref; probability (of all its tokens together, None for words the model did not
        choose); alternatives as [text, probability] pairs, best first.
    """
    tokens = run.question_tokens if row == "q" else run.answer_tokens
    groups: dict[int, list[int]] = {}
    for index in tokens:
        groups.setdefault(run.tokens[index].group, []).append(index)
    made = []
    for number, members in enumerate(groups.values()):
        first = run.tokens[members[0]]
        probability = 1.0
        for index in members:
            own = run.tokens[index].probability
            probability = None if probability is None or own is None else probability * float(own)
        best = [[other.text, float(other.probability)] for other in first.alternatives]
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
    row, number = match[1], match[2]
    run = answers.run(side, row)
    if number is None:
        if row == "q":
            return run, question_query(run)
        return run, answer_query(run) if row == "t" else default_query(run)
    tokens = run.question_tokens if row == "q" else run.answer_tokens
    groups = list(dict.fromkeys(run.tokens[index].group for index in tokens))
    if int(number) >= len(groups):
        raise QueryError(f"These words have only {len(groups)} tokens: there is no number {number}.")
    return run, token_query(run, groups[int(number)])


def default_ref(answers: Answers) -> str:
    """Who asks unless someone chooses: the expected answer where there is one, so that both sides are asked alike."""
    return "a" if answers.forced is None else "t"
