"""Failures whose cause is known, because it was put there: what the diagnosis is judged on.

A held-out scene that the model answers rightly is sabotaged in one place: in the image, at the encoder's output, in
attention, or late in the language model. Only sabotages that make the answer wrong are kept (and, of those that should
do nothing, only pairs that are answered alike). The sabotaged run is an ordinary run that remembers its interventions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.causes.cells import Cells, cells_of, elsewhere
from qwenvl_debug.causes.interventions import Boost, PatchFeatures, PatchStates, tokens_of
from qwenvl_debug.micro.evaluate import Trial, held_out
from qwenvl_debug.micro.words import LANGUAGES, TASKS
from qwenvl_debug.model import DebugModel, Run
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.replay import Replay
from qwenvl_debug.regions import Mask, Region

CAUSES = ("not perceived", "not attended", "distracted", "overruled", "not in the image", "elsewhere", "nothing")
"""What is planted, in the words of the verdicts."""

CHOOSING, JUDGING = 20_000, 40_000
"""Where the scenes begin on which thresholds are chosen, and those on which they are judged, among held-out ones."""


@dataclass(frozen=True)
class Planted:
    """A pair with a known cause.

    Attributes:
        cause: one of `CAUSES`.
        correct, failing: the runs.
        region: what is asked about, as someone would mark it; of "elsewhere" something else.
        trial: the scene and the question.
    """

    cause: str
    correct: Run
    failing: Run
    region: Region
    trial: Trial


def planted(model: DebugModel, per_cause: int, start: int) -> Iterator[Planted]:
    """Pairs of every cause, spread over tasks and languages.

    Args:
        model: the bundled model.
        per_cause: how many of each.
        start: where the held-out scenes begin, `CHOOSING` or `JUDGING`.
    """
    for number, cause in enumerate(CAUSES):
        found, tried = 0, 0
        while found < per_cause and tried < 40 * per_cause:
            task, language = TASKS[tried % len(TASKS)], LANGUAGES[tried // len(TASKS) % 2]
            seed = start + number * 1_000 + tried
            tried += 1
            made = plant(model, cause, next(held_out(task, language, 1, seed)), seed)
            if made is not None:
                found += 1
                yield made


def plant(model: DebugModel, cause: str, trial: Trial, seed: int) -> Planted | None:
    """One pair; None where the scene does not suit, or the sabotage did not make the answer wrong."""
    rng = np.random.default_rng((seed, CAUSES.index(cause)))
    scene, question = trial.scene, trial.question
    target = scene.object(question.about)
    others = [one for one in scene.objects if one.name != target.name and one.mask.sum() > 200]
    if target.mask.sum() < 200 or (cause in ("distracted", "elsewhere") and not others):
        return None
    case = Case(scene.pixels, question.text, expected=question.answer)
    correct = model.ask(case, max_new_tokens=16)
    if not correct.right:
        return None
    region = Region(target.name, [Mask(target.mask)])
    cells = cells_of(correct, region)
    # What someone compares is seldom the very same image: half of the failing ones are a little lighter.
    bright = 1.02 if rng.random() < 0.5 else 1.0
    pixels = np.clip(np.round(scene.pixels * bright), 0, 255).astype(np.uint8)
    changed = Case(pixels, question.text, expected=question.answer)
    match cause:
        case "not perceived":
            made = _with_features(model, changed, cells, _painted_over(pixels, target.mask, rng))
        case "not attended":
            made = _first_wrong(model, changed, [[Boost(cells, 4.0**-n)] for n in (2, 3, 4, 5)])
        case "distracted":
            other = others[int(rng.integers(len(others)))]
            place = cells_of(correct, Region(other.name, [Mask(other.mask)])).without(cells)
            made = _first_wrong(model, changed, [[Boost(place, 4.0**n)] for n in (2, 3, 4, 5)]) if len(place) else None
        case "overruled":
            made = _overruled(model, changed, trial, seed, rng)
        case "not in the image":
            hidden = Case(_painted_over(pixels, target.mask, rng), question.text, expected=question.answer)
            made = model.ask(hidden, max_new_tokens=16)
        case "elsewhere":
            other = others[int(rng.integers(len(others)))]
            region = Region(other.name, [Mask(other.mask)])
            away = cells.without(cells_of(correct, region))
            if len(away) < 0.8 * len(cells):
                return None
            made = _with_features(model, changed, away, _painted_over(pixels, target.mask, rng))
        case "nothing":
            made = model.ask(changed, max_new_tokens=16)
    if made is None or (made.right if cause != "nothing" else not made.right):
        return None
    return Planted(cause, correct, made, region, trial)


def _first_wrong(model: DebugModel, case: Case, tries: list) -> Run | None:
    """The mildest of several sabotages that makes the answer wrong."""
    for interventions in tries:
        run = model.ask(case, max_new_tokens=16, interventions=interventions)
        if not run.right:
            return run
    return None


def _with_features(model: DebugModel, case: Case, cells: Cells, other: np.ndarray) -> Run:
    """The case, with the features of some cells taken from another image."""
    asked = prompt(model, Case(other, case.question))
    kept = Replay(model, asked, states=())
    positions = [int(asked.grids[0].positions[cell]) for cell in cells.index]
    features = kept.features.at(torch.tensor(tokens_of(asked, positions)))
    return model.ask(case, max_new_tokens=16, interventions=[PatchFeatures(cells, features, "planted")])


def _overruled(model: DebugModel, case: Case, trial: Trial, seed: int, rng: np.random.Generator) -> Run | None:
    """The case, with the last prompt token late in the network taken from a case with another answer."""
    for tried in range(20):
        other = next(held_out(trial.question.task, trial.question.language, 1, seed + 500 + tried * 37))
        if other.question.answer == trial.question.answer:
            continue
        asked = prompt(model, Case(other.scene.pixels, other.question.text))
        kept = Replay(model, asked)
        layer = int(rng.integers(kept.layers - 1, kept.layers + 1))
        mine = prompt(model, case)
        value = kept.state(layer)[-1:]
        change = PatchStates("residual", layer, (len(mine.ids) - 1,), value, None, "planted")
        run = model.ask(case, max_new_tokens=16, interventions=[change])
        if not run.right:
            return run
    return None


def _painted_over(pixels: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with an object gone: filled in from its surroundings, or under a plain board."""
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
    if rng.random() < 0.5:
        return cv2.inpaint(pixels, wide, 5, cv2.INPAINT_TELEA)
    rows, cols = np.flatnonzero(wide.any(1)), np.flatnonzero(wide.any(0))
    covered = pixels.copy()
    covered[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = rng.integers(60, 200, 3)
    return covered


__all__ = ["CAUSES", "CHOOSING", "JUDGING", "Planted", "elsewhere", "plant", "planted"]
