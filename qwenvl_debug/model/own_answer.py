"""What would a checkpoint's own generation settings change in an answer? Asked of transformers' own `generate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaseError
from qwenvl_debug.model import ask
from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.decoding import CHECKPOINT

OWN_TOKENS = 48
"""Tokens of the answers that are compared with the checkpoint's own settings, which show late: penalties need something
that was said before."""


@dataclass(frozen=True)
class OwnAnswer:
    """What a checkpoint's own generation settings would change, its sampling left out.

    Attributes:
        settings: the settings, by transformers' names.
        differs_at: the first token of the answer that is another one, from 0; None where `tokens` tokens are the same.
        greedy: the answer without them.
        answer: the answer with them.
        tokens: how many tokens were compared at most.
        problem: why they could not be tried, or None.
    """

    settings: dict[str, Any]
    differs_at: int | None = None
    greedy: str = ""
    answer: str = ""
    tokens: int = OWN_TOKENS
    problem: str | None = None


def own_answer(model: DebugModel, case: Case, tokens: int = OWN_TOKENS) -> OwnAnswer | None:
    """Compare the greedy answer with that of transformers' `generate` under the checkpoint's own settings.

    Sampling is left out: what it would draw is no difference of the settings.

    Args:
        model: the model.
        case: what is asked.
        tokens: how many tokens to compare at most.

    Returns:
        What was found, or None where the checkpoint has no settings of its own.
    """
    if not model.own.said:
        return None
    with model.turn(), model.attention("sdpa"):
        greedy = ask.plain(model, case, tokens)
        try:
            own = ask.plain(model, case, tokens, decoding=CHECKPOINT, sample=False)
        except CaseError as error:
            return OwnAnswer(model.own.said, tokens=tokens, problem=str(error))
    shared = next((n for n, (a, b) in enumerate(zip(greedy, own, strict=False)) if a != b), min(len(greedy), len(own)))
    return OwnAnswer(
        settings=model.own.said,
        differs_at=None if greedy == own else shared,
        greedy=model.tokenizer.decode(greedy, skip_special_tokens=True).strip(),
        answer=model.tokenizer.decode(own, skip_special_tokens=True).strip(),
        tokens=tokens,
    )
