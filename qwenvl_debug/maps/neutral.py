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
        QueryError: the neutral run is about another picture or from another model.
    """
    check_neutral(run, neutral, picture)
    return on_cells(neutral, averaged_rows(neutral, last_prompt_query(neutral)), picture)


def check_neutral(run: Run, neutral: Run, picture: int) -> None:
    """Refuses a neutral run that cannot be laid on the run, cell by cell.

    Raises:
        QueryError: it is about another picture or from another model.
    """
    if (neutral.trace.n_layers, neutral.trace.n_heads) != (run.trace.n_layers, run.trace.n_heads):
        raise QueryError("The neutral question was put to another model: ask it of the same one.")
    same = picture < len(neutral.grids) and all(
        getattr(neutral.grids[picture], side) == getattr(run.grids[picture], side) for side in ("rows", "cols")
    )
    if not same:
        raise QueryError("The neutral question was asked about another picture: ask it about the same one.")
