"""Is the noise floor one? How many heads stand above it for changes that nobody would notice.

None of these changes is one that the floor is measured with (`compare.noise.HARMLESS`). The correct pictures of the
gallery are changed, on which the floor's margin was chosen, and held-out scenes that the model answers right, on which
nothing was chosen; regions are the true masks of their objects. Beside them stand the gallery's real failures, of which
a floor that silences everything would show nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import compare, noise_floor
from qwenvl_debug.compare.noise import HARMLESS, MARGIN, jpeg, shifted
from qwenvl_debug.compare.perturb import PERTURBATIONS
from qwenvl_debug.micro.evaluate import held_out
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.micro.words import LANGUAGES, TASKS
from qwenvl_debug.model import DebugModel, Run
from qwenvl_debug.regions import Mask, Region, mask_from_png

MOST = 0.05
"""What this proof was set: of a copy that is shifted by two pixels or saved as JPEG 90, at most this share of the heads
stands above the floor."""
SCENES = 9_000  # where its scenes begin among the held-out ones; those from 8,000 on were looked at while choosing

Change = Callable[[np.ndarray], np.ndarray]


def _shift(right: int, down: int) -> Change:
    return lambda pixels: shifted(pixels, right, down)


def _by(name: str, strength: float) -> Change:
    return lambda pixels: PERTURBATIONS[name].apply(pixels, strength)[0]


ASKED: dict[str, Change] = {
    "2 px right": _shift(2, 0),
    "2 px left": _shift(-2, 0),
    "2 px down": _shift(0, 2),
    "2 px up": _shift(0, -2),
    "2 px right and down": _shift(2, 2),
    "2 px right and up": _shift(2, -2),
    "2 px left and down": _shift(-2, 2),
    "2 px left and up": _shift(-2, -2),
    "JPEG 90": lambda pixels: jpeg(pixels, 90),
}
"""The changes of which `MOST` was asked."""

UNSEEN: dict[str, Change] = ASKED | {
    "JPEG 85": lambda pixels: jpeg(pixels, 85),
    "3 % less light": _by("dim", 0.03),
    "3 % less contrast": _by("contrast", 0.03),
    "noise of 2 grey levels": _by("noise", 2),
    "turned by 0.3 degrees": _by("rotation", 0.3),
    "0.5 % smaller": _by("scale", 0.005),
}


@dataclass(frozen=True)
class Subject:
    """A right answer to judge the floor on.

    failing: the run that went wrong, where there is one; regions, failing_regions: those of either picture.
    """

    name: str
    correct: Run
    failing: Run | None
    regions: Sequence[Region]
    failing_regions: Sequence[Region] = ()


def gallery(model: DebugModel) -> Iterator[Subject]:
    """The shipped pairs, made to give the expected answer as the page does."""
    for pair in pairs():
        pictures = [Picture.open(one) for one in (pair.correct, pair.failing)]
        runs = [model.ask(Case(one, pair.question, expected=pair.expected), target=pair.expected) for one in pictures]
        left, right = (
            [Region(name, mask_from_png(file, one.size)) for name, file in pair.regions[side].items()]
            for side, one in zip(("correct", "failing"), pictures, strict=True)
        )
        yield Subject(pair.id, *runs, left, right)


def scenes(model: DebugModel, each: int) -> Iterator[Subject]:
    """Held-out scenes answered right, `each` of every task, languages in turn."""
    for task in TASKS:
        found = 0
        for number in range(4 * each):
            (trial,) = held_out(task, LANGUAGES[number % 2], 1, SCENES + number)
            run = model.ask(Case(trial.scene.pixels, trial.question.text, expected=trial.question.answer))
            if not run.right:
                continue
            seen = [one for one in trial.scene.objects if one.mask.any()]
            names = {one.name: one.mask for one in seen}
            yield Subject(f"{task} {number}", run, None, [Region(n, [Mask(m)]) for n, m in names.items()])
            found += 1
            if found == each:
                break


def noise(model: DebugModel, each: int) -> dict:
    """The figures of this proof.

    Args:
        model: the bundled model.
        each: held-out scenes of every task.
    """
    return {
        "margin": MARGIN,
        "changes of the floor": list(HARMLESS),
        "asked": list(ASKED),
        "most": MOST,
        "gallery": {one.name: _shares(model, one) for one in gallery(model)},
        "scenes": {one.name: _shares(model, one) for one in scenes(model, each)},
    }


def _shares(model: DebugModel, subject: Subject) -> dict[str, float]:
    """By change, and for "failing" where there is one: the share of the heads above the floor."""
    correct, case = subject.correct, subject.correct.case
    floor = noise_floor(correct, regions=subject.regions)
    answer = [correct.tokens[index].id for index in correct.answer_tokens]
    found = {}
    for name, change in UNSEEN.items():
        picture = Picture.open(np.ascontiguousarray(change(case.pictures[0].pixels)))
        copy = model.ask(Case(picture, case.question, expected=case.expected), target=answer)
        found[name] = compare(correct, copy, regions=subject.regions, noise=floor).ranking.share_above()
    if subject.failing is not None:
        own = {"left_regions": subject.regions, "right_regions": subject.failing_regions}
        made = compare(correct, subject.failing, **own, noise=floor)
        found["failing"] = made.ranking.share_above()
    return found


def worst(result: dict, group: str) -> tuple[float, str, str]:
    """The greatest share of heads above the floor for a change of which `MOST` was asked, with change and subject."""
    return max(
        (share, change, subject)
        for subject, found in result[group].items()
        for change, share in found.items()
        if change in result["asked"]
    )


def markdown(result: dict) -> list[str]:
    """The figures as lines of a page."""
    groups = {"gallery": "gallery", "scenes": "held-out scenes"}
    failing = np.array([one["failing"] for one in result["gallery"].values()])
    lines = [
        "## The noise floor",
        "",
        f"How many heads stand above {result['margin']:g} times what harmless changes do "
        f"({'; '.join(result['changes of the floor'])}), when the picture is changed in another way that nobody would "
        f"notice: wanted is at most {result['most']:.0%} in every case for the changes marked with a star. The margin "
        f"was chosen on the {len(result['gallery'])} gallery pairs; on the {len(result['scenes'])} scenes nothing was. "
        f"Of the gallery's real failures {failing.mean():.0%} of the heads stand above it on average "
        f"({failing.min():.0%} to {failing.max():.0%}).",
        "",
        "| change | " + " | ".join(f"{words}: mean | worst" for words in groups.values()) + " |",
        "|---|" + "---|" * 2 * len(groups),
    ]
    for change in next(iter(result["scenes"].values())):
        cells = [f"{change} *" if change in result["asked"] else change]
        for group in groups:
            shares = np.array([found[change] for found in result[group].values()])
            cells += [f"{shares.mean():.1%}", f"{shares.max():.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    over = {
        words: sum(found[change] > result["most"] for found in result[group].values() for change in result["asked"])
        for group, words in groups.items()
    }
    cases = {words: len(result[group]) * len(result["asked"]) for group, words in groups.items()}
    counted = "; ".join(f"{words}: {over[words]} of {cases[words]}" for words in cases)
    lines += ["", f"Cases over {result['most']:.0%} for the changes with a star: {counted}."]
    return lines
