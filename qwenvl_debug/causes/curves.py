"""Does a map point at what matters? Cells taken away, or put in, in the order in which a map ranks them.

*Deletion* blurs the highest cells first and watches the answer lose its probability; *insertion* starts from a blurred
image and puts the highest cells back first (RISE, Petsiuk et al. 2018; for vision-language models EAGLE, 2025, arXiv
2509.22496). A map that knows what matters loses it quickly and wins it back quickly. Both areas mean something only
beside those of cells in random order, which are measured in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

import cv2
import numpy as np

from qwenvl_debug.causes.occlusion import changed_image
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.errors import CauseError

if TYPE_CHECKING:
    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.causes.subject import Subject

STEPS = 20
ORDERS = 5
"""Random orders that a map is held against."""
SOFT = 0.05
"""Blur of the image without its cells, as a share of its shorter side."""


@dataclass(frozen=True)
class Curve:
    """The answer's probability as cells go or come.

    Attributes:
        shares: float64 [steps + 1], share of the cells that are gone (deletion) or there (insertion).
        probability: float64 [steps + 1], of the answer's token where the two answers part.
        random: float64 [orders, steps + 1], the same with the cells in random order.
    """

    shares: np.ndarray
    probability: np.ndarray
    random: np.ndarray

    @property
    def area(self) -> float:
        """Area under the curve, 0..1: low is good for deletion, high for insertion."""
        return float(np.trapezoid(self.probability, self.shares))

    @property
    def random_area(self) -> float:
        """Mean area of the random orders; NaN without any."""
        return float(np.trapezoid(self.random, self.shares, axis=-1).mean()) if len(self.random) else float("nan")


@dataclass(frozen=True)
class Faithfulness:
    """Deletion and insertion of one map."""

    deletion: Curve
    insertion: Curve

    @property
    def gain(self) -> float:
        """How much better than chance, both together: insertion above and deletion below the random orders, -2..2."""
        insertion = self.insertion.area - self.insertion.random_area
        return insertion + self.deletion.random_area - self.deletion.area


def faithfulness(
    subject: Subject,
    values: np.ndarray,
    *,
    answer: str = "expected",
    image: int = 0,
    steps: int = STEPS,
    orders: int = ORDERS,
    seed: int = 0,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Faithfulness:
    """Deletion and insertion curves of a map.

    Args:
        subject: a run made ready. Both answers may be weighed on a correct run, too.
        values: float [rows, cols], the map; tied cells are taken in random order.
        answer: whose probability is watched: "expected" or "given".
        image: which image of the case.
        steps: of how many equal steps.
        orders: random orders to compare with.
        seed: fixes them.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: the map has no value anywhere, or another shape than the image's grid.
    """
    grid = subject.asked.grids[image]
    if values.shape != (grid.rows, grid.cols) or not np.isfinite(values).all():
        raise CauseError(f"A map of {grid.rows} x {grid.cols} cells is needed, with a value in each.")
    rng = np.random.default_rng(seed)
    cells = values.size
    mine = np.lexsort((rng.random(cells), -values.reshape(-1)))
    ranked = [mine, *(rng.permutation(cells) for _ in range(orders))]
    counts = np.unique(np.linspace(0, cells, steps + 1).round().astype(int))
    pixels = subject.run.case.pictures[image].pixels
    soft = cv2.GaussianBlur(pixels, (0, 0), max(1.0, SOFT * min(pixels.shape[:2])))
    taken = Steps(progress, 2 * len(ranked) * len(counts))

    def probability(shown: np.ndarray) -> float:
        mask = cv2.resize(
            shown.reshape(values.shape).astype(np.uint8), pixels.shape[1::-1], interpolation=cv2.INTER_NEAREST
        )
        mixed = np.where(mask[..., None] > 0, pixels, soft)
        reading = changed_image(subject, mixed, image).reading
        return float(np.exp(reading.expected if answer == "expected" else reading.given))

    curves = []
    for inserted in (False, True):
        found = []
        for order in ranked:
            line = []
            for count in counts:
                shown = np.full(cells, not inserted)
                shown[order[:count]] = inserted
                line.append(taken.take("insertion" if inserted else "deletion", lambda shown=shown: probability(shown)))
            found.append(line)
        curves.append(Curve(counts / cells, np.array(found[0]), np.array(found[1:]).reshape(orders, len(counts))))
    return Faithfulness(*curves)


def areas(found: Sequence[Faithfulness]) -> tuple[float, float, float, float]:
    """Mean areas over cases: deletion, its random orders', insertion, its random orders'."""
    return tuple(
        float(np.mean([one]))
        for one in (
            [f.deletion.area for f in found],
            [f.deletion.random_area for f in found],
            [f.insertion.area for f in found],
            [f.insertion.random_area for f in found],
        )
    )
