"""How rows of attention over a sequence come to lie on the cells of a picture.

In most generations each cell of a picture is one token, and its weight is that token's. In a generation with a
resampler the picture's tokens are mixtures of all its cells: a row's weights on the tokens are then composed with the
tokens' own weights on the cells (the mean over the resampler's heads), as in attention rollout. Either way the cells
together hold what the row gives to the picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from qwenvl_debug.model import Run


def on_cells(run: Run, weights: np.ndarray, picture: int) -> np.ndarray:
    """Cut a picture out of rows of attention.

    Args:
        run: whose sequence it is.
        weights: float [..., tokens], over the whole sequence.
        picture: which picture of the case, from 0.

    Returns:
        float32 [..., rows * cols], cells in raster order.
    """
    tokens = weights[..., run.grids[picture].positions]
    return tokens @ run.trace.resampled[picture].mix if run.trace.resampled else tokens
