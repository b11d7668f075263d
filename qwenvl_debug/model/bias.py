"""An exact change of attention: the odds of some columns multiplied by a factor.

Adding ln k to the logits of a set of columns before the softmax multiplies the odds p / (1 - p) of that set, p being
its share of the row, by exactly k, whatever the logits are. k = 0 blocks the columns (attention knockout, Geva et al.
2023), k > 1 boosts them. Rows that are not named keep their weights to the bit.

The same object is applied while the network runs (`biased`) and afterwards, when a trace computes the weights that the
run had (`logits`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from qwenvl_debug.errors import CaptureError

if TYPE_CHECKING:
    from qwenvl_debug.model.taps import AttentionCall


@dataclass(frozen=True)
class Bias:
    """Multiplies the odds of some columns of one attention layer.

    Attributes:
        layer: the language layer.
        columns: positions whose odds are multiplied, together.
        factor: by how much, 0 or more.
        first: the first row, a position in the sequence, that is changed.
        rows: the rows that are changed, `first` among them; None for every row from `first` on.
        heads: the query heads that are changed; None for all.
        image: of a resampler's call, which takes all images at once, the image that is changed; None for all.
    """

    layer: int
    columns: tuple[int, ...]
    factor: float
    first: int = 0
    rows: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    image: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.factor) and self.factor >= 0):
            raise CaptureError(f"Attention odds can be multiplied by 0 or more, not by {self.factor}.")
        if not self.columns:
            raise CaptureError("There is no token whose attention is to be changed: choose a larger region.")

    def changes(self, row: int) -> bool:
        """Whether a row, a position in the sequence, is changed."""
        return row >= self.first if self.rows is None else row in self.rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `Bias.from_dict` reads it."""
        return {
            "layer": self.layer,
            "columns": list(self.columns),
            "factor": self.factor,
            "first": self.first,
            "rows": None if self.rows is None else list(self.rows),
            "heads": None if self.heads is None else list(self.heads),
            "image": self.image,
        }

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Bias:
        """The bias whose `to_dict` this is."""
        several = {name: None if found[name] is None else tuple(found[name]) for name in ("rows", "heads")}
        return cls(
            found["layer"], tuple(found["columns"]), found["factor"], found["first"], **several, image=found["image"]
        )


def logits(biases: Sequence[Bias], rows: Sequence[int], heads: int, keys: int) -> torch.Tensor:
    """What is added to the logits of an attention layer.

    Args:
        biases: of that layer.
        rows: positions in the sequence.
        heads: query heads of the layer.
        keys: tokens so far.

    Returns:
        float32 [heads, len(rows), keys], or [1, ...] where all heads have the same; minus infinity where a factor is 0.
    """
    alike = all(bias.heads is None for bias in biases)
    added = torch.zeros(1 if alike else heads, len(rows), keys)
    for bias in biases:
        here = torch.tensor([n for n, row in enumerate(rows) if bias.changes(row)], dtype=torch.long)
        columns = torch.tensor([column for column in bias.columns if column < keys], dtype=torch.long)
        chosen = torch.tensor(range(len(added)) if bias.heads is None else bias.heads)
        value = math.log(bias.factor) if bias.factor > 0 else -math.inf
        added[chosen[:, None, None], here[:, None], columns] += value
    return added


def biased(call: AttentionCall, biases: Sequence[Bias], plain: Callable[[AttentionCall], torch.Tensor]) -> torch.Tensor:
    """The output of an attention call with changed odds.

    Only the rows that are changed are computed with a mask of numbers, which is slow; the others come from the call as
    it was, so that a change of one row costs one row.

    Args:
        call: the call.
        biases: of its layer.
        plain: transformers' own function, from a call to its output [batch, rows, heads, head_dim].

    Raises:
        CaptureError: nothing would be left for a row to look at.
    """
    rows, keys = call.query.shape[2], call.key.shape[2]
    local = [n for n in range(rows) if any(bias.changes(call.start + n) for bias in biases)]
    if not local:
        return plain(call)
    positions, heads = [call.start + n for n in local], call.query.shape[1]
    one_by_one = any(bias.image is not None for bias in biases)
    added = torch.stack(
        [
            logits([bias for bias in biases if bias.image in (None, image)], positions, heads, keys)
            for image in (range(len(call.query)) if one_by_one else [None])
        ]
    )
    mask = (added.to(call.query.device) + _visible(call, local)).to(call.query.dtype)
    if (mask == -math.inf).all(-1).any():
        raise CaptureError("Blocking all of these tokens leaves nothing to attend to: leave some out.")
    if len(local) == rows:
        return plain(replace(call, mask=mask))
    where = torch.tensor(local, device=call.query.device)
    output = plain(call).clone()
    output[:, where] = plain(replace(call, query=call.query[:, :, where], mask=mask))
    return output


def _visible(call: AttentionCall, local: list[int]) -> torch.Tensor:
    """float32 [batch or 1, heads or 1, len(local), keys]: 0 where a row may look, else minus infinity."""
    device = call.query.device
    if call.mask is not None and call.mask.dtype != torch.bool:
        return call.mask[:, :, local].float()
    if call.mask is not None:
        seen = call.mask[:, :, local]
    elif not getattr(call.module, "is_causal", True):
        return torch.zeros(1, 1, 1, 1, device=device)
    else:
        rows = call.start + torch.tensor(local, device=device)
        seen = (torch.arange(call.key.shape[2], device=device) <= rows[:, None])[None, None]
    return torch.zeros(seen.shape, device=device).masked_fill(~seen, -math.inf)
