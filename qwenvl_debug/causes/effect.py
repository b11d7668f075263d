"""What an intervention did to an answer, beside what the same done elsewhere did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.causes.contrast import Contrast, Reading

if TYPE_CHECKING:
    from qwenvl_debug.causes.subject import Subject
    from qwenvl_debug.model.taps import Intervention

FEW = 0.05
"""Most of the controls that may flip the answer too before a flip says nothing of the region."""


@dataclass(frozen=True)
class Effect:
    """One intervention on one run.

    Attributes:
        name: what was done, in a few words.
        interventions: what was done, exactly.
        contrast: the two answers that were weighed.
        before: the contrast without it.
        after: the contrast with it.
        controls: the contrast with the same done to other places of the same shape, or to other cells of the same
            number; empty where there are none.
        gap: LD of the correct run less that of the failing one, in logits; None where a single run was looked at.
        answer: the answer that the model then gives, where it was generated.
    """

    name: str
    interventions: tuple[Intervention, ...]
    contrast: Contrast
    before: Reading
    after: Reading
    controls: tuple[Reading, ...] = ()
    gap: float | None = None
    answer: str | None = None

    @property
    def change(self) -> float:
        """By how much LD changed, in logits; positive towards the expected answer."""
        return self.after.difference - self.before.difference

    @property
    def recovered(self) -> float:
        """The change as a share of the gap: 0 none, 1 all of it; NaN where a single run was looked at."""
        return self.change / self.gap if self.gap else float("nan")

    @property
    def flips(self) -> bool:
        """Whether the preferred of the two answers changed."""
        return (self.before.difference > 0) != (self.after.difference > 0)

    @property
    def control_changes(self) -> np.ndarray:
        """float64 [controls]: by how much each control changed LD, in logits."""
        return np.array([one.difference - self.before.difference for one in self.controls], dtype=np.float64)

    @property
    def control_flips(self) -> float:
        """Share of the controls that flip the answer too, 0..1; NaN without controls."""
        if not self.controls:
            return float("nan")
        return float(np.mean([(one.difference > 0) != (self.before.difference > 0) for one in self.controls]))

    @property
    def specific(self) -> bool:
        """Whether a flip counts for this place: there are controls, and at most 5 % of them flip the answer too."""
        return self.flips and bool(self.controls) and self.control_flips <= FEW

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; undefined numbers as None."""
        return {
            "name": self.name,
            "interventions": [one.to_dict() for one in self.interventions],
            "expected": self.contrast.expected,
            "given": self.contrast.given,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "change": self.change,
            "recovered": _known(self.recovered),
            "flips": self.flips,
            "controls": [one.to_dict() for one in self.controls],
            "control_flips": _known(self.control_flips),
            "answer": self.answer,
        }


def answer_under(subject: Subject, *interventions: Intervention) -> str:
    """The answer that the model gives by itself under interventions."""
    run = subject.run
    made = run.model.ask(run.case, interventions=[*run.interventions, *interventions], cancel=subject.cancel)
    return made.answer


def _known(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
