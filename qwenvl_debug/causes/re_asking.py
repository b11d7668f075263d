"""Two questions that are put to the model again: with what it attended to made plain, and against no image at all.

*Highlight* dims what a map does not attend to and asks again (visual evidence augmentation, "Seeing but Not Believing",
2025, arXiv 2510.17771): a model that looked at the right place and did not believe it often answers rightly then.

*Contrastive decoding* takes away what the model would say anyway: at each step the logits with a spoiled image are
subtracted (VCD, Leng et al. 2024, arXiv 2311.16922). An answer that survives comes from the image; one that changes
came from what the model expects of such questions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from qwenvl_debug.case import Picture
from qwenvl_debug.errors import CauseError
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.replay import Replay

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

DIM = 0.75
"""How much of the light is taken from what the map does not attend to."""
ALPHA, BETA = 0.5, 0.1
"""VCD: how much is subtracted, and the least share of the likeliest token's probability that a word must have."""


def highlight(run: Run, values: np.ndarray, *, dim: float = DIM, image: int = 0, cancel: Event | None = None) -> Run:
    """Ask again with what a map does not attend to dimmed.

    Args:
        run: a model's answer to a case.
        values: float [rows, cols], >= 0, a map of one of its images, of any grid.
        dim: share of the light that is taken where the map is lowest, 0..1.
        image: which image of the case.
        cancel: an event; when it is set the work stops within a layer.

    Returns:
        The new run, of a case with the dimmed image.

    Raises:
        CauseError: the map is empty, or the run holds no model.
        Cancelled: `cancel` was set.
    """
    if run.model is None:
        raise CauseError("This run was read from a file and holds no model: ask the case again first.")
    if not np.isfinite(values).all() or values.max() <= 0:
        raise CauseError("There is no map here to highlight with: choose a layer and head that have one.")
    picture = run.case.pictures[image]
    top = max(float(np.quantile(values, 0.98)), 1e-3 * float(values.max()))  # one very bright cell hides no other
    shares = np.clip(values / top, 0, 1).astype(np.float32)
    kept = cv2.resize(shares, picture.size, interpolation=cv2.INTER_LINEAR)
    light = 1 - dim * (1 - kept)[..., None]
    pixels = np.clip(np.rint(picture.pixels * light), 0, 255).astype(np.uint8)
    return run.model.ask(_with_image(run, pixels, image), interventions=run.interventions, cancel=cancel)


@dataclass(frozen=True)
class Contrasted:
    """An answer from which was subtracted what the model would say without the image.

    Attributes:
        answer: the text.
        ids: its tokens, without the end.
        plain: the run's own answer.
        survives: whether both are the same.
    """

    answer: str
    ids: tuple[int, ...]
    plain: str

    @property
    def survives(self) -> bool:
        """Whether the run's own answer is still given."""
        return self.answer == self.plain


def contrastive_answer(
    run: Run,
    *,
    alpha: float = ALPHA,
    beta: float = BETA,
    max_new_tokens: int = 24,
    image: int = 0,
    seed: int = 0,
    cancel: Event | None = None,
) -> Contrasted:
    """Answer greedily by (1 + alpha) logits with the image less alpha logits with noise in its place.

    Args:
        run: a model's own answer to a case.
        alpha: how much is subtracted.
        beta: only tokens with at least this share of the likeliest one's probability may be chosen.
        max_new_tokens: the answer ends after this many tokens at the latest.
        image: which image of the case is spoiled.
        seed: of the noise.
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: the run holds no model, or was fed its answer.
        Cancelled: `cancel` was set.
    """
    model = run.model
    if model is None or run.target is not None:
        raise CauseError("A run in which the model answered by itself is needed, with its model loaded.")
    rng = np.random.default_rng(seed)
    pixels = run.case.pictures[image].pixels
    noise = pixels.reshape(-1, 3).mean(0) + rng.normal(0, 64, pixels.shape)
    spoiled = _with_image(run, np.clip(np.rint(noise), 0, 255).astype(np.uint8), image)
    asked = [prompt(model, case) for case in (run.case, spoiled)]
    ids: list[int] = []
    while len(ids) < max_new_tokens:
        taps = [[tap for one in run.interventions for tap in one.taps(model, part)] for part in asked]
        clear, blind = (
            Replay(model, part, ids, base=base, states=(), cancel=cancel).logits[-1]
            for part, base in zip(asked, taps, strict=True)
        )
        likely = clear.softmax(-1)
        scores = (1 + alpha) * clear - alpha * blind
        scores[likely < beta * likely.max()] = -torch.inf
        chosen = int(scores.argmax())
        if chosen in model.stop_ids:
            break
        ids.append(chosen)
    answer = model.tokenizer.decode(ids, skip_special_tokens=True).strip()
    return Contrasted(answer, tuple(ids), run.answer)


def _with_image(run: Run, pixels: np.ndarray, image: int):
    pictures = list(run.case.pictures)
    pictures[image] = Picture.open(pixels, name=pictures[image].name)
    return replace(run.case, pictures=tuple(pictures))
