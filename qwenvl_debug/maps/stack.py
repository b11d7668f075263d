"""Where did the model look, at every layer and head: attention rows turned into maps over one picture.

A head's map is made in this order, and in no other:

1. the rows of the query's tokens are averaged, each with an equal say (each row sums to 1 over the whole sequence);
2. the picture's cells are cut out and laid on its grid: this is normalisation "row", a share of the whole row;
3. for normalisation "picture" the map is divided by its own sum, so that it sums to 1 over the picture.

The map of all heads together is the mean of their *normalised* maps: in "picture" every head has one vote, however
little of it went to the picture; in "row" heads that hardly read the picture weigh little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import measures
from qwenvl_debug.maps.query import Query, default_query, rows_of

if TYPE_CHECKING:
    from qwenvl_debug.model import Grid, Run

Normalisation = Literal["picture", "row"]
MEAN = -1
"""The head number that stands for the mean of all heads."""


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Attention over one picture.

    Attributes:
        values: float32 [rows, cols], >= 0; all NaN where the layer has no map, or where nothing lies on the picture
            and normalisation is "picture".
        picture: which picture of the case.
        layer: counted from 0.
        head: counted from 0, or -1 for the mean.
        query: the tokens that ask.
        normalisation: "picture" (sums to 1 over the picture) or "row" (share of the whole row).
    """

    values: np.ndarray
    picture: int
    layer: int
    head: int
    query: Query
    normalisation: Normalisation


@dataclass(frozen=True, eq=False)
class MapStack:
    """The maps of every layer and head for one query over one picture.

    Attributes:
        values: float32 [layers, heads, rows, cols]; NaN for layers that have no map.
        image_share: float32 [layers, heads], share of the rows' attention on this picture, 0..1; NaN without a map.
        entropy: float32 [layers, heads], 0..1; NaN without a map and where nothing lies on the picture.
        grid: the cells, and which sequence positions they are.
        query: the tokens that asked.
        normalisation: see the head of this module.
    """

    values: np.ndarray
    image_share: np.ndarray
    entropy: np.ndarray
    grid: Grid
    query: Query
    normalisation: Normalisation

    @cached_property
    def mean(self) -> np.ndarray:
        """float32 [layers, rows, cols]: mean over heads of their normalised maps, heads without one left out."""
        return _mean_over_heads(self.values)

    @cached_property
    def image_share_mean(self) -> np.ndarray:
        """float32 [layers]: mean image share over the heads."""
        return self.image_share.mean(axis=1)

    @cached_property
    def entropy_mean(self) -> np.ndarray:
        """float32 [layers]: entropy of the head-mean map, which is not the mean of the heads' entropies."""
        return measures.entropy(self.mean.reshape(len(self.mean), -1)).astype(np.float32)

    @property
    def layers_with_maps(self) -> tuple[int, ...]:
        """The layers that have a map at all."""
        return tuple(int(layer) for layer in np.flatnonzero(~np.isnan(self.image_share).all(axis=1)))

    def map(self, layer: int, head: int = MEAN) -> AttentionMap:
        """One map with where it came from.

        Args:
            layer: counted from 0.
            head: counted from 0; -1 is the mean of all heads.

        Raises:
            QueryError: no such layer or head.
        """
        layers, heads = self.values.shape[:2]
        if not 0 <= layer < layers:
            raise QueryError(f"This model has layers 0 to {layers - 1}: there is no layer {layer}.")
        if not MEAN <= head < heads:
            raise QueryError(f"This model has heads 0 to {heads - 1}, and -1 for their mean: there is no head {head}.")
        values = self.mean[layer] if head == MEAN else self.values[layer, head]
        return AttentionMap(values, self.grid.picture, layer, head, self.query, self.normalisation)


def map_stack(
    run: Run, query: Query | None = None, picture: int = 0, normalisation: Normalisation = "picture"
) -> MapStack:
    """Compute the maps of every layer and head for one query over one picture.

    Args:
        run: a model's answer to a case, with its trace.
        query: the tokens that ask; by default the whole answer (see `default_query`).
        picture: which picture of the case, from 0.
        normalisation: "picture" or "row", see the head of this module.

    Returns:
        Maps in float32. Layers without softmax attention stay NaN.

    Raises:
        QueryError: the picture, the tokens or the normalisation do not exist.
        CaptureError: the run did not keep the rows of these tokens.
    """
    if normalisation not in ("picture", "row"):
        raise QueryError(f"Normalisation is “picture” or “row”, not “{normalisation}”.")
    if not 0 <= picture < len(run.grids):
        raise QueryError(f"This case has pictures 0 to {len(run.grids) - 1}: there is no picture {picture}.")
    query = query or default_query(run)
    rows = rows_of(run, query)
    grid, trace = run.grids[picture], run.trace

    values = np.full((trace.n_layers, trace.n_heads, grid.rows, grid.cols), np.nan, dtype=np.float32)
    share = np.full((trace.n_layers, trace.n_heads), np.nan, dtype=np.float32)
    for layer in trace.layers:
        weights = trace.weights(layer, rows=rows).mean(axis=1, dtype=np.float64)  # [heads, tokens]
        share[layer] = measures.image_share(weights, grid.positions)
        values[layer] = weights[:, grid.positions].reshape(-1, grid.rows, grid.cols)
    entropy = measures.entropy(values.reshape(*values.shape[:2], -1)).astype(np.float32)
    if normalisation == "picture":
        values /= np.where(share > 0, share, np.nan)[:, :, None, None]
    return MapStack(values, share, entropy, grid, query, normalisation)


def _mean_over_heads(values: np.ndarray) -> np.ndarray:
    """Mean over axis 1 of [layers, heads, rows, cols], leaving out heads that are NaN; NaN where all are."""
    there = ~np.isnan(values[:, :, :1, :1])
    total = np.where(there, values, 0.0).sum(axis=1, dtype=np.float64)
    count = there.sum(axis=1)
    return (total / np.where(count > 0, count, np.nan)).astype(np.float32)
