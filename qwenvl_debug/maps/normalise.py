"""What a map's numbers are shares of: the one home of every normalisation's name, plain words, formula and code.

All start from the same rows (see `stack`) and change one head's map at a time; the map of all heads is the mean of
what comes out. But for "row" every map then sums to 1 over the picture, or there is none and it is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from qwenvl_debug.errors import QueryError

Normalisation = Literal["picture", "row", "ratio", "added", "no_sinks"]

LITTLE = 0.1
"""Of the even share 1 / cells. A ratio means nothing where both sides hardly look, and has no bound where the neutral
question does not look at all; with this much added to both, a cell that gets less than a tenth of its even share can
at most double, and a map held against itself is even."""

NOTHING_ADDED = 1 / 256
"""Of the picture's attention: the relative precision of bfloat16, the coarsest that models run in. What a question
added in all is told from rounding only above it."""


@dataclass(frozen=True)
class NormalisationText:
    """One normalisation as it is explained everywhere.

    Attributes:
        name: what the control calls it.
        plain: one or two sentences for somebody who meets it for the first time.
        formula: how it is computed, in ASCII; a is the weight of a cell, p its share of the picture.
        source: where the method comes from.
        needs_neutral: whether the neutral question has to be asked too.
    """

    name: str
    plain: str
    formula: str
    source: str
    needs_neutral: bool = False


NORMALISATIONS: dict[Normalisation, NormalisationText] = {
    "picture": NormalisationText(
        name="share of the picture",
        plain="How a head's attention to the picture is spread over it. Every head counts the same in the mean, "
        "however little of it went to the picture.",
        formula="p = a / sum(a) over the picture's cells",
        source="a plain share of the softmax weights",
    ),
    "row": NormalisationText(
        name="share of everything",
        plain="The attention itself, as a share of everything the asking words look at, text included. Heads that "
        "hardly read the picture weigh little in the mean.",
        formula="a, one row of attention, which sums to 1 over the whole sequence",
        source="the softmax weights as they are",
    ),
    "ratio": NormalisationText(
        name="times the neutral question",
        plain="How many times more a place is looked at than for “Describe the image.”, which takes out what draws "
        "attention whatever is asked. It also lifts places that hardly any attention went to.",
        formula=f"r = (p + e) / (q + e), rescaled to sum 1, with q the neutral question's p and e = {LITTLE:g} / cells",
        source="relative attention, Zhang et al., “MLLMs Know Where to Look”, ICLR 2025; e is ours, against division "
        "by nothing",
        needs_neutral=True,
    ),
    "added": NormalisationText(
        name="more than the neutral question",
        plain="What the question added: the share of the picture that a place has beyond its share for “Describe the "
        "image.” Places that lost attention are empty.",
        formula="d = max(0, p - q), rescaled to sum 1, with q the neutral question's p; "
        f"no map where sum(d) is at most {NOTHING_ADDED:.1%}",
        source="the difference in place of the ratio of Zhang et al., ICLR 2025, which needs no guard against small q",
        needs_neutral=True,
    ),
    "no_sinks": NormalisationText(
        name="without sinks",
        plain="The share of the picture, leaving out cells that draw attention at this layer whatever asks.",
        formula="p with the layer's sink cells set to 0, rescaled to sum 1",
        source="attention sinks of vision-language models, Kang et al., “See What You Are Told”, ICLR 2025; the rule "
        "that finds them here is our own",
    ),
}


def check_normalisation(normalisation: str) -> None:
    """Refuses a normalisation that there is not.

    Raises:
        QueryError: naming those there are.
    """
    if normalisation not in NORMALISATIONS:
        raise QueryError(f"Normalisation is one of {', '.join(NORMALISATIONS)}, not “{normalisation}”.")


def share_of_picture(weights: np.ndarray) -> np.ndarray:
    """Normalisation "picture".

    Args:
        weights: float [..., cells], >= 0.

    Returns:
        float32 [..., cells], each map summing to 1, or NaN where nothing lies on the picture.
    """
    total = weights.sum(axis=-1, keepdims=True, dtype=np.float64)
    return (weights / np.where(total > 0, total, np.nan)).astype(np.float32)


def against_neutral(share: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Normalisation "ratio": how many times the neutral question's share each cell has.

    Args:
        share: float32 [..., cells], shares of the picture.
        neutral: the same of the neutral question.

    Returns:
        float32 [..., cells] summing to 1; even where both are the same; NaN where either has no map.
    """
    little = np.float32(LITTLE / share.shape[-1])
    return share_of_picture((share + little) / (neutral + little))


def beyond_neutral(share: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """Normalisation "added": what each cell has beyond the neutral question's share.

    Returns:
        float32 [..., cells] summing to 1; NaN where either has no map and where nothing was added (`NOTHING_ADDED`).
    """
    more = np.maximum(share - neutral, 0)
    enough = more.sum(axis=-1, keepdims=True, dtype=np.float64) > NOTHING_ADDED
    return share_of_picture(np.where(enough, more, np.nan))


def without(share: np.ndarray, sinks: np.ndarray) -> np.ndarray:
    """Normalisation "no_sinks".

    Args:
        share: float32 [layers, heads, cells], shares of the picture.
        sinks: bool [layers, cells].

    Returns:
        float32 [layers, heads, cells], as it was in layers without sinks, else 0 on sinks and summing to 1; NaN where
        all of a map lay on sinks.
    """
    result = share.copy()
    some = sinks.any(axis=-1)
    result[some] = share_of_picture(np.where(sinks[some, None], 0, share[some]))
    return result
