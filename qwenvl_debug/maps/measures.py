"""What each number means and how it is computed: the one home of every measure's name, formula and plain words.

Pages take their tooltips from `MEASURES`, `make docs` writes docs/measures.md from it, and the functions below are
the only place where the formulas are code. All take non-negative weights, compute in float64, and give NaN where a
number would mean nothing: an all-zero map, a map of one cell, a layer without a map.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qwenvl_debug.maps.normalise import NORMALISATIONS
from qwenvl_debug.maps.query import SAY
from qwenvl_debug.maps.sinks import RULE


@dataclass(frozen=True)
class Measure:
    """One measure as it is explained everywhere.

    Attributes:
        name: what it is called on screen.
        formula: how it is computed, in ASCII.
        plain: one or two sentences for somebody who meets it for the first time.
        low, high: the least and the greatest value it can take.
        reference: what to hold a value against: what no structure at all would score.
        example: a case small enough to check by hand.
        source: where the method comes from.
        compute: the function that computes it.
    """

    name: str
    formula: str
    plain: str
    low: float
    high: float
    reference: str
    example: str
    source: str
    compute: Callable[..., np.ndarray]


def image_share(weights: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Share of a token's attention that falls on a picture.

    Args:
        weights: float [..., tokens], each row summing to 1 over the sequence.
        positions: int [cells], the sequence positions of the picture's tokens.

    Returns:
        float64 [...], 0..1.
    """
    return weights[..., positions].sum(axis=-1, dtype=np.float64)


def entropy(maps: np.ndarray) -> np.ndarray:
    """How evenly maps are spread over their cells.

    Args:
        maps: float [..., cells], >= 0, of any total.

    Returns:
        float64 [...]: 0 when one cell holds everything, 1 when all cells are equal; NaN for an all-zero map or one
        that holds NaN, and for maps of fewer than two cells, which cannot be spread.
    """
    shares = _shares(maps)
    if shares.shape[-1] < 2:
        return np.full(shares.shape[:-1], np.nan)
    return np.clip(-_x_log_x(shares, shares).sum(axis=-1) / np.log(shares.shape[-1]), 0.0, 1.0)


def jensen_shannon(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence in bits: how far two maps lie apart. Not its square root, which is the *distance*.

    Args:
        left: float [..., cells], >= 0, of any total.
        right: the same shape, over the same cells.

    Returns:
        float64 [...]: exactly 0 for equal maps, 1 for maps that share no cell, symmetric; NaN where either is
        all-zero or holds NaN, and for maps of fewer than two cells, which cannot differ.
    """
    left, right = _shares(left), _shares(right)
    if left.shape[-1] < 2:
        return np.full(np.broadcast_shapes(left.shape, right.shape)[:-1], np.nan)
    middle = (left + right) / 2
    bits = (_x_log_x(left, left / _nonzero(middle)) + _x_log_x(right, right / _nonzero(middle))) / (2 * np.log(2))
    return np.clip(bits.sum(axis=-1), 0.0, 1.0)


def _shares(maps: np.ndarray) -> np.ndarray:
    """Each map divided by its total, float64; NaN throughout where there is no total to divide by."""
    maps = np.asarray(maps, dtype=np.float64)
    total = maps.sum(axis=-1, keepdims=True)
    return maps / np.where(total > 0, total, np.nan)


def _x_log_x(factor: np.ndarray, of: np.ndarray) -> np.ndarray:
    """factor * ln(of), with 0 ln 0 = 0 and NaN passed on."""
    return factor * np.log(np.where(of == 0, 1.0, of))


def _nonzero(values: np.ndarray) -> np.ndarray:
    return np.where(values == 0, 1.0, values)


MEASURES: dict[str, Measure] = {
    "image_share": Measure(
        name="image share",
        formula="sum of w(t) over the picture's tokens t, where w is one row of attention and sums to 1",
        plain=(
            "How much of the attention goes to the picture rather than to the words. "
            "A low share means that this head hardly read the picture here, however clear its map looks."
        ),
        low=0.0,
        high=1.0,
        reference="a row that spreads evenly gives the picture's tokens divided by all tokens up to its own",
        example="a row of 0.1, 0.2, 0.3, 0.4 with the picture on the middle two tokens: 0.5",
        source="a plain sum of the softmax weights",
        compute=image_share,
    ),
    "entropy": Measure(
        name="entropy",
        formula="-sum(p ln p) / ln(cells), with p = A / sum(A)",
        plain="How spread out a map is: 0 when a single cell holds everything, 1 when all cells are equal.",
        low=0.0,
        high=1.0,
        reference="an even map has 1",
        example="two equal cells out of eight, the rest empty: ln 2 / ln 8 = 1/3",
        source="Shannon 1948, divided by its greatest possible value",
        compute=entropy,
    ),
    "divergence": Measure(
        name="map distance",
        formula="JSD(p, q) = (KL(p || m) + KL(q || m)) / 2, base 2, with m = (p + q) / 2, on a common grid",
        plain=(
            "How differently the two sides looked: 0 when their maps are the same, 1 when they share no cell. "
            "It compares where they looked, not how much."
        ),
        low=0.0,
        high=1.0,
        reference="two even maps, or the same map twice, have 0",
        example="(1, 0) against (1/2, 1/2): 0.311",
        source="Jensen-Shannon divergence, Lin 1991; not its square root",
        compute=jensen_shannon,
    ),
}


def markdown(measures: dict[str, Measure], notes: Sequence[str] = ()) -> str:
    """The page docs/measures.md on these measures, which is on those of regions too, and on the normalisations.

    Args:
        measures: in their order on the page.
        notes: paragraphs about all of them.
    """
    parts = [
        "# Measures",
        "What every number in the app, the tables and the JSON means. A is a map (>= 0) over the cells of one\n"
        "picture, p is A divided by its sum, and M is the share of each cell that a region covers. Where a number\n"
        "would mean nothing (an all-zero map, a layer without softmax attention, an empty region) it is left empty.",
    ]
    for key, measure in measures.items():
        parts += [
            f"## {measure.name} (`{key}`)",
            measure.plain,
            f"- **Formula:** `{measure.formula}`\n"
            f"- **Range:** {_bound(measure.low)} to {_bound(measure.high)}; {measure.reference}\n"
            f"- **Example:** {measure.example}\n"
            f"- **Source:** {measure.source}",
        ]
    parts += [
        *notes,
        "# Normalisations",
        "What the numbers of a map are shares of, before any of the above is measured. Where several tokens ask,\n"
        f"their rows are averaged first: {SAY[0].lower()}{SAY[1:]}",
    ]
    for key, text in NORMALISATIONS.items():
        parts += [
            f"## {text.name} (`{key}`)",
            text.plain,
            f"- **Formula:** `{text.formula}`\n- **Source:** {text.source}",
        ]
    return "\n\n".join([*parts, f"**Sinks.** {RULE}"]) + "\n"


def _bound(value: float) -> str:
    return f"{value:g}" if np.isfinite(value) else f"{'-' if value < 0 else ''}infinity"
