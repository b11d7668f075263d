"""One run made ready for interventions: its forced pass is kept, and every intervention starts from there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING

import torch

from qwenvl_debug.causes.contrast import Contrast, Reading, contrast, lead_of
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.replay import Replay
from qwenvl_debug.model.taps import Observer, Place

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.model.taps import Intervention


class Subject:
    """A run, and the contrast that interventions on it are measured by.

    What was done to the run when it was made (`run.interventions`) is done in every pass here as well.

    Args:
        run: a model's answer to a case.
        contrast: the two answers that are weighed.
        cancel: an event; when it is set the work stops within a layer.
        states: the layers whose input is kept, see `Replay`; with none there is only the reading.

    Attributes:
        run, contrast: as given.
        pass_: the forced pass: the prompt and the beginning that both answers share.
    """

    def __init__(
        self, run: Run, contrast: Contrast, cancel: Event | None = None, states: Sequence[int] | None = None
    ) -> None:
        self.run, self.contrast, self.cancel, self.model = run, contrast, cancel, run.model
        self.asked = prompt(self.model, run.case, run.thinking)
        base = [tap for one in run.interventions for tap in one.taps(self.model, self.asked)]
        fed = (*lead_of(run), *contrast.common)
        self.pass_ = Replay(self.model, self.asked, fed, base=base, states=states, cancel=cancel)

    @cached_property
    def reading(self) -> Reading:
        """The contrast as the run stands."""
        return self.contrast.read(self.pass_.logits[-1])

    def under(self, interventions: Sequence[Intervention] | Intervention) -> Reading:
        """The contrast under one or more interventions, made together.

        Raises:
            CaptureError: one cannot be made in this model, or acted on less than it must.
            Cancelled: `cancel` was set.
        """
        several = interventions if isinstance(interventions, Sequence) else [interventions]
        taps = [tap for one in several for tap in one.taps(self.model, self.asked)]
        early = any(tap.place.kind in ("resampler", "patches") for tap in taps)
        run = self.pass_.whole if early else self.pass_.run
        return self.contrast.read(run(taps, 1)[-1])

    def positions(self, image: int, cells: Sequence[int]) -> list[int]:
        """Where cells of an image stand in the sequence."""
        places = self.asked.grids[image].positions
        return [int(places[cell]) for cell in cells]

    @cached_property
    def patches(self) -> torch.Tensor:
        """Of a model with a resampler, the patch features that it reads, [images, patches, width]."""
        kept: list[torch.Tensor] = []
        self.pass_.whole([Observer(Place("patches"), lambda value, _rows: kept.append(value))])
        return kept[0]


def subject_of(run: Run | Subject, expected: str | None = None, cancel: Event | None = None) -> Subject:
    """A run as a subject; a subject as it is.

    Raises:
        CauseError: see `contrast`.
    """
    return run if isinstance(run, Subject) else Subject(run, contrast(run, expected=expected), cancel)
