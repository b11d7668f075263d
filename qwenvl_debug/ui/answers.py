"""What did the model say to both cases? Runs a pair of cases; `asks` says which of its words can ask."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qwenvl_debug.errors import QueryError
from qwenvl_debug.ui import archive

if TYPE_CHECKING:
    from qwenvl_debug.case import Case
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.jobs import Progress, Worker


@dataclass(frozen=True, eq=False)
class Answers:
    """A pair of cases, answered.

    Attributes:
        correct, failing: each side's run with the answer the model chose.
        forced: both sides' runs with the expected answer fed in, or None where no answer was expected.
        made: when the oldest of them was made, ISO 8601 in UTC, or None where that is not known.
        stored: whether any of them was found in the store rather than made now.
    """

    correct: Run
    failing: Run
    forced: tuple[Run, Run] | None
    made: str | None = None
    stored: bool = False

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
    name: str,
    correct: Case,
    failing: Case,
    worker: Worker,
    progress: Progress,
    cancel: threading.Event,
    *,
    fresh: bool = False,
    thinking: bool | None = None,
) -> Answers:
    """Load the model where needed and answer both cases, from the store where the same was asked before.

    Called on the worker's thread.

    Args:
        name: the model's name, see `load_model`.
        correct, failing: the two cases. The expected answer of the correct one (else of the other) is the target.
        worker, progress, cancel: see `Worker.submit`.
        fresh: run the model even where a stored run answers.
        thinking: as for `DebugModel.ask`.
    """
    stored = False
    target = correct.expected or failing.expected
    steps = 3 if target is None else 5
    model = worker.model(name, lambda part, text: progress(part / steps, text))

    def ask(case: Case, step: int, words: str, target: str | None = None) -> Run:
        def inner(done: int, of: int, text: str) -> None:
            progress((step + (done / of if of else 0.0)) / steps, f"{words}: {text}" if text else words)

        progress(step / steps, words)
        more = {} if thinking is None else {"thinking": thinking}
        answer = archive.answer(model, case, target=target, fresh=fresh, progress=inner, cancel=cancel, **more)
        nonlocal stored
        stored = stored or answer.stored
        return answer.run

    runs = ask(correct, 1, "Asking about the correct picture"), ask(failing, 2, "Asking about the failing picture")
    forced = None
    if target is not None:
        words = "Feeding the expected answer"
        forced = ask(correct, 3, words, target), ask(failing, 4, words, target)
    progress(1.0, "Done")
    made = min(run.provenance.created for run in (*runs, *(forced or ())))
    return Answers(*runs, forced, made, stored)
