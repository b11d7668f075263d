"""What is asked of the model beside the two cases: the neutral question, and the correct case harmlessly changed.

Each is a job of its own on the worker. A page calls the functions here on every run; they start what is needed, and
return what is there.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qwenvl_debug.compare import harmless_runs, noise_floor
from qwenvl_debug.maps import NEUTRAL_TOKENS, find_sinks, neutral_case
from qwenvl_debug.regions import unique_names
from qwenvl_debug.ui import archive, drawings
from qwenvl_debug.ui.follow_up import started
from qwenvl_debug.ui.pairs import case_key

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region
    from qwenvl_debug.ui.follow_up import Key, Work
    from qwenvl_debug.ui.jobs import Progress, Worker
    from qwenvl_debug.ui.pairs import Choice


@dataclass(frozen=True, eq=False)
class Runs:
    """Further runs of a case or a pair of cases, in the order they were made; `names` where each has one."""

    runs: tuple[Run, ...]
    names: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory that their traces fill."""
        return sum(run.trace.nbytes for run in self.runs)


def neutral_key(model: str, choice: Choice) -> Key:
    """What tells the neutral question about one pair of pictures from another."""
    cases = choice.correct, choice.failing
    return (model, "neutral", choice.thinking, *(part for one in cases for part in case_key(neutral_case(one))))


def neutral_runs(model: str, choice: Choice) -> tuple[Run, Run] | None:
    """The neutral question asked about both pictures, made now where it is not stored; None while it is under way."""
    job = started(neutral_key(model, choice), _ask_neutral(model, choice))
    return job.result.runs if job is not None and job.result is not None else None


def ranked(scope: tuple[str, ...], comparison: Comparison, query: dict[str, str]) -> tuple[Comparison | None, Key]:
    """The comparison with its layers and heads ranked above the noise, on the regions that are drawn as well.

    Args:
        scope: what tells this pair of cases from others.
        comparison: of the words that ask.
        query: who asks and what is shown.

    Returns:
        The ranked comparison, None while it is under way; and the key of the work that is under way or done.
    """
    number = comparison.left.grid.picture
    pictures = tuple(run.case.pictures[number] for run in comparison.asked)
    drawn = [drawings.load(picture.sha256) or drawings.Drawing() for picture in pictures]
    copies_key = (scope[0], "harmless", scope, "t" if query["left"].startswith("t") else "a", number)
    copies = started(copies_key, _ask_harmless(comparison.asked[0], number))
    if copies is None or copies.result is None:
        return None, copies_key
    digest = hashlib.sha256(json.dumps([one.records for one in drawn]).encode()).hexdigest()
    key = (scope[0], "ranked", scope, *query.values(), number, digest)
    sides = tuple(uniquely_named(one.regions()[0]) for one in drawn)
    made = started(key, _rank(comparison, copies.result, sides))
    return (None if made is None else made.result), key


def uniquely_named(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Regions of a drawing, of which an old one may hold several of one name: the second is then “cat 2”."""
    names = unique_names([region.name for region in regions])
    return tuple(replace(region, name=name) for region, name in zip(regions, names, strict=True))


def _ask_neutral(model: str, choice: Choice) -> Work:
    def work(worker: Worker, progress: Progress, cancel: threading.Event) -> Runs:
        loaded = worker.model(model, lambda part, text: progress(part / 3, text))
        made = []
        for number, (side, case) in enumerate((("correct", choice.correct), ("failing", choice.failing))):
            progress((1 + number) / 3, f"Asking the neutral question about the {side} picture")
            settings = {"max_new_tokens": NEUTRAL_TOKENS, "thinking": choice.thinking}
            made.append(archive.answer(loaded, neutral_case(case), cancel=cancel, **settings).run)
        return Runs(tuple(made))

    return work


def _ask_harmless(run: Run, picture: int) -> Work:
    def work(_worker: Worker, progress: Progress, cancel: threading.Event) -> Runs:
        def step(done: int, of: int, name: str) -> None:
            progress(done / of, f"Measuring what harmless changes do: {name}" if name else "Measured")

        found = harmless_runs(run, picture=picture, progress=step, cancel=cancel)
        return Runs(tuple(run for _, run in found), tuple(name for name, _ in found))

    return work


def _rank(comparison: Comparison, copies: Runs, drawn: tuple[tuple[Region, ...], tuple[Region, ...]]) -> Work:
    def work(_worker: Worker, progress: Progress, cancel: threading.Event) -> Comparison:
        progress(0.0, "Comparing with harmless changes")
        left = comparison.left
        made = comparison.with_regions(left_regions=drawn[0], right_regions=drawn[1])
        noise = noise_floor(
            comparison.asked[0],
            query=left.query,
            picture=left.grid.picture,
            normalisation=left.normalisation,
            neutral=comparison.neutral[0] if comparison.neutral else None,
            regions=made.left_regions,
            copies=tuple(zip(copies.names, copies.runs, strict=True)),
            cancel=cancel,
        )
        for run in comparison.asked:
            find_sinks(run, left.grid.picture)  # kept with the run: whoever asks for them next need not wait
        return made.with_noise(noise)

    return work
