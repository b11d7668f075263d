"""How attention differs between two runs at the place where their answers part: on a region, and where it rose most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.causes.cells import Cells
from qwenvl_debug.maps.cells import on_cells

if TYPE_CHECKING:
    from qwenvl_debug.causes.pair import Pair
    from qwenvl_debug.causes.subject import Subject

SHARE = 0.8
"""Share of all that rose which the cells of `risen` hold together."""

WIDE = 0.15
"""Largest share of the image's cells that they may be."""


def weights(subject: Subject, image: int) -> np.ndarray:
    """Attention of the row that chooses the token where the answers part, on an image's cells.

    Returns:
        float32 [layers with a map, heads, cells], shares of the whole row.
    """
    run = subject.run
    row = subject.pass_.length - 1
    rows = np.stack([run.trace.weights(layer, [row])[:, 0] for layer in run.trace.layers])
    return on_cells(run, rows, image)


def rise(pair: Pair, cells: Cells) -> float:
    """By how much the attention odds of some cells differ: failing over correct, geometric mean over layers and heads.

    Returns:
        1 for no difference, above 1 where the failing run attends more; NaN where the correct image does not show them.
    """
    kept = pair.patchable(cells)
    if not len(kept):
        return float("nan")
    its = [int(pair.cell_map[cell]) for cell in kept.index]
    mine = _odds(weights(pair.failing, pair.image)[..., list(kept.index)].sum(-1))
    other = _odds(weights(pair.correct, pair.image)[..., its].sum(-1))
    return float(np.exp(np.log(mine / other).mean()))


def risen(pair: Pair, region: Cells) -> Cells | None:
    """The cells outside a region whose attention rose most from the correct to the failing run.

    Returns:
        The fewest that hold 80 % of the rise, at most 15 % of the image's cells; None where nothing rose.
    """
    mine = weights(pair.failing, pair.image).mean((0, 1), dtype=np.float64)
    other = weights(pair.correct, pair.image).mean((0, 1), dtype=np.float64)
    rose = np.where(pair.cell_map >= 0, np.maximum(mine - other[np.maximum(pair.cell_map, 0)], 0), 0)
    rose[list(region.index)] = 0
    if rose.sum() < 1e-6:
        return None
    order = np.argsort(-rose, kind="stable")
    held = np.cumsum(rose[order]) / rose.sum()
    count = min(int(np.searchsorted(held, SHARE)) + 1, max(3, int(WIDE * len(rose))))
    return Cells(region.image, tuple(sorted(order[:count].tolist())), region.shape)


def _odds(shares: np.ndarray) -> np.ndarray:
    shares = np.clip(shares.astype(np.float64), 1e-9, 1 - 1e-9)
    return shares / (1 - shares)
