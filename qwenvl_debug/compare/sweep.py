"""At what strength of a change does the answer flip, and where does the attention go on the way there?

How sure the model is of the target is the probability that its answer is *exactly* this: the product over the target's
tokens and the end token after them, each given what comes before it (`PROBABILITY`). So “3” does not count where “30”
would follow, and an answer that was cut off after `max_new_tokens` counts like any other. It is always that of the
target fed in; where the model's own answer is the same tokens to the end, its own run holds the same numbers and is
not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare.alignment import Alignment
from qwenvl_debug.compare.differ import Comparison, compare
from qwenvl_debug.compare.perturb import PERTURBATIONS, Perturbation
from qwenvl_debug.compare.rank import records
from qwenvl_debug.compare.region_mass import mass_on
from qwenvl_debug.compare.sided import SidedRegion, checked, percent, sided_regions
from qwenvl_debug.errors import Cancelled, QueryError
from qwenvl_debug.maps import Normalisation, ask_neutral, map_stack
from qwenvl_debug.maps.normalise import NORMALISATIONS, check_normalisation
from qwenvl_debug.regions import Region, region_mask

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.model import DebugModel, Run

Progress = Callable[[int, int, str], Any]

PROBABILITY = (
    "The probability that the answer is exactly this one: fed to the model at each step, the product over its tokens "
    "and the token that ends it. The length limit of answers does not change it."
)
"""What a step's probability is, as it is told on screen."""


@dataclass(frozen=True, eq=False)
class Step:
    """One strength.

    Attributes:
        strength: in the perturbation's unit.
        run: the model's own answer to the changed picture.
        asked: the run made to give the target, whose words ask; the same object where its own answer is the same
            tokens, end token and all.
        right: whether the answer is as expected; where nothing is expected, whether it is that of the first step;
            None where the run was cut in its thoughts.
        probability: of the target, 0..1, see `PROBABILITY`.
        per_token: its geometric mean per token, which does not shrink with the target's length.
        regions: the regions on the first picture and on this one, where the change has moved them.
        masses: by region, float64 [layers, heads + 1], share of the map inside, the head mean last; NaN without one,
            and for a region that has left the picture.
        chances: by region, its share of the picture; NaN for one that has left it.
        alignment: how this picture lies on the first step's, known from the change.
    """

    strength: float
    run: Run
    asked: Run
    right: bool | None
    probability: float
    per_token: float
    regions: tuple[SidedRegion, ...]
    masses: dict[str, np.ndarray]
    chances: dict[str, float]
    alignment: Alignment

    @property
    def outside(self) -> dict[str, float]:
        """By region, the share of it that has left the picture, 0..1."""
        return {one.name: one.outside for one in self.regions}

    def lost(self) -> tuple[str, ...]:
        """For each region that has left the picture, wholly or in part, a sentence."""
        return tuple(
            f"{'All' if one.outside == 1 else percent(one.outside)} of “{one.name}” lies outside the picture."
            for one in self.regions
            if one.outside > 0
        )

    @property
    def case(self) -> Case:
        """The changed picture and the question."""
        return self.run.case


@dataclass(frozen=True, eq=False)
class Sweep:
    """A case under one change in graded strength.

    Attributes:
        perturbation: the change.
        steps: by strength, mildest first; the first is the picture as it was.
        target: the answer whose probability is followed and whose words ask.
        normalisation: of the maps the masses are of.
        flip: number of the first step whose answer is no longer right, where that of the first step was; None where
            it never flips or was wrong from the start.
        picture: which picture of the case is changed.
    """

    perturbation: Perturbation
    steps: tuple[Step, ...]
    target: str
    normalisation: Normalisation
    flip: int | None
    picture: int = 0

    def best_head(self, region: str) -> tuple[int, int] | None:
        """The layer and head (-1 for the mean) with the most mass on a region on the first picture; None without.

        Raises:
            QueryError: there is no such region.
        """
        mass = self._mass(0, region)
        if np.isnan(mass).all():
            return None
        layer, head = np.unravel_index(int(np.nanargmax(mass)), mass.shape)
        return int(layer), -1 if head == mass.shape[1] - 1 else int(head)

    def table(self, layer: int | None = None, head: int = -1) -> pandas.DataFrame:
        """One line per step: strength, answer (the model's own), right, probability, per_token, and for each region
        mass_NAME, chance_NAME and outside_NAME, the share of it that has left the picture.

        Args:
            layer, head: whose masses; by default those of the head that is best on the first picture, region by
                region (`best_head`).
        """
        import pandas  # half a second that `qwenvl-debug --help` need not wait for

        columns: dict[str, list] = {
            "strength": [step.strength for step in self.steps],
            "answer": [step.run.answer for step in self.steps],
            "right": [step.right for step in self.steps],
            "probability": [step.probability for step in self.steps],
            "per_token": [step.per_token for step in self.steps],
        }
        for name in self.steps[0].masses:
            place = (layer, head) if layer is not None else self.best_head(name)
            columns[f"mass_{name}"] = [
                float(self._mass(n, name)[place]) if place else float("nan") for n in range(len(self.steps))
            ]
            columns[f"chance_{name}"] = [step.chances[name] for step in self.steps]
            columns[f"outside_{name}"] = [step.outside.get(name, 0.0) for step in self.steps]
        return pandas.DataFrame(columns)

    def comparison(self, step: int, **more: Any) -> Comparison:
        """The picture as it was beside one step of it, asked with the target's words.

        Args:
            step: number of the step.
            more: as for `compare`.
        """
        first, other = self.steps[0], self.steps[step]
        settings: dict[str, Any] = {
            "asked": (first.asked, other.asked),
            "picture": self.picture,
            "normalisation": self.normalisation,
            "alignment": other.alignment,
            "regions": [one.left for one in other.regions],
        }
        return replace(compare(first.run, other.run, **(settings | more)), target=self.target)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the change, the target, the flip and the table (NaN as None)."""
        heads = {name: self.best_head(name) for name in self.steps[0].masses}
        return {
            "perturbation": self.perturbation.name,
            "unit": self.perturbation.unit,
            "question": self.steps[0].case.question,
            "expected": self.steps[0].case.expected,
            "target": self.target,
            "probability_of": PROBABILITY,
            "normalisation": self.normalisation,
            "flip": None if self.flip is None else {"step": self.flip, "strength": self.steps[self.flip].strength},
            "mass_of": {name: place and {"layer": place[0], "head": place[1]} for name, place in heads.items()},
            "steps": records(self.table()),
        }

    def _mass(self, step: int, region: str) -> np.ndarray:
        masses = self.steps[step].masses
        if region not in masses:
            raise QueryError(f"This sweep has no region “{region}”.")
        return masses[region]


def sweep(
    model: DebugModel,
    case: Case,
    perturbation: str | Perturbation,
    strengths: Sequence[float] | None = None,
    *,
    regions: Sequence[Region] = (),
    on: Region | None = None,
    target: str | None = None,
    picture: int = 0,
    normalisation: Normalisation = "picture",
    max_new_tokens: int | None = None,
    seed: int = 0,
    thinking: bool | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Sweep:
    """Ask a case again and again while its picture gets harder.

    Args:
        model: asked twice at each strength, once where its own answer is the target to the last token.
        case: the case as it is.
        perturbation: one of `PERTURBATIONS`, by name or itself.
        strengths: in its unit; 0, the picture as it is, always comes first. By default its own.
        regions: whose masses to follow, in pixels of the picture as it is.
        on: the region a change acts on, where it needs one; by default the first of `regions`.
        target: the answer to follow; by default the expected one, else what the model says at strength 0.
        picture: which picture of the case is changed.
        normalisation: of the maps.
        max_new_tokens, thinking: as for `DebugModel.ask`.
        seed: fixes what a change draws at random; the same at every strength, so that only the strength differs.
        progress: called as progress(steps done, of, what is asked next).
        cancel: an event; when it is set the work stops.

    Raises:
        QueryError: no such change, strength, picture, region or normalisation, or no target where the model says
            nothing.
        CaseError, PictureError: as `model.ask`.
        RegionError: a region cannot be drawn, or two have the same name.
        Cancelled: `cancel` was set.
    """
    kind = _perturbation(perturbation)
    check_normalisation(normalisation)
    regions = checked(regions)
    if not 0 <= picture < len(case.pictures):
        raise QueryError(f"This case has pictures 0 to {len(case.pictures) - 1}: there is no picture {picture}.")
    shown = case.pictures[picture]
    on = on or next(iter(regions), None)
    mask = None if on is None else region_mask(on, shown.size)
    wanted = sorted({0.0, *map(float, kind.strengths if strengths is None else strengths)})
    # Every picture is made before the model is asked, so that a wrong strength is told at once.
    changed = [kind.apply(shown.pixels, strength, region_mask=mask, seed=seed) for strength in wanted]
    steps: list[Step] = []
    fed: list[int] | None = None  # the sequence with the target in it, the same at each step but for the pixels
    for number, (strength, (pixels, moved)) in enumerate(zip(wanted, changed, strict=True)):
        if cancel is not None and cancel.is_set():
            raise Cancelled("The sweep was stopped.")
        if progress is not None:
            progress(number, len(wanted), f"{kind.title} {strength:g}")
        pictures = list(case.pictures)
        if strength:
            pictures[picture] = Picture.open(pixels, f"{shown.name}, {kind.title.lower()} {strength:g}")
        run = model.ask(
            replace(case, pictures=tuple(pictures)), max_new_tokens=max_new_tokens, thinking=thinking, cancel=cancel
        )
        target = target or case.expected or run.answer
        if not target:
            raise QueryError("The model said nothing to the picture as it is: give a target to follow.")
        # After thoughts of its own the target would be as likely as these make it: every step is fed it after none.
        forced = None if _ids(run) == fed else model.ask(run.case, target=target, thinking=thinking, cancel=cancel)
        fed = fed or _ids(forced)
        asked = run if _ids(run) == fed else forced
        first = steps[0].run if steps else run
        right = run.right if run.right is not None or run.cut == "thoughts" else run.answer == first.answer
        alignment = _known(moved)
        own = sided_regions(alignment, (shown.size, shown.size), regions=regions)
        masses, chances = _masses(asked, own, picture, normalisation, cancel)
        steps.append(Step(strength, run, asked, right, *_probability(asked), own, masses, chances, alignment))
    if progress is not None:
        progress(len(wanted), len(wanted), "")
    flip = next((n for n, step in enumerate(steps) if step.right is False), None) if steps[0].right else None
    return Sweep(kind, tuple(steps), target, normalisation, flip, picture)


def _perturbation(one: str | Perturbation) -> Perturbation:
    if isinstance(one, Perturbation):
        return one
    if one not in PERTURBATIONS:
        raise QueryError(f"There is no change “{one}”: choose from {', '.join(PERTURBATIONS)}.")
    return PERTURBATIONS[one]


def _ids(run: Run) -> list[int]:
    return [token.id for token in run.tokens]


def _probability(run: Run) -> tuple[float, float]:
    """Of the answer with its end, and its geometric mean per token; NaN where the answer is empty."""
    chosen = [token.probability for token in run.tokens if token.kind in ("answer", "end")]
    logs = np.log(np.maximum([one for one in chosen if one is not None], 1e-300))
    return (float(np.exp(logs.sum())), float(np.exp(logs.mean()))) if len(logs) else (float("nan"), float("nan"))


def _masses(
    run: Run, regions: tuple[SidedRegion, ...], picture: int, normalisation: Normalisation, cancel: Event | None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """By region, the mass of every map on it, and its share of the picture."""
    if not regions:
        return {}, {}
    neutral = ask_neutral(run, cancel) if NORMALISATIONS[normalisation].needs_neutral else None
    stack = map_stack(run, None, picture, normalisation, neutral=neutral)
    size = run.case.pictures[picture].size
    found = {one.name: mass_on(one.right, stack, size) for one in regions}
    return {name: mass for name, (mass, _) in found.items()}, {name: chance for name, (_, chance) in found.items()}


def _known(moved: np.ndarray | None) -> Alignment:
    """How a changed picture lies on the one before, which is known to the last digit."""
    if moved is None:
        reason = "Nothing was moved: the change is known."
        return Alignment("same frame", np.eye(3), 0, 0, 0.0, reason, known=True)
    return Alignment("registered", moved, 0, 0, 0.0, "Laid on each other by the very change that was made.", known=True)
