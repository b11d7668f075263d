"""A pair of runs as large as a real model's, with nothing learnt in them: 36 layers, 32 heads, 1,300 cells a picture.

The app of `bench_page`: `streamlit run benchmarks/large_pair.py` shows it on the Compare page.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))  # Streamlit runs a script from its own folder

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.model.run import Alternative, Grid, Provenance, Run, Token
from qwenvl_debug.model.trace import Trace
from qwenvl_debug.ui import compare_view, state, work
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.pairs import Choice

LAYERS, HEADS, KEY_HEADS, WIDTH = 36, 32, 8, 64
ROWS, COLS = 26, 50
QUESTION, ANSWER = ("Which", " tower", " is", " this", "?"), ("Oriental", " Pearl", " Tower")
MODEL = "large"


@dataclass(frozen=True)
class Drawn:
    """Answers any case with random attention, the same every time for one picture."""

    def ask(self, case: Case, *, target: Any = None, **_: Any) -> Run:
        """A run of the case; a target changes nothing but that it is one."""
        seed = int(case.pictures[0].sha256[:8], 16)
        return run_of(case, seed, self, target if isinstance(target, str) else None)


def picture(seed: int) -> Picture:
    """A picture with enough in it to be laid on another: 1,000 x 520 pixels."""
    noise = np.random.default_rng(7).integers(0, 255, (26, 50, 3)).astype(np.uint8)
    pixels = np.kron(noise, np.ones((20, 20, 1), np.uint8))
    return Picture.open(np.ascontiguousarray(np.clip(pixels.astype(int) + 12 * seed, 0, 255).astype(np.uint8)))


def run_of(case: Case, seed: int, model: Any, target: str | None = None) -> Run:
    """A run whose every row looks somewhere, in half precision as a real model's keys are."""
    draw = torch.Generator().manual_seed(seed % 1000)
    tokens = words()
    rows = [token.index for token in tokens if token.kind == "question"] + list(range(len(tokens) - 5, len(tokens) - 1))
    common = torch.Generator().manual_seed(1)
    keys = {n: torch.randn(KEY_HEADS, len(tokens), WIDTH, generator=common) for n in range(LAYERS)}
    queries = {n: 3 * torch.randn(HEADS, len(rows), WIDTH, generator=common) for n in range(LAYERS)}
    queries = {n: (q + 0.5 * torch.randn(q.shape, generator=draw)).bfloat16() for n, q in queries.items()}
    trace = Trace(
        n_layers=LAYERS,
        n_heads=HEADS,
        layers=tuple(range(LAYERS)),
        positions=rows,
        tokens=len(tokens),
        queries=queries,
        keys={n: one.bfloat16() for n, one in keys.items()},
        scaling=dict.fromkeys(range(LAYERS), WIDTH**-0.5),
    )
    made = Provenance(MODEL, "", "none", {}, {}, None, "2026-01-01T00:00:00+00:00", float(seed))
    grid = Grid(ROWS, COLS, np.arange(1, 1 + ROWS * COLS), 0)
    return Run(case, "".join(ANSWER), tokens, (grid,), trace, (), made, target, model)


def words() -> tuple[Token, ...]:
    """Template, the picture's cells, the question, template, the answer and its end."""
    kinds = [("", "template"), *[("", "picture")] * (ROWS * COLS), *[(word, "question") for word in QUESTION]]
    kinds += [("\n", "template"), *[(word, "answer") for word in ANSWER], ("", "end")]
    likely = (Alternative(0, "Canton", 0.3),)
    return tuple(
        Token(n, n, text, n, kind, 0 if kind == "picture" else None, 0.6 if kind in ("answer", "end") else None, likely)
        for n, (text, kind) in enumerate(kinds)
    )


def pair() -> Choice:
    """The two cases."""
    cases = [Case(picture(seed), "".join(QUESTION), expected="".join(ANSWER)) for seed in (0, 1)]
    return Choice("A large pair", *cases, {"pair": MODEL}, None)


def answered(choice: Choice) -> Answers:
    """Both cases with their own answers and with the expected one."""
    model, target = Drawn(), choice.correct.expected
    own = [model.ask(case) for case in (choice.correct, choice.failing)]
    return Answers(*own, tuple(model.ask(case, target=target) for case in (choice.correct, choice.failing)))


@st.cache_resource
def _kept() -> tuple[Choice, Answers]:
    choice = pair()
    return choice, answered(choice)


def main() -> None:
    """The Compare page of the pair, without the choice of another."""
    st.set_page_config(layout="wide")
    state.begin([])
    choice, answers = _kept()
    worker().submit(work.scope_of(MODEL, choice), lambda *_: answers, st.session_state.who).wait(5)
    compare_view.look(MODEL, choice)


if __name__ == "__main__":
    main()
