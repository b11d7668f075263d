"""The exact changes that can be made to a forward pass, each as it is stated: on which cells, words, layers and heads.

They know nothing of what they are tried for. Each becomes taps for a prompt, can be given to `model.ask`, and is part
of the run that it makes. Models whose image tokens are made by a resampler (the first Qwen-VL) have no token for a
cell: there cells are patched and boosted where the resampler reads them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch

from qwenvl_debug.causes.cells import Cells
from qwenvl_debug.errors import CauseError
from qwenvl_debug.model.bias import Bias
from qwenvl_debug.model.taps import (
    BiasTap,
    Features,
    HeadTap,
    Place,
    Replace,
    ReplaceFeatures,
    ReplacePatches,
    Scale,
    Tap,
)

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel
    from qwenvl_debug.model.inputs import Prompt

At = Literal["residual", "attention", "mlp"]
ROWS = ("text", "answer", "all")
AskingRows = Literal["text", "answer", "all"]
"""Which rows look differently: every token after the image, the rows that choose the answer, or all."""


@dataclass(frozen=True)
class Boost:
    """Multiplies the attention odds of some cells, for the rows that read them.

    Attributes:
        cells: the cells, whose odds are multiplied together.
        by: factor of the odds; 0 blocks them.
        rows: "text" for every row after the image, "answer" for those that choose the answer, "all".
        layers: language layers; None for every one that has a softmax.
        heads: query heads; None for all.
    """

    cells: Cells
    by: float
    rows: AskingRows = "text"
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None

    def taps(self, model: DebugModel, asked: Prompt) -> list[Tap]:
        """One tap a layer."""
        resampler = model.generation.resampler(model.network)
        if resampler is not None:
            bias = Bias(0, self.cells.index, self.by, heads=self.heads, image=self.cells.image)
            return [BiasTap(bias, "resampler")]
        positions = asked.grids[self.cells.image].positions
        columns = tuple(int(positions[cell]) for cell in self.cells.index)
        first = {
            "text": int(positions[-1]) + 1,
            "answer": len(asked.ids) - 1,
            "all": min(columns),
        }[self.rows]
        layers = model.layers_with_maps if self.layers is None else self.layers
        return [BiasTap(Bias(layer, columns, self.by, first, heads=self.heads)) for layer in layers]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": "boost",
            "image": self.cells.image,
            "cells": list(self.cells.index),
            "by": self.by,
            "rows": self.rows,
            "layers": None if self.layers is None else list(self.layers),
            "heads": None if self.heads is None else list(self.heads),
        }


@dataclass(frozen=True)
class MatchAttention:
    """Multiplies the attention odds of some cells by a factor of its own for each layer and head, for the rows that
    choose the answer: so that they become those of another run.

    Attributes:
        cells: the cells, whose odds are multiplied together.
        factors: by layer, the factor of each query head.
        source: whose attention it is, for people.
    """

    cells: Cells
    factors: tuple[tuple[int, tuple[float, ...]], ...]
    source: str = ""

    def taps(self, model: DebugModel, asked: Prompt) -> list[Tap]:
        """One tap for each layer and head."""
        positions = asked.grids[self.cells.image].positions
        columns, first = tuple(int(positions[cell]) for cell in self.cells.index), len(asked.ids) - 1
        return [
            BiasTap(Bias(layer, columns, factor, first, heads=(head,)))
            for layer, heads in self.factors
            for head, factor in enumerate(heads)
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "kind": "match attention",
            "image": self.cells.image,
            "cells": list(self.cells.index),
            "factors": [[layer, list(heads)] for layer, heads in self.factors],
            "source": self.source,
        }


@dataclass(frozen=True)
class PatchFeatures:
    """Puts image features of another run in place of those of some cells, as the encoder hands them over.

    Attributes:
        cells: the cells that get other features.
        features: [cells, width] each, merged and deepstack; of a model with a resampler, patch features.
        source: what they are of, for people.
    """

    cells: Cells
    features: Features = field(repr=False)
    source: str = ""

    def taps(self, model: DebugModel, asked: Prompt) -> list[Tap]:
        """One tap at the encoder, or where the resampler reads."""
        if model.generation.resampler(model.network) is not None:
            return [ReplacePatches(self.cells.image, self.cells.index, self.features.merged)]
        positions = asked.grids[self.cells.image].positions
        mine = [int(positions[cell]) for cell in self.cells.index]
        return [ReplaceFeatures(tokens_of(asked, mine), self.features, min(mine))]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the features by their hash."""
        return {
            "kind": "patch features",
            "image": self.cells.image,
            "cells": list(self.cells.index),
            "source": self.source,
            "features": digest(self.features.merged, *self.features.deepstack),
        }


@dataclass(frozen=True)
class PatchStates:
    """Puts vectors of another run at some positions of the language model.

    Attributes:
        at: "residual" for the residual stream that `layer` reads (its number of layers for what the final norm
            reads), "attention" or "mlp" for what that block of `layer` adds to it.
        layer: counted from 0.
        positions: in the sequence, ascending.
        values: [positions, width].
        features: of a residual patch in a model with deepstack, the other image's features at the image tokens among
            the positions, whose later parts are still to be added.
        source: what they are of, for people.
    """

    at: At
    layer: int
    positions: tuple[int, ...]
    values: torch.Tensor = field(repr=False)
    features: Features | None = field(default=None, repr=False)
    source: str = ""

    def taps(self, model: DebugModel, asked: Prompt) -> list[Tap]:
        """One tap, and one at the encoder where deepstack features are still to be added."""
        place = Place(
            {"residual": "residual", "attention": "attention_output", "mlp": "mlp_output"}[self.at], self.layer
        )
        made: list[Tap] = [Replace(place, self.positions, self.values)]
        if self.at == "residual" and self.features is not None and self.layer < len(self.features.deepstack):
            inside = [p for p in self.positions if p < len(asked.ids) and asked.pictures[p] is not None]
            if inside:
                tokens = tokens_of(asked, inside)
                made.append(ReplaceFeatures(tokens, self.features, min(inside), after=self.layer))
        return made

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the vectors by their hash."""
        return {
            "kind": "patch states",
            "at": self.at,
            "layer": self.layer,
            "positions": list(self.positions),
            "source": self.source,
            "values": digest(self.values),
        }


@dataclass(frozen=True)
class AblateHeads:
    """Replaces what heads of a layer write, before the output projection.

    Attributes:
        layer: counted from 0.
        heads: which.
        values: [heads, head_dim] to write instead, such as their mean over a reference set; None writes zeros.
        rows: "all", or "answer" for the rows that choose the answer only.
    """

    layer: int
    heads: tuple[int, ...]
    values: torch.Tensor | None = field(default=None, repr=False)
    rows: Literal["all", "answer"] = "all"

    def taps(self, model: DebugModel, asked: Prompt) -> list[Tap]:
        """One tap."""
        if not all(0 <= head < model.n_heads for head in self.heads):
            raise CauseError(f"This model has heads 0 to {model.n_heads - 1}.")
        return [HeadTap(self.layer, self.heads, self.values, 0 if self.rows == "all" else len(asked.ids) - 1)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the vectors by their hash."""
        values = None if self.values is None else digest(self.values)
        return {"kind": "ablate heads", "layer": self.layer, "heads": list(self.heads), "rows": self.rows, "to": values}


@dataclass(frozen=True)
class AblateBlock:
    """Multiplies what the attention or the MLP block of a layer adds to the residual stream, by 0 to remove it.

    Attributes:
        block: which of the two.
        layer: counted from 0.
        by: factor.
    """

    block: Literal["attention", "mlp"]
    layer: int
    by: float = 0.0

    def taps(self, model: DebugModel, asked: Prompt) -> list[Tap]:
        """One tap."""
        return [Scale(Place(f"{self.block}_output", self.layer), self.by)]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"kind": "ablate block", "block": self.block, "layer": self.layer, "by": self.by}


def drop(cells: Cells) -> Boost:
    """No token after them sees these cells at any layer, which is the same as leaving their tokens out of the sequence
    with the positions of all others kept. (Not in layers of linear attention, which cannot leave a token out.)"""
    return Boost(cells, 0.0, rows="all")


def tokens_of(asked: Prompt, positions: Sequence[int]) -> list[int]:
    """Positions in the sequence as numbers among the image tokens, from 0."""
    number = {p: n for n, p in enumerate(p for p, picture in enumerate(asked.pictures) if picture is not None)}
    return [number[position] for position in positions]


def digest(*tensors: torch.Tensor) -> str:
    """A hash of tensors, to tell one intervention from another."""
    seen = hashlib.sha256()
    for tensor in tensors:
        seen.update(f"{tuple(tensor.shape)}".encode())
        seen.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return seen.hexdigest()[:16]
