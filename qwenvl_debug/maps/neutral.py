"""What the model looks at whatever is asked: the same pictures with a neutral question, to hold a question against.

A map shows what the question drew to a place and also what lies there anyway: sinks, whatever stands out. A neutral
question such as "Describe the image." draws the second part alone. Zhang et al. (ICLR 2025, "MLLMs Know Where to
Look") divide by it, cell by cell, the row at the end of the neutral prompt standing for all that is not asked for.
"""

from __future__ import annotations

import re
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaseError, QueryError
from qwenvl_debug.maps.cells import on_cells
from qwenvl_debug.maps.identity import unlike_conversation, unlike_network
from qwenvl_debug.maps.query import last_prompt_query
from qwenvl_debug.maps.rows import averaged_rows

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

NEUTRAL_QUESTION = {"en": "Describe the image.", "zh": "描述这张图片。"}
"""The question that asks for nothing in particular, by language."""

NEUTRAL_TOKENS = 1
"""How much of a neutral answer is generated: its rows are not used, so the least there can be."""

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")


def neutral_case(case: Case) -> Case:
    """The same pictures and system prompt with the neutral question, in the language of the case's question."""
    language = "zh" if _CHINESE.search(case.question) else "en"
    return replace(case, question=NEUTRAL_QUESTION[language], expected=None)


def ask_neutral(run: Run, cancel: Event | None = None) -> Run:
    """The neutral question put to the model of a run. One run serves every question about the same pictures.

    Raises:
        CaseError: the run was read from a file and holds no model.
        Cancelled: `cancel` was set.
    """
    if run.model is None:
        raise CaseError("This run was read from a file and holds no model: ask the case again to compare it.")
    case = neutral_case(run.case)
    return run.model.ask(case, max_new_tokens=NEUTRAL_TOKENS, thinking=run.thinking, cancel=cancel)


def neutral_rows(run: Run, neutral: Run, picture: int) -> np.ndarray:
    """What every query of a run is held against: the row at the end of the neutral prompt, over one picture.

    Zhang et al. use this row too. Words of the question are held against it like the answer: asked so, at its best
    layer, the ratio's head mean had its highest cell on the object asked about in 50 % of 157 held-out scenes of the
    bundled model, and in 27 % where it was held against the neutral question's own words.

    Returns:
        float32 [layers, heads, cells], shares of the whole row; NaN for layers without a map.

    Raises:
        QueryError: as `check_neutral`.
    """
    check_neutral(run, neutral, picture)
    return on_cells(neutral, averaged_rows(neutral, last_prompt_query(neutral)), picture)


def check_neutral(run: Run, neutral: Run, picture: int) -> None:
    """Refuse a generic-prompt run that does not belong to a run.

    Raises:
        QueryError: it is about another image, has another system prompt or other earlier turns, or another network
            computed it.
    """
    unlike = unlike_network(run, neutral)
    if unlike is not None:
        raise QueryError(f"The generic prompt was put to a model of {unlike}: make its run with the same model.")
    unlike = unlike_conversation(run, neutral)
    if unlike is not None:
        raise QueryError(f"The generic-prompt run has {unlike}: make one for this run with ask_neutral(run).")
    if picture >= len(neutral.grids) or (neutral.grids[picture].rows, neutral.grids[picture].cols) != (
        run.grids[picture].rows,
        run.grids[picture].cols,
    ):
        raise QueryError("The generic-prompt run has another image grid: make one for this run with ask_neutral(run).")
