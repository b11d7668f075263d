"""Runs as large as those of the models people debug, made of random numbers: no model, real traces.

36 layers of 32 heads (8 of keys, 128 wide, in bfloat16), one picture of 26 x 50 cells and an answer of 32 tokens is
what Qwen3-VL-8B leaves behind of a picture of about 1.3 megapixels.
"""

from __future__ import annotations

import numpy as np
import torch

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.model import Run
from qwenvl_debug.model.run import Grid, Provenance, Token
from qwenvl_debug.model.trace import Trace

LAYERS, HEADS, KEY_HEADS, WIDTH = 36, 32, 8, 128
ROWS, COLS, ANSWER = 26, 50, 32
KINDS = [*["template"] * 4, *["picture"] * (ROWS * COLS), *["question"] * 8, *["template"] * 4]
KINDS += [*["answer"] * ANSWER, "end"]


def synthetic_run(seed: int, picture: Picture, question: str = "Which tower is this?") -> Run:
    """A run about a picture, its queries and keys drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    kept = [n for n, kind in enumerate(KINDS) if kind == "question"]
    last_prompt = KINDS.index("answer") - 1
    positions = [*kept, *range(last_prompt, len(KINDS) - 1)]

    def tensors(heads: int, rows: int) -> dict[int, torch.Tensor]:
        return {
            layer: torch.randn(heads, rows, WIDTH, generator=generator).to(torch.bfloat16) for layer in range(LAYERS)
        }

    trace = Trace(
        n_layers=LAYERS,
        n_heads=HEADS,
        layers=tuple(range(LAYERS)),
        positions=positions,
        tokens=len(KINDS),
        queries=tensors(HEADS, len(positions)),
        keys=tensors(KEY_HEADS, len(KINDS) - 1),
        scaling=dict.fromkeys(range(LAYERS), WIDTH**-0.5),
    )
    cells = np.array([n for n, kind in enumerate(KINDS) if kind == "picture"])
    return Run(
        case=Case(picture, question, expected="Oriental Pearl Tower"),
        answer=" ".join(["word"] * ANSWER),
        tokens=tuple(
            Token(n, n, f" t{n}", n, kind, 0 if kind == "picture" else None, 0.5 if kind in ("answer", "end") else None)
            for n, kind in enumerate(KINDS)
        ),
        grids=(Grid(ROWS, COLS, cells, 0),),
        trace=trace,
        vision=(),
        provenance=Provenance("synthetic", "1", "none", {}, {}, None, "2026-01-01T00:00:00+00:00", float(seed)),
    )


def picture_of_cells(seed: int = 0) -> Picture:
    """A picture of 1,600 x 832 pixels, with edges everywhere, for the alignment to hold on to."""
    coarse = np.random.default_rng(seed).integers(40, 216, (ROWS, COLS, 3), dtype=np.uint8)
    return Picture.open(np.repeat(np.repeat(coarse, 32, 0), 32, 1), "synthetic")


def in_fog(picture: Picture) -> Picture:
    """The same frame, paler."""
    return Picture.open((picture.pixels * 0.4 + 125).astype(np.uint8), "synthetic, in fog")
