"""Named places of a network where a forward pass can be watched or changed.

A *tap* is attached to one place. An observer reads the tensor that passes; an intervention returns another one in its
stead. Taps are active inside `tapping.tapping`, for the thread that entered it, and are gone afterwards; a pass without
taps runs the network as it is.

The classic failure of such tools is a hook that never fires and an experiment that reports "no effect". So every tap
counts the positions it has seen, and leaving `tapping` raises where one saw fewer than it must.

Places of a language model with layers 0 to L - 1:

- `encoder`: image features as they enter the language model, [image tokens, width], and those that are added again
  after its first layers (deepstack), together;
- `residual` l: the residual stream as layer l reads it, [1, rows, width]; l = L is what the final norm reads. Deepstack
  features that are added between two layers are part of it;
- `attention` l: the attention call itself, see `AttentionCall`, for biases on its logits and changes to single heads;
- `heads` l: what the heads of a layer wrote, [1, rows, heads * head_dim], as its output projection reads it;
- `attention_output` l and `mlp_output` l: what either block adds to the residual stream;
- `norm`: the final hidden state, [1, rows, width], which the unembedding reads;
- `resampler` and `patches`: in a generation whose image tokens are made by a resampler, its attention call, and the
  patch features that it reads, [images, patches, width].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from torch import nn

from qwenvl_debug.model.bias import Bias

if TYPE_CHECKING:
    from qwenvl_debug.model.debug_model import DebugModel
    from qwenvl_debug.model.inputs import Prompt

Kind = Literal[
    "encoder", "residual", "attention", "heads", "attention_output", "mlp_output", "norm", "resampler", "patches"
]


@dataclass(frozen=True)
class Place:
    """One place: its kind, and the layer where the kind has one."""

    kind: Kind
    layer: int | None = None

    def __str__(self) -> str:
        return self.kind if self.layer is None else f"{self.kind} {self.layer}"


@dataclass(frozen=True)
class Features:
    """What the vision encoder hands to the language model.

    Attributes:
        merged: [image tokens, width], in the order of the sequence.
        deepstack: features of the same shape that are added to the residual stream after layers 0, 1, …; empty in
            generations without them.
    """

    merged: torch.Tensor
    deepstack: tuple[torch.Tensor, ...] = ()

    def swapped(self, where: torch.Tensor, other: Features) -> Features:
        """These features, with those of another image at some tokens.

        Args:
            where: int64 [n], tokens counted from 0 within the image tokens.
            other: features [n, width] for them.
        """
        return Features(
            _swapped(self.merged, where, other.merged),
            tuple(_swapped(mine, where, its) for mine, its in zip(self.deepstack, other.deepstack, strict=True)),
        )

    def at(self, where: torch.Tensor) -> Features:
        """The features of some tokens only."""
        return Features(self.merged[where], tuple(one[where] for one in self.deepstack))


@dataclass(frozen=True)
class AttentionCall:
    """One call of an attention function.

    Attributes:
        module: the attention module that calls.
        query: [batch, heads, rows, head_dim], rotated.
        key: [batch, key heads, keys, head_dim], rotated; of a language layer, all keys so far.
        value: as `key`.
        mask: bool [batch or 1, 1, rows, keys], True where a row may look; None for every earlier token.
        scaling: factor of the dot products.
        kwargs: whatever else the module passes.
    """

    module: nn.Module
    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor | None
    scaling: float | None
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """Sequence position of the first row."""
        return self.key.shape[2] - self.query.shape[2]


@dataclass(frozen=True)
class Rows:
    """Which positions of the sequence a tensor [1, rows, width] holds: first, and one past the last."""

    first: int
    end: int

    def local(self, positions: Sequence[int]) -> tuple[list[int], list[int]]:
        """Those of some positions that are here: their rows in the tensor, and their indices among `positions`."""
        here = [n for n, position in enumerate(positions) if self.first <= position < self.end]
        return [positions[n] - self.first for n in here], here


class Tap:
    """Attached to one place. Subclasses override `see`, and say in `needed` how often they must have acted.

    Attributes:
        place: where.
        first: first position of the sequence that it may change; a pass that is run again begins there at the latest.
            An observer changes nothing.
        layer: first layer within which or before which something changes; a pass that is run again begins there.
        needed: positions (or calls) that it must have acted on before the pass ends.
        acted: on how many it has.
    """

    needed = 1

    def __init__(self, place: Place, first: int = 0) -> None:
        self.place, self.first, self.layer, self.acted = place, first, place.layer or 0, 0

    def see(self, value: Any, rows: Rows) -> Any:
        """Look at what passes; return what is to pass instead, or None to leave it.

        Args:
            value: the tensor of the place, `Features` at "encoder", or (`AttentionCall`, its output [batch, rows,
                heads, head_dim]) at "attention" and "resampler".
            rows: which positions the tensor holds; (0, image tokens) at "encoder".
        """
        raise NotImplementedError


class Observer(Tap):
    """Calls a function with what passes, and leaves it."""

    def __init__(self, place: Place, keep: Callable[[Any, Rows], Any]) -> None:
        super().__init__(place)
        self._keep = keep

    def see(self, value: Any, rows: Rows) -> None:
        """Hand it on."""
        self._keep(value, rows)
        self.acted += 1


class Replace(Tap):
    """Puts given vectors at given positions of a [1, rows, width] tensor.

    Args:
        place: "residual", "attention_output", "mlp_output" or "norm".
        positions: positions in the sequence, ascending.
        values: [len(positions), width].
    """

    def __init__(self, place: Place, positions: Sequence[int], values: torch.Tensor) -> None:
        super().__init__(place, min(positions, default=0))
        self.positions, self.values = list(positions), values
        self.needed = len(self.positions)

    def see(self, value: torch.Tensor, rows: Rows) -> torch.Tensor | None:
        """Replace the rows that are here."""
        where, which = rows.local(self.positions)
        if not where:
            return None
        self.acted += len(where)
        changed = value.clone()
        changed[:, where] = self.values[which].to(changed)
        return changed


class ReplaceFeatures(Tap):
    """Puts given image features in place of those of some image tokens.

    Args:
        tokens: int, counted from 0 within the image tokens of the sequence, ascending.
        features: theirs, [len(tokens), width] each.
        first: position in the sequence of the first of them.
        after: None for merged and deepstack features alike; a layer for only those deepstack features that are added
            after it or a later one, which is what a patch of the residual stream before that layer still lacks.
    """

    def __init__(self, tokens: Sequence[int], features: Features, first: int, after: int | None = None) -> None:
        super().__init__(Place("encoder"), first)
        self.tokens, self.features, self.after = torch.as_tensor(list(tokens)), features, after
        self.layer, self.needed = after or 0, len(tokens)

    def see(self, value: Features, rows: Rows) -> Features:
        """Replace them."""
        self.acted += len(self.tokens)
        changed = value.swapped(self.tokens.to(value.merged.device), self.features)
        if self.after is None:
            return changed
        return Features(value.merged, (*value.deepstack[: self.after], *changed.deepstack[self.after :]))


class ReplacePatches(Tap):
    """Puts given patch features where a resampler reads them.

    Args:
        image: which image, from 0.
        patches: counted in raster order.
        values: [len(patches), width].
    """

    def __init__(self, image: int, patches: Sequence[int], values: torch.Tensor) -> None:
        super().__init__(Place("patches"))
        self.image, self.patches, self.values, self.needed = image, list(patches), values, len(patches)

    def see(self, value: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Replace them in [images, patches, width]."""
        self.acted += len(self.patches)
        changed = value.clone()
        changed[self.image, self.patches] = self.values.to(changed)
        return changed


class Scale(Tap):
    """Multiplies what passes at a place.

    Args:
        place: "attention_output" or "mlp_output".
        by: the factor.
    """

    def __init__(self, place: Place, by: float) -> None:
        super().__init__(place)
        self.by = by

    def see(self, value: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Multiply it."""
        self.acted += 1
        return value * self.by


class BiasTap(Tap):
    """Multiplies the odds of some columns of an attention call, see `Bias`; `tapping.tapped_attention` applies it."""

    def __init__(self, bias: Bias, kind: Literal["attention", "resampler"] = "attention") -> None:
        super().__init__(Place(kind, bias.layer if kind == "attention" else None), bias.first)
        self.bias = bias


class HeadTap(Tap):
    """Changes what single heads of a layer write, before the output projection mixes them.

    Args:
        layer: the language layer.
        heads: which.
        values: [len(heads), head_dim] to write instead at every row from `first` on; None writes zeros.
        first: the first position that is changed.
    """

    def __init__(self, layer: int, heads: Sequence[int], values: torch.Tensor | None = None, first: int = 0) -> None:
        super().__init__(Place("attention", layer), first)
        self.heads, self.values = list(heads), values

    def see(self, value: tuple[AttentionCall, torch.Tensor], rows: Rows) -> torch.Tensor | None:
        """Replace what the heads wrote."""
        if rows.end <= self.first:
            return None
        self.acted += 1
        output, start = value[1].clone(), max(0, self.first - rows.first)
        output[:, start:, self.heads] = 0.0 if self.values is None else self.values.to(output)
        return output


class Intervention(Protocol):
    """One exact change to a forward pass, as people state it; `causes` has them.

    It is stated for a case (regions, words), and becomes taps once the place of every token is known.
    """

    def taps(self, model: DebugModel, asked: Prompt) -> Sequence[Tap]:
        """The taps that make the change.

        Raises:
            CaptureError: it cannot be made in this model.
        """

    def to_dict(self) -> dict[str, Any]:
        """What it is, JSON-ready and complete: two that are equal here change the same."""


def _swapped(mine: torch.Tensor, where: torch.Tensor, its: torch.Tensor) -> torch.Tensor:
    changed = mine.clone()
    changed[where] = its.to(changed)
    return changed
