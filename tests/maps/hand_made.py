"""A run small enough to check by hand: 2 layers with maps out of 3, 2 heads, a picture of 2 x 3 cells, 12 tokens.

The sequence is [0] template, [1..6] the picture's cells, [7, 8] the question, [9] template (end of the prompt),
[10] the answer's only word, chosen by row 9, [11] the end token. `make_run` lays given weights into the rows.
"""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.model import Provenance

PICTURE = Picture.open(np.zeros((20, 30, 3), np.uint8), "p.png")
PROVENANCE = Provenance("hand", "1", "none", {}, {}, None, "2026-01-01T00:00:00+00:00", 0.0)
KINDS = ("template", *["picture"] * 6, "question", "question", "template", "answer", "end")
CELLS = np.arange(1, 7)
ANSWER_ROW, QUESTION_ROWS, ANSWER = 9, (7, 8), 10


@dataclass(frozen=True)
class HandTrace:
    """Weights by (layer, row): float [heads, tokens]; layers and rows that are not given were not kept."""

    rows: dict[tuple[int, int], np.ndarray]
    n_layers: int = 3
    n_heads: int = 2
    layers: tuple[int, ...] = (0, 2)
    resampled: tuple = ()

    def weights(self, layer, rows=None, heads=None):
        return np.stack([self.rows[layer, row] for row in rows], axis=1).astype(np.float32)


@dataclass(frozen=True)
class HandRun:
    trace: HandTrace
    grids: tuple
    tokens: tuple
    answer: str = "cat"
    answer_tokens: tuple = (ANSWER,)
    thought_tokens: tuple = ()
    question_tokens: tuple = QUESTION_ROWS
    last_prompt: int = 9
    target: str | None = None
    case: object = field(default_factory=lambda: Case(PICTURE, "Which animal?"))
    provenance: Provenance = PROVENANCE

    def row_of(self, index):
        return index - 1 if self.tokens[index].kind == "answer" else index

    def force(self, target):
        return replace(self, answer=target, target=target)

    @property
    def forced(self):
        return self.target is not None

    def to_dict(self):
        return {"answer": None if self.forced else self.answer, "forced": self.forced}


def make_tokens():
    return tuple(
        SimpleNamespace(index=i, id=i, text=f"t{i}", group=i, kind=kind, picture=0 if kind == "picture" else None)
        for i, kind in enumerate(KINDS)
    )


def row(picture, elsewhere=0):
    """One head's row: the picture's six cells as given, the rest of the sum on token `elsewhere`; float [tokens]."""
    weights = np.zeros(len(KINDS))
    weights[CELLS] = picture
    weights[elsewhere] += 1 - weights.sum()
    return weights


def make_run(layer_0, layer_2=None, question=None, rows=2, cols=3):
    """Weights of the answer's row as [heads, cells]; layer 2 as layer 0 unless given; the question's rows likewise."""
    layer_2 = layer_0 if layer_2 is None else layer_2
    trace = {}
    for layer, heads in ((0, layer_0), (2, layer_2)):
        trace[layer, ANSWER_ROW] = np.stack([row(cells) for cells in heads])
        for index, position in enumerate(QUESTION_ROWS):
            asked = heads if question is None else question[index]
            trace[layer, position] = np.stack([row(cells) for cells in asked])
    grid = SimpleNamespace(rows=rows, cols=cols, positions=CELLS, picture=0)
    return HandRun(HandTrace(trace), (grid,), make_tokens())
