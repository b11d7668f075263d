"""Would the answer change if the model attended more, or less, to a region? Attention odds multiplied by a factor.

`boost` multiplies the odds of a region's cells for the rows that read them, `block` by 0, and `dose_curve` by a range
of factors. Whether the region is what matters, and not merely that attention was moved, is told by doing the same to
the same shape at other places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.causes.cells import PLACES, Cells, cells_of, elsewhere
from qwenvl_debug.causes.contrast import Contrast, Reading
from qwenvl_debug.causes.effect import Effect, answer_under
from qwenvl_debug.causes.interventions import AskingRows, Boost
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.causes.subject import Subject, subject_of
from qwenvl_debug.errors import CauseError

if TYPE_CHECKING:
    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region

FACTORS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
"""Factors of a dose curve: 0 blocks, 1 leaves everything as it is."""


def boost(
    run: Run | Subject,
    region: Region | Sequence[Region] | Cells,
    by: float = 8.0,
    *,
    expected: str | None = None,
    image: int = 0,
    rows: AskingRows = "text",
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    controls: int = PLACES,
    generate: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Effect:
    """Multiply the attention odds of a region and measure what that does to the answer.

    Args:
        run: a run that answered wrongly by itself.
        region: in pixels of the image; or cells.
        by: factor of the odds p / (1 - p) of the region's cells together; exact. 0 blocks them.
        expected: the right answer; by default what the case expects.
        image: which image of the case, from 0.
        rows: whose attention is changed: "text" for every token after the image, "answer" for the rows that choose the
            answer, "all".
        layers: language layers; by default every one that has a softmax.
        heads: query heads; by default all.
        controls: at how many other places of the same shape the same is done, at most.
        generate: whether to generate the new answer, too.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: there is no failure to explain, or the region lies outside the image.
        CaptureError: a layer has no softmax attention.
        Cancelled: `cancel` was set.
    """
    subject = subject_of(run, expected, cancel)
    cells = region if isinstance(region, Cells) else cells_of(subject.run, region, image)

    def change(where: Cells) -> Boost:
        return Boost(where, by, rows, *(None if one is None else tuple(one) for one in (layers, heads)))

    places = elsewhere(cells, controls)
    steps = Steps(progress, 1 + len(places) + generate)
    after = steps.take("the region", lambda: subject.under(change(cells)))
    others = tuple(steps.take("other places", lambda place=place: subject.under(change(place))) for place in places)
    answer = steps.take("the new answer", lambda: answer_under(subject, change(cells))) if generate else None
    name = f"attention odds x {by:g}" if by else "attention blocked"
    return Effect(name, (change(cells),), subject.contrast, subject.reading, after, others, None, answer)


def block(run: Run | Subject, region: Region | Sequence[Region] | Cells, **options: Any) -> Effect:
    """Block all attention to a region; `boost` by 0, with the same arguments."""
    return boost(run, region, 0.0, **options)


@dataclass(frozen=True)
class DoseCurve:
    """The contrast over a range of factors.

    Attributes:
        factors: of the attention odds, ascending.
        readings: the contrast at each.
        controls: the contrast at each of the other places, [places][factors].
        contrast: the two answers.
    """

    factors: tuple[float, ...]
    readings: tuple[Reading, ...]
    controls: tuple[tuple[Reading, ...], ...]
    contrast: Contrast

    @property
    def differences(self) -> np.ndarray:
        """float64 [factors], LD in logits."""
        return np.array([one.difference for one in self.readings])

    @property
    def control_differences(self) -> np.ndarray:
        """float64 [places, factors], LD in logits."""
        return np.array([[one.difference for one in place] for place in self.controls]).reshape(-1, len(self.factors))


def dose_curve(
    run: Run | Subject,
    region: Region | Sequence[Region] | Cells,
    factors: Sequence[float] = FACTORS,
    *,
    expected: str | None = None,
    image: int = 0,
    rows: AskingRows = "text",
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    controls: int = 8,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> DoseCurve:
    """The contrast as the attention odds of a region are multiplied by each of several factors.

    Args, raises: as `boost`.
    """
    if not factors or any(factor < 0 for factor in factors):
        raise CauseError("A dose curve needs factors of 0 or more.")
    factors = tuple(sorted(set(map(float, factors))))
    subject = subject_of(run, expected, cancel)
    cells = region if isinstance(region, Cells) else cells_of(subject.run, region, image)
    places = [cells, *elsewhere(cells, controls)]
    steps = Steps(progress, len(places) * len(factors))
    chosen = [None if one is None else tuple(one) for one in (layers, heads)]

    def reading(where: Cells, factor: float) -> Reading:
        return steps.take(f"x {factor:g}", lambda: subject.under(Boost(where, factor, rows, *chosen)))

    found = [tuple(reading(where, factor) for factor in factors) for where in places]
    return DoseCurve(factors, found[0], tuple(found[1:]), subject.contrast)
