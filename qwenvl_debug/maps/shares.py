"""What is a row of attention spent on? Its share by kind of token: the picture, its sinks, the question, and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.maps.cells import on_cells
from qwenvl_debug.maps.query import Query, default_query
from qwenvl_debug.maps.rows import averaged_rows
from qwenvl_debug.maps.sinks import find_sinks

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

KINDS = {
    "picture": "the pictures, without their sinks",
    "sinks": "cells of the pictures that draw attention whatever asks",
    "question": "the words of the question",
    "earlier": "the words of earlier turns, questions and answers",
    "system": "the system prompt",
    "template": "the marks that the model's chat template sets around the words",
    "thought": "what the model thought before it answered, as far as it was written",
    "answer": "the answer as far as it was written",
}
"""Kinds of token, in the order in which they are stacked, and what each means."""


@dataclass(frozen=True, eq=False)
class RowShares:
    """How rows of attention are divided among kinds of token.

    Attributes:
        kinds: names of the kinds, those of `KINDS` first, in its order; kinds that a run has none of have share 0.
        values: float32 [layers, heads, kinds], 0..1, summing to 1 over the kinds; NaN for layers without a map.
        query: the tokens that asked.
    """

    kinds: tuple[str, ...]
    values: np.ndarray
    query: Query

    @property
    def mean(self) -> np.ndarray:
        """float32 [layers, kinds]: mean over the heads."""
        return self.values.mean(axis=1)


def row_shares(run: Run, query: Query | None = None, *, neutral: Run | None = None) -> RowShares:
    """Divide the averaged rows of a query among kinds of token.

    Args:
        run: a model's answer to a case.
        query: the tokens that ask; by default the whole answer.
        neutral: see `find_sinks`.

    Raises:
        QueryError: the query names no token, or one that the run does not have.
        CaptureError: the run did not keep the rows of these tokens.
    """
    query = query or default_query(run)
    rows = averaged_rows(run, query)
    # The end token closes the answer; where it has a weight at all it belongs to what was written.
    of_token = np.array(["answer" if token.kind == "end" else token.kind for token in run.tokens])
    kinds = (*KINDS, *sorted(set(of_token) - set(KINDS)))
    values = np.stack([rows[:, :, of_token == kind].sum(axis=-1, dtype=np.float64) for kind in kinds], axis=-1)
    values[np.isnan(rows[:, :, 0])] = np.nan  # or kinds without a token would have a share of 0 even there
    for picture, grid in enumerate(run.grids):
        if run.tokens[grid.positions[0]].picture != picture:
            continue  # the second frame of a pair, whose cells are those of the first
        sinks = find_sinks(run, picture, neutral=neutral).cells.reshape(len(rows), 1, -1)
        there = np.where(sinks, on_cells(run, rows, picture), 0).sum(axis=-1, dtype=np.float64)
        values[..., kinds.index("sinks")] += there
        values[..., kinds.index(of_token[grid.positions[0]])] -= there
    return RowShares(kinds, np.maximum(values, 0).astype(np.float32), query)
