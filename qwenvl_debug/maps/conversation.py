"""Which turn of a conversation, and which of several pictures, does a token look at? Shares of its row, beside chance.

Chance is what a row of even attention would give: the number of tokens there, of all tokens that the row could see. A
row can see nothing that comes after it, so the chance of a picture depends on who asks, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.maps.query import Query, default_query, rows_of, weights_of
from qwenvl_debug.maps.rows import averaged_rows

if TYPE_CHECKING:
    from qwenvl_debug.model import Run


@dataclass(frozen=True, eq=False)
class PartShares:
    """How rows of attention are divided among parts of a conversation.

    Attributes:
        names: what to call the parts.
        values: float32 [layers, heads, parts], 0..1; NaN for layers without a map.
        rest: float32 [layers, heads], what goes to everything else, so that both sum to 1.
        chance: float64 [parts], what even attention would give.
        query: the tokens that asked.
    """

    names: tuple[str, ...]
    values: np.ndarray
    rest: np.ndarray
    chance: np.ndarray
    query: Query

    @property
    def mean(self) -> np.ndarray:
        """float32 [layers, parts]: mean over the heads."""
        return self.values.mean(axis=1)


def picture_shares(run: Run, query: Query | None = None) -> PartShares:
    """Which picture does a token look at? The share of each picture, of earlier turns too.

    The frames of a video are looked at in pairs; a pair counts once, and has the number of its first frame.

    Args:
        run: a model's answer to a case.
        query: the tokens that ask; by default the whole answer.

    Returns:
        One part for each picture, in the order of `run.case.pictures`; the rest is everything but pictures.

    Raises:
        QueryError: the query names no token, or one that the run does not have.
        CaptureError: the run did not keep the rows of these tokens.
    """
    part = [-1 if token.picture is None else token.picture for token in run.tokens]
    shown = sorted(set(part) - {-1})
    names = [_name(run, number, following) for number, following in zip(shown, [*shown[1:], None], strict=True)]
    return _shares(run, query or default_query(run), np.array(part), shown, names)


def _name(run: Run, picture: int, following: int | None) -> str:
    """What to call a picture, or a pair of frames by its times; `following` is the number of the next, None of none."""
    pictures, seconds = run.case.pictures, run.case.seconds
    if not seconds:
        return f"{picture}: {pictures[picture].name}" if len(pictures) > 1 else pictures[picture].name
    return f"{seconds[picture]:.1f} to {seconds[(following or len(pictures)) - 1]:.1f} s"


def turn_shares(run: Run, query: Query | None = None) -> PartShares:
    """Which turn does a token look at? The share of each turn's words and pictures; the last has the answer so far.

    Args:
        run: a model's answer to a case.
        query: the tokens that ask; by default the whole answer.

    Returns:
        One part for each turn, first to last; the rest is the system prompt and the marks of the chat template, which
        commonly draw much of a row whatever is said.

    Raises:
        QueryError: the query names no token, or one that the run does not have.
        CaptureError: the run did not keep the rows of these tokens.
    """
    last = len(run.case.history)
    # Runs of one turn that an earlier version stored do not say it of their tokens.
    unsaid = [-1 if token.kind in ("template", "system") else last for token in run.tokens]
    part = [said if token.turn is None else token.turn for token, said in zip(run.tokens, unsaid, strict=True)]
    names = [f"turn {number + 1}" for number in range(last)] + ["this turn"]
    return _shares(run, query or default_query(run), np.array(part), range(last + 1), names)


def _shares(run: Run, query: Query, part: np.ndarray, parts, names) -> PartShares:
    """Sum rows over the tokens of each part; `part` is int [tokens], -1 for the rest."""
    rows, asking, weights = averaged_rows(run, query), rows_of(run, query), weights_of(run, query)
    inside = [part == number for number in parts]
    values = np.stack([rows[:, :, here].sum(axis=-1, dtype=np.float64) for here in inside], axis=-1)
    values[np.isnan(rows[:, :, 0])] = np.nan  # or a part without tokens would have a share of 0 even there
    even = np.stack([np.where(np.arange(len(part)) <= row, 1 / (row + 1), 0.0) for row in asking])
    chance = [float(weights @ even[:, here].sum(axis=-1)) for here in inside]
    rest = np.maximum(1 - values.sum(axis=-1), 0)
    return PartShares(tuple(names), values.astype(np.float32), rest.astype(np.float32), np.array(chance), query)
