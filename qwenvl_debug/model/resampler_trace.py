"""Of which patches a picture's tokens are made, in a model whose resampler makes them: exact, for any token and head.

Between tower and language model such a generation has one layer of cross-attention, in which learned queries look at
all patches. Each query becomes one token, so a token is no part of the picture; it is a mixture. Where a word looks
within the picture is therefore a composition: the word's attention to the tokens, times the tokens' attention to the
patches. `mix` is the second factor, the mean over the resampler's heads; `weights` gives each head by itself.

The composition is a reading, not a fact about information: the resampler's values and the language model's layers
transform what they carry, and its heads carry different parts of it, which their mean treats alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.softmax_rows import chosen_heads, softmax_rows


class ResamplerTrace:
    """What a run left behind of the resampler, for one picture.

    Attributes:
        grid_rows: patch rows of the picture.
        grid_cols: patch columns of the picture.
    """

    def __init__(
        self, *, grid_rows: int, grid_cols: int, queries: torch.Tensor, keys: torch.Tensor, scaling: float
    ) -> None:
        self.grid_rows, self.grid_cols = grid_rows, grid_cols
        self._queries, self._keys, self._scaling = queries, keys, scaling

    @property
    def n_heads(self) -> int:
        """Heads of the resampler."""
        return self._queries.shape[0]

    @property
    def n_tokens(self) -> int:
        """Tokens that it makes of the picture."""
        return self._queries.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes of the queries and keys held."""
        return self._queries.nbytes + self._keys.nbytes

    @cached_property
    def mix(self) -> np.ndarray:
        """float32 [tokens, patches]: the mean over the heads; each row sums to 1. Patches in raster order."""
        mean = self.weights().mean(axis=0)
        mean.setflags(write=False)
        return mean

    def weights(
        self, tokens: int | Sequence[int] | None = None, heads: int | Sequence[int] | None = None
    ) -> np.ndarray:
        """Attention weights of the picture's tokens over its patches.

        Args:
            tokens: counted from 0 within the picture; by default all.
            heads: heads counted from 0; by default all.

        Returns:
            float32 [heads, tokens, patches], patches in raster order; each row sums to 1.

        Raises:
            CaptureError: a token or head does not exist.
        """
        wanted = np.arange(self.n_tokens) if tokens is None else np.atleast_1d(np.asarray(tokens, dtype=np.int64))
        if wanted.size and (wanted.min() < 0 or wanted.max() >= self.n_tokens):
            raise CaptureError(f"The picture has tokens 0 to {self.n_tokens - 1}.")
        chosen = chosen_heads(heads, self.n_heads)
        return softmax_rows(self._queries[:, torch.tensor(wanted)], self._keys, chosen, self._scaling, None)

    def to_tensors(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything held: tensors by name (not copied) and the rest, JSON-ready; both are the constructor's."""
        facts = {"grid_rows": self.grid_rows, "grid_cols": self.grid_cols, "scaling": float(self._scaling)}
        return {"queries": self._queries, "keys": self._keys}, facts
