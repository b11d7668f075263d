"""A run that no model made: two layers of two heads, random queries and keys, six tokens about one picture."""

import numpy as np
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.model import Grid, Provenance, Run, Token, Trace

KINDS = ("template", "picture", "picture", "question", "answer", "end")


def hand_made_run(picture, rng):
    """A run about a picture, its numbers drawn from `rng`, a NumPy generator."""

    def tensors(*shape):
        return {layer: torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for layer in (0, 1)}

    trace = Trace(
        n_layers=2,
        n_heads=2,
        layers=(0, 1),
        positions=[3, 4],
        tokens=6,
        queries=tensors(2, 2, 64),
        keys=tensors(1, 5, 64),
        scaling={0: 0.125, 1: 0.125},
    )
    return Run(
        case=Case(picture, "Which tower?"),
        answer="Pearl",
        tokens=tuple(Token(n, n, f"t{n}", n, kind) for n, kind in enumerate(KINDS)),
        grids=(Grid(1, 2, np.array([1, 2]), 0),),
        trace=trace,
        vision=(),
        provenance=Provenance("hand", "1", "none", {}, {}, None, "2026-01-01T00:00:00+00:00", float(rng.random())),
    )
