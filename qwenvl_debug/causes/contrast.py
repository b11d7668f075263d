"""What an intervention is measured by: the logit difference between the expected and the given answer.

Two answers begin alike, perhaps, and part at one token. With their common beginning fed in, the logits at that place
say how strongly the model prefers one to the other: LD = logit(expected) - logit(given), positive where the expected
answer wins. It is the measure of Wang et al. 2022 and the one that Zhang and Nanda (2024, arXiv 2309.16042) recommend
for patching: it is additive in the logits, and moves before the answer flips.

LD hides a third answer that overtakes both, so both log-probabilities are always kept beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from qwenvl_debug.errors import CauseError, NothingToExplain
from qwenvl_debug.model.inputs import encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from qwenvl_debug.model import DebugModel, Run


@dataclass(frozen=True)
class Reading:
    """The contrast at one pass.

    Attributes:
        difference: LD, in logits; positive where the expected answer is preferred.
        expected: log-probability of the expected answer's token where the two part, natural logarithm.
        given: likewise of the given answer's.
        top: the likeliest token there, an id.
    """

    difference: float
    expected: float
    given: float
    top: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"logit_difference": self.difference, "log_p_expected": self.expected, "log_p_given": self.given}


@dataclass(frozen=True)
class Contrast:
    """Two answers and the token at which they part.

    Attributes:
        expected: the right answer.
        given: the answer that the failing run gave.
        common: token ids of their common beginning.
        expected_ids: ids that begin the rest of the expected answer: its own, and those of other spellings of it.
        given_ids: likewise of the given one.
    """

    expected: str
    given: str
    common: tuple[int, ...]
    expected_ids: tuple[int, ...]
    given_ids: tuple[int, ...]

    def read(self, logits: torch.Tensor) -> Reading:
        """The contrast in the logits of the place where the answers part.

        Args:
            logits: float32 [vocabulary].
        """
        log_p = logits.double().log_softmax(-1)
        expected, given = (float(log_p[list(ids)].logsumexp(-1)) for ids in (self.expected_ids, self.given_ids))
        return Reading(expected - given, expected, given, int(logits.argmax()))


def contrast(failing: Run, correct: Run | None = None, expected: str | None = None) -> Contrast:
    """The expected and the given answer of a failing run, and where they part.

    The expected answer is, in this order: what is named, the correct run's own answer where it is right, and what the
    failing case expects. A correct run's own words are the better choice, for they are in the model's own style, and
    the answers then part at what they mean rather than at how they begin.

    Args:
        failing: a run that answered wrongly by itself.
        correct: a run that answered rightly.
        expected: the right answer.

    Raises:
        NothingToExplain: both answers are the same.
        CauseError: there is no expected answer, or the run was fed its answer.
    """
    if failing.target is not None:
        raise CauseError("This run was fed its answer: use the run in which the model answered by itself.")
    if failing.cut == "thoughts":
        raise CauseError("This run was cut in its thoughts and gave no answer: raise max_new_tokens and ask again.")
    model = failing.model
    if model is None:
        raise CauseError("This run was read from a file and holds no model: ask the case again first.")
    given = _ids(failing)
    if expected is not None:
        wanted, text = [*encode(model, expected.strip()), model.stop_ids[0]], expected.strip()
    elif correct is not None and correct.right is not False and correct.target is None:
        wanted, text = _ids(correct), correct.answer
    elif failing.case.expected is not None:
        wanted, text = [*encode(model, failing.case.expected), model.stop_ids[0]], failing.case.expected
    else:
        raise CauseError("No answer is expected here: say which answer would be right.")
    if _plain(text) == _plain(failing.answer):
        raise NothingToExplain(
            f"The failing run answered “{failing.answer}”, as expected: there is no failure to explain."
        )
    shared = 0
    while shared < min(len(given), len(wanted)) and given[shared] == wanted[shared]:
        shared += 1
    if shared == min(len(given), len(wanted)):  # one was cut off within the other
        raise CauseError("One answer is the beginning of the other, cut off: allow more tokens and ask again.")
    spelled = _spellings(model, wanted[shared], given[shared])
    return Contrast(text, failing.answer, tuple(given[:shared]), *spelled)


def lead_of(run: Run) -> tuple[int, ...]:
    """Token ids that a run wrote before its answer began: a thinking model's thoughts."""
    return tuple(run.tokens[index].id for index in run.thought_tokens)


def _ids(run: Run) -> list[int]:
    return [token.id for token in run.tokens if token.kind in ("answer", "end")]


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!?。！？")


def _spellings(model: DebugModel, expected: int, given: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All tokens that spell the same as each of two tokens, but for case and a space before; never one for both."""
    texts = _texts(model.tokenizer)
    words = [texts[token].strip().casefold() for token in (expected, given)]
    found = []
    for token, word in zip((expected, given), words, strict=True):
        others = [n for n, text in enumerate(texts) if text.strip().casefold() == word and n != token]
        found.append((token, *others) if word and words[0] != words[1] else (token,))
    return found[0], found[1]


@lru_cache(maxsize=4)
def _texts(tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The text of every token of a vocabulary."""
    return tuple(tokenizer.batch_decode([[token] for token in range(len(tokenizer))]))
