"""Can what this run shows be believed? Facts about one run that must hold, checked without asking the model again.

They cost milliseconds and stand beside every run. That the answer and the rows are those of transformers itself takes a
second pass, and is asked for: `model.selfcheck` and `qwenvl-debug doctor --model`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from qwenvl_debug.model.run import CHOSEN, Run

SUM = 1e-3
"""How far a row may be from 1 in all: thousands of float32 weights are added up."""

ROWS = 8
"""Rows of each layer that are looked at, spread evenly: the last of the prompt and the answer's are among them."""


@dataclass(frozen=True)
class Check:
    """One fact: its name, whether it holds, and what was found in words."""

    name: str
    passed: bool
    words: str


def run_checks(run: Run) -> tuple[Check, ...]:
    """Check a run.

    Args:
        run: fresh or read from a file.

    Returns:
        The checks, in the order in which a person would ask: pictures, rows, answer.
    """
    return (_cells(run), _rows(run), _causal(run), _probabilities(run), _greedy(run))


def all_passed(checks: tuple[Check, ...]) -> bool:
    """Whether every fact holds."""
    return all(check.passed for check in checks)


def _cells(run: Run) -> Check:
    """Every cell of every picture is one token of it, in order."""
    wrong = []
    for grid in run.grids:
        picture = run.tokens[grid.positions[0]].picture  # of a pair of frames, the first
        tokens = [token.index for token in run.tokens if token.picture == picture]
        if tokens != grid.positions.tolist():
            wrong.append(f"picture {grid.picture} has {len(tokens)} tokens for {grid.rows} x {grid.cols} cells")
    pictures = len(run.case.pictures) == len(run.grids)
    good = f"{sum(len(grid.positions) for grid in run.grids):,} tokens of {len(run.grids)} picture(s), one grid each"
    return Check(
        "pictures", pictures and not wrong, "; ".join(wrong) or (good if pictures else "a picture has no grid")
    )


def _some_rows(run: Run) -> np.ndarray:
    positions = run.trace.positions
    some = positions[np.unique(np.linspace(0, len(positions) - 1, ROWS).astype(int))]
    return np.union1d(some, [run.last_prompt]) if run.last_prompt in positions else some


def _rows(run: Run) -> Check:
    """The weights of each row are between 0 and 1, and add up to 1."""
    rows, worst = _some_rows(run), 0.0
    for layer in run.trace.layers:
        weights = run.trace.weights(layer, rows)
        if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() > 1 + SUM:
            return Check("rows", False, f"layer {layer} has weights that are no shares")
        worst = max(worst, float(np.abs(weights.sum(-1, dtype=np.float64) - 1).max()))
    count = len(rows) * len(run.trace.layers) * run.trace.n_heads
    return Check("rows", worst <= SUM, f"{count:,} rows add up to 1, to within {worst:.1e}")


def _causal(run: Run) -> Check:
    """No row looks at a token that comes after it."""
    rows = _some_rows(run)
    for layer in run.trace.layers:
        weights = run.trace.weights(layer, rows)
        later = np.arange(weights.shape[-1]) > rows[:, None]
        if weights[:, later].any():
            return Check("order", False, f"layer {layer} looks at tokens that were not there yet")
    return Check("order", True, "no row looks at a later token")


def _answer(run: Run) -> list:
    return [token for token in run.tokens if token.kind in CHOSEN]


def _probabilities(run: Run) -> Check:
    """Every token of the answer has a probability, and its alternatives are in order."""
    for token in _answer(run):
        likeliest = [other.probability for other in token.alternatives]
        fine = token.probability is not None and 0 <= token.probability <= 1 + 1e-6 and sum(likeliest) <= 1 + 1e-3
        if not fine or likeliest != sorted(likeliest, reverse=True):
            return Check("probabilities", False, f"token {token.index} has probabilities that are none")
    return Check("probabilities", True, f"{len(_answer(run))} tokens have one between 0 and 1")


def _greedy(run: Run) -> Check:
    """Each token of the model's own answer is the likeliest; a given answer is the given one."""
    if run.target is not None:
        return Check("answer", bool(run.answer_tokens), "the answer was given, not chosen")
    for token in _answer(run):
        if token.alternatives and token.probability < token.alternatives[0].probability:
            return Check("answer", False, f"token {token.index} is not the likeliest at its place")
    return Check("answer", True, "each token is the likeliest at its place")
