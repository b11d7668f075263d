"""Where did the model look, at every layer and head: attention rows turned into maps over one picture.

A head's map is made in this order, and in no other:

1. the rows of the query's tokens are averaged as `query.SAY` states (each row sums to 1 over the whole sequence);
2. the picture's cells are cut out and laid on its grid: this is normalisation "row", a share of the whole row;
3. for every other normalisation the map is divided by its own sum, so that it sums to 1 over the picture: "picture";
4. that share is held against the neutral question's ("ratio", "added") or freed of sinks ("no_sinks"), and sums to 1
   again; see `normalise`.

The map of all heads together is the mean of their *normalised* maps: in "row" heads that hardly read the picture weigh
little, in all others every head that has a map has one vote.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import measures
from qwenvl_debug.maps.cells import on_cells
from qwenvl_debug.maps.neutral import neutral_rows
from qwenvl_debug.maps.normalise import (
    NORMALISATIONS,
    Normalisation,
    against_neutral,
    beyond_neutral,
    check_normalisation,
    share_of_picture,
    without,
)
from qwenvl_debug.maps.query import Query, default_query
from qwenvl_debug.maps.rows import averaged_rows
from qwenvl_debug.maps.sinks import find_sinks

if TYPE_CHECKING:
    from qwenvl_debug.model import Grid, Run

MEAN = -1
"""The head number that stands for the mean of all heads."""


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Attention over one picture.

    Attributes:
        values: float32 [rows, cols], >= 0; all NaN where the layer has no map, or where the normalisation leaves
            nothing to show.
        picture: which picture of the case.
        layer: counted from 0.
        head: counted from 0, or -1 for the mean.
        query: the tokens that ask.
        normalisation: one of `NORMALISATIONS`; in all but "row" the map sums to 1 over the picture.
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
        values: float32 [layers, heads, rows, cols]; NaN for layers that have no map, and for heads of which the
            normalisation leaves nothing.
        image_share: float32 [layers, heads], share of the rows' attention on this picture, 0..1, whatever the
            normalisation; NaN without a map.
        entropy: float32 [layers, heads], of the maps in `values`, 0..1; NaN without a map.
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
    run: Run,
    query: Query | None = None,
    picture: int = 0,
    normalisation: Normalisation = "picture",
    *,
    neutral: Run | None = None,
) -> MapStack:
    """Compute the maps of every layer and head for one query over one picture.

    Args:
        run: a model's answer to a case, with its trace.
        query: the tokens that ask; by default the whole answer (see `default_query`).
        picture: which picture of the case, from 0.
        normalisation: one of `NORMALISATIONS`, see there.
        neutral: the same pictures with the neutral question (`ask_neutral`); "ratio" and "added" need it, and
            "no_sinks" finds its sinks more surely with it.

    Returns:
        Maps in float32. Layers without softmax attention stay NaN.

    Raises:
        QueryError: the picture, the tokens or the normalisation do not exist, or the neutral run is missing or is
            about another picture.
        CaptureError: the run did not keep the rows of these tokens.
    """
    check_normalisation(normalisation)
    if NORMALISATIONS[normalisation].needs_neutral and neutral is None:
        raise QueryError(
            f"“{NORMALISATIONS[normalisation].name}” needs the neutral question asked of the same picture first."
        )
    if not 0 <= picture < len(run.grids):
        raise QueryError(f"This case has pictures 0 to {len(run.grids) - 1}: there is no picture {picture}.")
    query, grid = query or default_query(run), run.grids[picture]
    rows = averaged_rows(run, query)
    weights = on_cells(run, rows, picture)
    match normalisation:
        case "row":
            values = weights
        case "picture":
            values = share_of_picture(weights)
        case "no_sinks":
            sinks = find_sinks(run, picture, neutral=neutral).cells
            values = without(share_of_picture(weights), sinks.reshape(len(sinks), -1))
        case "ratio" | "added":
            held_against = share_of_picture(neutral_rows(run, neutral, picture))
            change = against_neutral if normalisation == "ratio" else beyond_neutral
            values = change(share_of_picture(weights), held_against)
    return MapStack(
        values.reshape(*values.shape[:2], grid.rows, grid.cols),
        measures.image_share(rows, grid.positions).astype(np.float32),
        measures.entropy(values).astype(np.float32),
        grid,
        query,
        normalisation,
    )


def _mean_over_heads(values: np.ndarray) -> np.ndarray:
    """Mean over axis 1 of [layers, heads, rows, cols], leaving out heads that are NaN; NaN where all are."""
    there = ~np.isnan(values[:, :, :1, :1])
    total = np.where(there, values, 0.0).sum(axis=1, dtype=np.float64)
    count = there.sum(axis=1)
    return (total / np.where(count > 0, count, np.nan)).astype(np.float32)
