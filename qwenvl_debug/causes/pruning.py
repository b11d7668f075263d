"""How much of an image does an answer need? Image tokens dropped from the least attended on, and heads likewise.

Token pruning (FastV, Chen et al. 2024, arXiv 2403.06764, and kin) rests on the belief that what is little attended to
is little needed. Here that can be looked at: tokens in the order of their attention, in the order of what they do to
the answer, and at random, as shares of them go; for the answer, its probability, and the time that a pass then takes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Literal

import numpy as np

from qwenvl_debug.causes.cells import Cells
from qwenvl_debug.causes.interventions import AblateHeads, drop
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.causes.rising import weights
from qwenvl_debug.errors import CauseError

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.causes.subject import Subject

Order = Literal["attention", "effect", "random"]
ORDERS: tuple[Order, ...] = ("attention", "effect", "random")
SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class Pruning:
    """What is left of the answers as more and more image tokens are dropped.

    Attributes:
        shares: float64 [shares], of the image tokens that are dropped.
        same: float64 [orders, shares], share of the cases that still prefer the same of the two answers.
        probability: float64 [orders, shares], mean probability of the answer that the case had.
        seconds: float64 [shares], mean time of a pass of the language model with the tokens really left out.
        orders: by what the tokens were ranked.
        cases: how many cases.
    """

    shares: np.ndarray
    same: np.ndarray
    probability: np.ndarray
    seconds: np.ndarray
    orders: tuple[Order, ...]
    cases: int

    def table(self) -> pandas.DataFrame:
        """One line for each order and share: order, dropped, same_answer, probability, seconds."""
        import pandas as pd

        lines = [
            (order, float(share), self.same[n, k], self.probability[n, k], self.seconds[k])
            for n, order in enumerate(self.orders)
            for k, share in enumerate(self.shares)
        ]
        return pd.DataFrame(lines, columns=["order", "dropped", "same_answer", "probability", "seconds"])


def prune_tokens(
    subjects: Sequence[Subject],
    *,
    shares: Sequence[float] = SHARES,
    orders: Sequence[Order] = ORDERS,
    image: int = 0,
    seed: int = 0,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Pruning:
    """Drop the least image tokens of several cases and see what becomes of their answers.

    Args:
        subjects: runs made ready; of each, the answer counts that it prefers of its two.
        shares: of the image tokens to drop, 0 to below 1, ascending.
        orders: what "least" means: attention by the row that chooses the answer, the mean over layers and heads;
            the effect of dropping the token alone; or chance.
        image: which image of the cases.
        seed: of the random order.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: there are no cases, or a share is not one.
    """
    if not subjects:
        raise CauseError("Pruning is judged on cases: give at least one.")
    if any(not 0 <= share < 1 for share in shares):
        raise CauseError("Shares of tokens to drop are 0 or more and below 1.")
    rng = np.random.default_rng(seed)
    same, probability, seconds = (np.zeros((len(subjects), len(orders), len(shares))) for _ in range(3))
    steps = Steps(progress, len(subjects) * len(orders) * len(shares))
    for case, subject in enumerate(subjects):
        grid = subject.asked.grids[image]
        before = subject.reading
        for number, order in enumerate(orders):
            ranked = least_first(subject, order, image, rng)
            for place, share in enumerate(shares):
                count = round(share * len(ranked))
                gone = subject.positions(image, ranked[:count])

                def dropped(gone=gone, subject=subject):
                    began = time.perf_counter()
                    logits = subject.pass_.without(gone)
                    return subject.contrast.read(logits), time.perf_counter() - began

                reading, took = steps.take(f"{order}, {share:.0%} dropped", dropped)
                same[case, number, place] = (reading.difference > 0) == (before.difference > 0)
                kept = reading.expected if before.difference > 0 else reading.given
                probability[case, number, place] = np.exp(kept)
                seconds[case, number, place] = took
        if grid.rows * grid.cols < 2:
            raise CauseError("An image of one cell has nothing to drop.")
    return Pruning(
        np.array(shares), same.mean(0), probability.mean(0), seconds.mean((0, 1)), tuple(orders), len(subjects)
    )


def least_first(subject: Subject, order: Order, image: int, rng: np.random.Generator) -> list[int]:
    """The cells of an image, those that are needed least first."""
    grid = subject.asked.grids[image]
    count = grid.rows * grid.cols
    if order == "random":
        return rng.permutation(count).tolist()
    if order == "attention":
        values = weights(subject, image).mean((0, 1))
    else:
        shape, before = (grid.rows, grid.cols), subject.reading.difference
        alone = [subject.under(drop(Cells(image, (cell,), shape))).difference for cell in range(count)]
        values = np.abs(np.array(alone) - before)
    return np.argsort(values, kind="stable").tolist()


def rank_heads(
    subjects: Sequence[Subject], *, progress: Progress | None = None, cancel: Event | None = None
) -> pandas.DataFrame:
    """Every head of the softmax layers by its attention to the image and by what becomes without it.

    Args:
        subjects: runs made ready.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Returns:
        Columns layer, head, image_attention (mean share of the row that chooses the answer), effect (mean size of the
        change of LD when the head writes zeros, in logits), flips (share of the cases whose preference changes); the
        least effect first.
    """
    import pandas as pd

    model = subjects[0].model
    heads = [(layer, head) for layer in model.layers_with_maps for head in range(model.n_heads)]
    shares = np.mean([weights(subject, 0).sum(-1) for subject in subjects], axis=0)
    steps = Steps(progress, len(heads) * len(subjects))
    lines = []
    for layer, head in heads:
        change = AblateHeads(layer, (head,))
        found = [
            steps.take(f"layer {layer}, head {head}", lambda s=subject, c=change: s.under(c).difference)
            for subject in subjects
        ]
        before = np.array([subject.reading.difference for subject in subjects])
        changed, row = np.array(found), model.layers_with_maps.index(layer)
        flips = float(((changed > 0) != (before > 0)).mean())
        lines.append((layer, head, float(shares[row, head]), float(np.abs(changed - before).mean()), flips))
    table = pd.DataFrame(lines, columns=["layer", "head", "image_attention", "effect", "flips"])
    return table.sort_values("effect", kind="stable", ignore_index=True)
