"""Which attention weights a run had: computed exactly, for any kept row, from the queries and keys it left behind.

Context: softmax(q k^T * scaling) of one row needs that row's query and all earlier keys, nothing more. Keeping the
queries of the rows of interest and the keys costs O(tokens * head_dim) per layer, where a layer's full map costs
O(tokens^2). Everything is computed in float32 from tensors in the model's own precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.bias import Bias, logits
from qwenvl_debug.model.resampler_trace import ResamplerTrace
from qwenvl_debug.model.softmax_rows import chosen_heads, softmax_rows


class Trace:
    """What a run left behind of its language layers.

    Attributes:
        n_layers: layers of the language model, with or without a map.
        n_heads: query heads of a layer.
        layers: numbers of the layers that have a map, ascending.
        positions: int64 [kept rows], sequence positions whose rows can be asked for, ascending.
        tokens: length of the sequence. A last token that was never fed back has no row, and weight 0 everywhere.
        resampled: of each picture, of which patches its tokens are made; empty where a token is a cell of its own.
        biases: what was added to logits of attention while the run was made; the weights include it.
    """

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        layers: tuple[int, ...],
        positions: Sequence[int],
        tokens: int,
        queries: Mapping[int, torch.Tensor],
        keys: Mapping[int, torch.Tensor],
        scaling: Mapping[int, float],
        chosen: Mapping[int, torch.Tensor] | None = None,
        resampled: Sequence[ResamplerTrace] = (),
        biases: Sequence[Bias] = (),
    ) -> None:
        self.n_layers, self.n_heads, self.layers, self.tokens = n_layers, n_heads, layers, tokens
        self.positions = np.asarray(positions, dtype=np.int64)
        self.positions.setflags(write=False)
        self._queries, self._keys, self._scaling = dict(queries), dict(keys), dict(scaling)
        # Of layers that choose the tokens a row looks at: bool [kept rows, keys], True where it does.
        self._chosen = dict(chosen or {})
        self.resampled = tuple(resampled)
        self.biases = tuple(biases)

    @property
    def nbytes(self) -> int:
        """Bytes of the queries and keys held."""
        held = _bytes(self._queries) + _bytes(self._keys) + _bytes(self._chosen)
        return held + sum(one.nbytes for one in self.resampled)

    def weights(
        self, layer: int, rows: int | Sequence[int] | None = None, heads: int | Sequence[int] | None = None
    ) -> np.ndarray:
        """Attention weights of rows of one layer.

        Args:
            layer: counted from 0.
            rows: sequence positions, each one of `positions`; by default all of those.
            heads: query heads counted from 0; by default all.

        Returns:
            float32 [heads, rows, tokens]; each row sums to 1, and is 0 after its own position and, in a layer that
            chooses tokens, where it did not look.

        Raises:
            CaptureError: the layer has no map or does not exist, a row was not kept, or a head does not exist.
        """
        _check_layer(layer, self.layers, self.n_layers)
        wanted = self.positions if rows is None else np.atleast_1d(np.asarray(rows, dtype=np.int64))
        where = np.searchsorted(self.positions, wanted)
        found = self.positions[np.minimum(where, len(self.positions) - 1)] == wanted
        if not found.all():
            raise CaptureError(
                f"The attention of token {int(wanted[~found][0])} was not kept: ask again with rows='all'."
            )
        key = self._keys[layer]
        hidden = torch.arange(key.shape[1]) > torch.tensor(wanted)[:, None]
        if layer in self._chosen:
            hidden |= ~self._chosen[layer][torch.tensor(where)]
        chosen = chosen_heads(heads, self.n_heads)
        biases = [bias for bias in self.biases if bias.layer == layer]
        added = None
        if biases:
            added = logits(biases, wanted.tolist(), self.n_heads, key.shape[1]).expand(self.n_heads, -1, -1)[chosen]
        return softmax_rows(
            self._queries[layer][:, torch.tensor(where)],
            key,
            chosen,
            self._scaling[layer],
            hidden,
            width=self.tokens,
            added=added,
        )

    def to_tensors(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything held: tensors by name (not copied) and the rest as JSON-ready facts; see `from_tensors`."""
        facts = {name: getattr(self, name) for name in ("n_layers", "n_heads", "tokens")}
        facts |= {"layers": list(self.layers), "positions": self.positions.tolist(), "scaling": _listed(self._scaling)}
        facts |= {"biases": [bias.to_dict() for bias in self.biases]} if self.biases else {}
        tensors = _named(queries=self._queries, keys=self._keys, chosen=self._chosen)
        for picture, one in enumerate(self.resampled):
            named, about = one.to_tensors()
            tensors |= {f"resampled.{picture}.{name}": tensor for name, tensor in named.items()}
            facts.setdefault("resampled", []).append(about)
        return tensors, facts

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> Trace:
        """The trace whose `to_tensors` these are; its weights are the same bit for bit.

        Raises:
            KeyError: a tensor or a fact is missing.
        """
        return cls(
            **{name: facts[name] for name in ("n_layers", "n_heads", "positions", "tokens")},
            layers=tuple(facts["layers"]),
            queries=_by_layer(tensors, "queries", facts),
            keys=_by_layer(tensors, "keys", facts),
            scaling=dict(facts["scaling"]),
            chosen={layer: tensors[name] for layer in facts["layers"] if (name := f"chosen.{layer}") in tensors},
            resampled=[
                ResamplerTrace(
                    queries=tensors[f"resampled.{picture}.queries"], keys=tensors[f"resampled.{picture}.keys"], **about
                )
                for picture, about in enumerate(facts.get("resampled", ()))
            ],
            biases=[Bias.from_dict(one) for one in facts.get("biases", ())],
        )


class VisionTrace:
    """What a run left behind of chosen blocks of the vision tower, for one picture.

    Attributes:
        layers: the blocks kept, ascending.
        grid_rows: patch rows of the picture.
        grid_cols: patch columns of the picture.
    """

    def __init__(
        self,
        *,
        layers: tuple[int, ...],
        grid_rows: int,
        grid_cols: int,
        queries: Mapping[int, torch.Tensor],
        keys: Mapping[int, torch.Tensor],
        windows: Mapping[int, torch.Tensor],
        scaling: Mapping[int, float],
    ) -> None:
        self.layers, self.grid_rows, self.grid_cols = layers, grid_rows, grid_cols
        self._queries, self._keys, self._windows = dict(queries), dict(keys), dict(windows)
        self._scaling = dict(scaling)

    @property
    def n_heads(self) -> int:
        """Heads of a block."""
        return next(iter(self._queries.values())).shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of the queries and keys held."""
        return _bytes(self._queries) + _bytes(self._keys)

    def weights(
        self, layer: int, rows: int | Sequence[int] | None = None, heads: int | Sequence[int] | None = None
    ) -> np.ndarray:
        """Attention weights among the patches of the picture.

        Args:
            layer: one of `layers`.
            rows: patches in raster order (row * grid_cols + column) that ask; by default all.
            heads: heads counted from 0; by default all.

        Returns:
            float32 [heads, rows, patches], patches in raster order; 0 outside the asking patch's window.

        Raises:
            CaptureError: the layer was not kept, or a patch or head does not exist.
        """
        _check_layer(layer, self.layers, None)
        count = self.grid_rows * self.grid_cols
        wanted = np.arange(count) if rows is None else np.atleast_1d(np.asarray(rows, dtype=np.int64))
        if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
            raise CaptureError(f"The picture has patches 0 to {count - 1}.")
        index, windows = torch.tensor(wanted), self._windows[layer]
        return softmax_rows(
            self._queries[layer][:, index],
            self._keys[layer],
            chosen_heads(heads, self.n_heads),
            self._scaling[layer],
            windows[index][:, None] != windows,
        )

    def to_tensors(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """Everything held: tensors by name (not copied) and the rest as JSON-ready facts; see `from_tensors`."""
        facts = {name: getattr(self, name) for name in ("grid_rows", "grid_cols")}
        facts |= {"layers": list(self.layers), "scaling": _listed(self._scaling)}
        return _named(queries=self._queries, keys=self._keys, windows=self._windows), facts

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> VisionTrace:
        """The trace whose `to_tensors` these are; its weights are the same bit for bit.

        Raises:
            KeyError: a tensor or a fact is missing.
        """
        return cls(
            **{name: facts[name] for name in ("grid_rows", "grid_cols")},
            layers=tuple(facts["layers"]),
            queries=_by_layer(tensors, "queries", facts),
            keys=_by_layer(tensors, "keys", facts),
            windows=_by_layer(tensors, "windows", facts),
            scaling=dict(facts["scaling"]),
        )


def _check_layer(layer: int, layers: tuple[int, ...], n_layers: int | None) -> None:
    if layer in layers:
        return
    held = ", ".join(map(str, layers))
    if n_layers is not None and 0 <= layer < n_layers:
        raise CaptureError(f"Layer {layer} has no attention map (no softmax over all tokens): use one of {held}.")
    raise CaptureError(f"There is no layer {layer} in this run: use one of {held}.")


def _bytes(tensors: Mapping[int, torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _named(**held: Mapping[int, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{name}.{layer}": tensor for name, tensors in held.items() for layer, tensor in tensors.items()}


def _by_layer(tensors: Mapping[str, torch.Tensor], name: str, facts: Mapping[str, Any]) -> dict[int, torch.Tensor]:
    return {layer: tensors[f"{name}.{layer}"] for layer in facts["layers"]}


def _listed(numbers: Mapping[int, float]) -> list[list[float]]:
    """Pairs of layer and number: JSON would turn a layer that is a key into text."""
    return [[layer, float(number)] for layer, number in numbers.items()]
