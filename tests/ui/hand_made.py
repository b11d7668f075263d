"""Two answered cases small enough to check by hand, without a model: 3 layers, 2 heads, a picture of 2 x 2 cells.

The sequence is [0] template, [1..4] the picture's cells, [5, 6] the question, [7] template, then the answer's tokens
from [8] on, each chosen by the row before it. Rows give a picture cell what `weights` says and the rest to token 0.
"""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from qwenvl_debug.case import Picture

PICTURE = Picture.open(np.zeros((20, 20, 3), np.uint8), "p.png")
CELLS = np.arange(1, 5)
ANSWER = 8


@dataclass(frozen=True)
class HandTrace:
    """rows: float [layers, heads, tokens, tokens]; layer 1 has no map."""

    rows: np.ndarray
    n_layers: int = 3
    n_heads: int = 2
    layers: tuple[int, ...] = (0, 2)
    resampled: tuple = ()

    def weights(self, layer, rows=None, heads=None):
        assert layer in self.layers
        return self.rows[layer][:, rows].astype(np.float32)


@dataclass(frozen=True)
class HandRun:
    trace: HandTrace
    tokens: tuple
    answer: str
    target: str | None = None
    case: object = field(default_factory=lambda: SimpleNamespace(question="Which tower", pictures=(PICTURE,)))
    grids: tuple = (SimpleNamespace(rows=2, cols=2, positions=CELLS, picture=0),)
    question_tokens: tuple = (5, 6)
    last_prompt: int = 7

    @property
    def answer_tokens(self):
        return tuple(range(ANSWER, len(self.tokens)))

    def row_of(self, index):
        return index - 1 if index >= ANSWER else index


def token(index, text, group=None, probability=None, alternatives=()):
    return SimpleNamespace(
        index=index,
        id=index,
        text=text,
        group=index if group is None else group,
        kind="answer" if index >= ANSWER else "question" if index in (5, 6) else "template",
        probability=probability,
        alternatives=tuple(SimpleNamespace(id=0, text=word, probability=sure) for word, sure in alternatives),
    )


def make_run(words, cells, target=None):
    """words: (text, group offset or None, probability) per answer token; cells: what each of the 4 cells gets."""
    texts = ["", "", "", "", "", "Which", " tower", "\n"]
    tokens = [token(index, text) for index, text in enumerate(texts)]
    for number, (text, group, probability) in enumerate(words):
        index = ANSWER + number
        first = None if group is None else ANSWER + group
        tokens.append(token(index, text, first, probability, [(text, probability), (" Canton", 0.1)]))
    rows = np.zeros((3, 2, len(tokens), len(tokens)))
    rows[:, :, :, CELLS] = cells
    rows[:, :, :, 0] = 1 - np.sum(cells)
    return HandRun(HandTrace(rows), tuple(tokens), "".join(text for text, _, _ in words), target)
