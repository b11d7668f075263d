"""Softmax of chosen rows and heads of one attention layer, computed from its queries and keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from qwenvl_debug.errors import CaptureError


def softmax_rows(
    query: torch.Tensor, key: torch.Tensor, heads: Sequence[int], scaling: float, hidden: torch.Tensor | None
) -> np.ndarray:
    """softmax(q k^T * scaling), one matrix product per key head, so that shared keys are never repeated.

    Args:
        query: [query heads, rows, head_dim].
        key: [key heads, keys, head_dim]; query head h uses key head h // (query heads / key heads).
        heads: the query heads wanted, in the order wanted.
        scaling: factor of the dot products.
        hidden: bool [rows, keys], True where a row may not look; None where it may look everywhere.

    Returns:
        float32 [len(heads), rows, keys].
    """
    group = query.shape[0] // key.shape[0]
    result = torch.empty(len(heads), query.shape[1], key.shape[1])
    for shared in sorted({head // group for head in heads}):
        slots = [slot for slot, head in enumerate(heads) if head // group == shared]
        asking = query[[heads[slot] for slot in slots]].float().flatten(0, 1)
        result[slots] = (asking @ key[shared].float().T).unflatten(0, (len(slots), -1))
    result.mul_(scaling)
    if hidden is not None:
        result.masked_fill_(hidden, float("-inf"))
    return result.softmax(-1).numpy()


def chosen_heads(heads: int | Sequence[int] | None, n_heads: int) -> list[int]:
    """The heads asked for, all of them by default.

    Raises:
        CaptureError: there is no such head.
    """
    chosen = list(range(n_heads)) if heads is None else [int(head) for head in np.atleast_1d(heads)]
    for head in chosen:
        if not 0 <= head < n_heads:
            raise CaptureError(f"There is no head {head}: heads are 0 to {n_heads - 1}.")
    return chosen
