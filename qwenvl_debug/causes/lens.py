"""What each layer would answer: the logit lens.

The residual stream of any layer, read by the final norm and the unembedding as if it were the last, gives a
distribution over words (nostalgebraist 2020). At the place where two answers part it shows at which depth each of them
arises. At the image's cells it shows where a word is readable (Jiang et al. 2025, arXiv 2410.02762; Neo et al. 2025,
arXiv 2410.07149): a map like attention, but of content. Early layers write in another basis, so a word that is not
readable may still be there; at the last layer the lens is the model's own output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import torch

from qwenvl_debug.causes.subject import Subject, subject_of

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

ROWS = 64
"""Positions that are unembedded at once, so that a large vocabulary fits into memory."""


@dataclass(frozen=True)
class Lens:
    """Both answers over depth, where they part.

    Attributes:
        difference: float64 [layers + 1], LD in logits by the residual stream that each layer reads; the last is what
            the final norm reads, and equals the model's own.
        expected: float64 [layers + 1], probability of the expected answer's token.
        given: float64 [layers + 1], of the given one's.
        top: the likeliest token's text at each.
    """

    difference: np.ndarray
    expected: np.ndarray
    given: np.ndarray
    top: tuple[str, ...]


@dataclass(frozen=True)
class LensMap:
    """How readable a word is at each cell of an image.

    Attributes:
        values: float32 [layers + 1, rows, cols], probability of the word's first token at each cell, 0..1.
        word: the word.
        image: which image of the case.
    """

    values: np.ndarray
    word: str
    image: int


def lens(run: Run | Subject, *, expected: str | None = None, cancel: Event | None = None) -> Lens:
    """Read both answers off every layer, at the place where they part.

    Args:
        run: a run that answered wrongly by itself, or a subject.
        expected: the right answer; by default what the case expects.
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: there is no failure to explain.
        Cancelled: `cancel` was set.
    """
    subject = subject_of(run, expected, cancel)
    kept = subject.pass_
    rows = torch.stack([kept.state(layer)[-1] for layer in range(kept.layers + 1)])
    logits = unembedded(subject, rows)
    found = [subject.contrast.read(row) for row in logits]
    return Lens(
        np.array([one.difference for one in found]),
        np.exp([one.expected for one in found]),
        np.exp([one.given for one in found]),
        tuple(subject.model.tokenizer.decode([one.top]) for one in found),
    )


def lens_map(subject: Subject, ids: Sequence[int], word: str, image: int = 0) -> LensMap:
    """How readable a word is at each cell and layer.

    Args:
        subject: a run made ready.
        ids: tokens that begin the word, in any spelling; their probabilities are added.
        word: what to call it.
        image: which image of the case.

    Raises:
        CauseError: a cell is no token in this model.
    """
    grid, kept = subject.asked.grids[image], subject.pass_
    if subject.model.generation.picture_tokens is not None:
        from qwenvl_debug.errors import CauseError

        raise CauseError("In this model an image token is no cell of the image, so no word can be read off a cell.")
    positions = torch.tensor(grid.positions)
    values = np.empty((kept.layers + 1, len(positions)), np.float32)
    for layer in range(kept.layers + 1):
        logits = unembedded(subject, kept.state(layer)[positions], list(ids))
        values[layer] = logits.sum(-1).numpy()
    return LensMap(values.reshape(-1, grid.rows, grid.cols), word, image)


def unembedded(subject: Subject, rows: torch.Tensor, ids: Sequence[int] | None = None) -> torch.Tensor:
    """Residual vectors read by the final norm and the unembedding.

    Args:
        subject: whose network reads.
        rows: [n, width].
        ids: with these, the probabilities of these tokens are returned, float32 [n, len(ids)].

    Returns:
        Without ids, logits, float32 [n, vocabulary].
    """
    places = subject.model.generation.places(subject.model.network)
    found = []
    with subject.model.turn(subject.cancel), torch.no_grad():
        for some in rows.split(ROWS):
            logits = places.unembedding(places.norm(some[None]))[0].float().cpu()
            found.append(logits if ids is None else logits.softmax(-1)[:, list(ids)])
    return torch.cat(found)
