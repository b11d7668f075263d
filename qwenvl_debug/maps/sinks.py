"""Which cells draw attention whatever is asked? Sinks, found from the run itself, layer by layer.

Context: every row of attention must sum to 1, and trained models leave what they do not need on a few tokens, often at
the border of the picture, with nothing there to see. Such a cell is bright in every map and says nothing.

A sink is told from an object by who looks at it. An object is looked at by some heads, and by the words that are about
it; a sink by nearly all heads and by words that have nothing in common. So a cell is a sink of a layer when it holds
more than `TIMES` its even share in at least `AGREE` of the rows of all heads, *and that for each kind of row alone*:
the question's words, the end of the prompt, the answer and, where the generic prompt was run, its rows too.

A strong sink hides a weaker one: it takes so much of a row that no other cell can reach `TIMES` the even share. So the
search is in rounds. The sinks of a round are left out, and the next round asks the same of what the other cells hold
among themselves, until a round finds none. `RULE` states the whole of it, and the tests hold it against a plain loop.

On 157 held-out scenes of the bundled model, which has no sinks, this marks 0.006 cells a layer by the run's own rows
and none once the neutral question is asked too; a cell to which 5 % of every row is added is always found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps.cells import on_cells
from qwenvl_debug.maps.neutral import check_neutral
from qwenvl_debug.maps.rows import remembered

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

TIMES = 5.0
"""A sink holds more than this many times its even share of the picture."""

AGREE = 0.75
"""A sink does so in at least this share of the rows of all heads, of each kind of row."""

ROWS_OF_A_KIND = 8
"""Rows looked at of each kind, evenly over the kind: more cost time and change nothing."""

RULE = (
    f"A cell is a sink of a layer when it holds more than {TIMES:g} times its even share of the image in at least "
    f"{AGREE:.0%} of the rows of all heads, for each kind of row: the question's words, the end of the prompt (whose "
    "row chose the first token of the answer), the other tokens of the answer, and the same of the generic prompt "
    f"where it was run; of each kind at most {ROWS_OF_A_KIND} rows, evenly spaced. Then the sinks are left out and the "
    "search is repeated among the cells that are left, the even share being what they hold divided by their number, "
    "until none is found. Rows that hold nothing on the cells that are searched do not count."
)


@dataclass(frozen=True, eq=False)
class Sinks:
    """The sinks of a run over one picture.

    Attributes:
        cells: bool [layers, rows, cols], True on sinks; none in layers without a map.
        level: float32 [layers, rows, cols], the least over the kinds of rows of the share of rows in which the cell
            holds more than `TIMES` its even share, 0..1; NaN in layers without a map. Of a sink, in the round that
            found it; of another cell, in the last round, with all sinks left out.
        rule: the rule in one sentence, thresholds included.
    """

    cells: np.ndarray
    level: np.ndarray
    rule: str = RULE

    @property
    def any(self) -> bool:
        """Whether there is a sink at any layer."""
        return bool(self.cells.any())


def find_sinks(run: Run, picture: int = 0, *, neutral: Run | None = None) -> Sinks:
    """Find the sinks of every layer over one picture.

    Args:
        run: a model's answer to a case.
        picture: which picture of the case, from 0.
        neutral: the same pictures with the neutral question; its rows have nothing to do with what was asked, and so
            tell a sink from what the whole question is about.

    Raises:
        QueryError: the picture does not exist, or the neutral run is about another one.
    """
    if not 0 <= picture < len(run.grids):
        raise QueryError(f"This case has pictures 0 to {len(run.grids) - 1}: there is no picture {picture}.")
    if neutral is not None:
        check_neutral(run, neutral, picture)
    runs = [run] if neutral is None else [run, neutral]
    grid = run.grids[picture]
    level = remembered([one.trace for one in runs], ("sinks", picture), lambda: _levels(runs, picture))
    level = level.reshape(len(level), grid.rows, grid.cols)
    return Sinks(level >= AGREE, level)


def _levels(runs: Sequence[Run], picture: int) -> np.ndarray:
    """`Sinks.level` as float32 [layers, cells]."""
    trace, grid = runs[0].trace, runs[0].grids[picture]
    result = np.full((trace.n_layers, grid.rows * grid.cols), np.nan, dtype=np.float32)
    for layer in trace.layers:
        result[layer] = _level([kind for one in runs for kind in _weights_by_kind(one, layer, picture)])
    return result


def _weights_by_kind(run: Run, layer: int, picture: int) -> list[np.ndarray]:
    """Weights [heads, rows, cells] of each kind of row, all computed in one go."""
    kinds = _kinds_of_rows(run)
    weights = on_cells(run, run.trace.weights(layer, rows=[row for rows in kinds for row in rows]), picture)
    return np.split(weights, np.cumsum([len(rows) for rows in kinds])[:-1], axis=1)


def _level(kinds: Sequence[np.ndarray]) -> np.ndarray:
    """The level of each cell of one layer, from weights [heads, rows, cells] of each kind of row; float32 [cells]."""
    found = np.zeros(kinds[0].shape[-1])
    left = np.ones(len(found), dtype=bool)
    while left.any():
        # Most layers have no sink, and choosing all cells would copy every weight.
        remaining = kinds if left.all() else [weights[..., left] for weights in kinds]
        level = np.min([_bright(weights) for weights in remaining], axis=0)
        found[left] = level
        if not (level >= AGREE).any():
            break
        left[left] = level < AGREE
    return found.astype(np.float32)


def _bright(weights: np.ndarray) -> np.ndarray:
    """In which share of the rows each cell holds more than `TIMES` its even share; float64 [cells].

    Rows with nothing on the picture (those before it) say nothing and are left out.
    """
    flat = weights.reshape(-1, weights.shape[-1])
    total = flat @ np.ones(flat.shape[-1], flat.dtype)  # a matrix product and small counts: three times as fast as sums
    bright = flat > (TIMES * total / flat.shape[-1])[:, None]
    rows = np.count_nonzero(total > 0)
    return np.add.reduce(bright.view(np.uint8), axis=0, dtype=np.uint32) / max(rows, 1)


def _kinds_of_rows(run: Run) -> list[list[int]]:
    """The rows of each kind, at most `ROWS_OF_A_KIND` of them; kinds that the run has none of are left out.

    The row that chose the answer's first word is the one at the end of the prompt, and is counted there.
    """
    kinds = (run.question_tokens, (run.last_prompt,), run.answer_tokens[1:])
    chosen = [np.unique(np.linspace(0, len(k) - 1, min(len(k), ROWS_OF_A_KIND)).round().astype(int)) for k in kinds]
    return [[run.row_of(kind[i]) for i in where] for kind, where in zip(kinds, chosen, strict=True) if kind]
