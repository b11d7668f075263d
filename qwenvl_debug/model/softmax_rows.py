"""Softmax of chosen rows and heads of one attention layer, computed from its queries and keys."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from qwenvl_debug.errors import CaptureError


def softmax_rows(
    query: torch.Tensor,
    key: torch.Tensor,
    heads: Sequence[int],
    scaling: float,
    hidden: torch.Tensor | None,
    width: int | None = None,
    added: torch.Tensor | None = None,
) -> np.ndarray:
    """softmax(q k^T * scaling), one matrix product per key head, so that shared keys are never repeated.

    Args:
        query: [query heads, rows, head_dim].
        key: [key heads, keys, head_dim]; query head h uses key head h // (query heads / key heads).
        heads: the query heads wanted, in the order wanted.
        scaling: factor of the dot products.
        hidden: bool [rows, keys], True where a row may not look; None where it may look everywhere.
        width: columns of the result where that are more than there are keys; the others hold 0.
        added: [len(heads), rows, keys], added to the logits; None for nothing.

    Returns:
        float32 [len(heads), rows, width].
    """
    group, rows, keys = query.shape[0] // key.shape[0], query.shape[1], key.shape[1]
    width = width or keys
    shared = sorted({head // group for head in heads})
    # The columns without a key are there from the start: to add them to the result would copy all of it. For the same
    # reason it is the queries that are scaled, which are few, and not their products with the keys.
    wide = torch.empty(len(shared), width, key.shape[2])
    wide[:, :keys] = key if len(shared) == key.shape[0] else key[shared]
    wide[:, keys:] = 0
    query = query.float() * scaling
    if list(heads) == list(range(query.shape[0])):
        result = torch.bmm(query.reshape(len(shared), group * rows, -1), wide.mT).reshape(-1, rows, width)
    else:
        result = torch.empty(len(heads), rows, width)
        for number, one in enumerate(shared):
            slots = [slot for slot, head in enumerate(heads) if head // group == one]
            asking = query[[heads[slot] for slot in slots]].flatten(0, 1)
            result[slots] = (asking @ wide[number].T).unflatten(0, (len(slots), -1))
    if added is not None:
        result[..., :keys] += added
    if width > keys:
        result[..., keys:] = float("-inf")
    if hidden is not None and (columns := hidden.any(0).nonzero()).numel():
        first = int(columns[0])  # only the last tokens are hidden from most rows
        result[..., first:keys].masked_fill_(hidden[:, first:], float("-inf"))
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
