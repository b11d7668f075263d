"""The two steps by which a word looks at a picture through a resampler, each by itself.

In a generation with a resampler (the first Qwen-VL) a map is a product: how the asking words look at the picture's
tokens, times how those tokens look at its patches (`maps.cells`). A map may be flat because the words look at no token
in particular, or because every token they look at is made of the whole picture; these two tell which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps.query import Query, default_query
from qwenvl_debug.maps.rows import averaged_rows

if TYPE_CHECKING:
    from qwenvl_debug.model import Run


def words_on_tokens(run: Run, query: Query | None = None, picture: int = 0) -> np.ndarray:
    """First step: the averaged row of the words that ask, over the tokens of a picture.

    Args:
        run: a model's answer to a case.
        query: the tokens that ask; by default the whole answer.
        picture: which picture of the case, from 0.

    Returns:
        float32 [layers, heads, tokens of the picture], shares of the whole row; NaN for layers without a map.

    Raises:
        QueryError: the picture or the tokens that ask do not exist.
        CaptureError: the run did not keep the rows of these tokens.
    """
    _check(run, picture)
    return averaged_rows(run, query or default_query(run))[..., run.grids[picture].positions]


def tokens_on_patches(run: Run, picture: int = 0) -> np.ndarray:
    """Second step: of which patches each token of a picture is made, for every head of the resampler.

    Returns:
        float32 [heads of the resampler, tokens of the picture, rows, cols]; each token's patches sum to 1.

    Raises:
        QueryError: the picture does not exist, or the model has no resampler.
    """
    _check(run, picture)
    if not run.trace.resampled:
        raise QueryError("In this model each token of a picture is one cell of it: there is no second step to look at.")
    grid = run.grids[picture]
    weights = run.trace.resampled[picture].weights()
    return weights.reshape(*weights.shape[:2], grid.rows, grid.cols)


def _check(run: Run, picture: int) -> None:
    if not 0 <= picture < len(run.grids):
        raise QueryError(f"This case has pictures 0 to {len(run.grids) - 1}: there is no picture {picture}.")
