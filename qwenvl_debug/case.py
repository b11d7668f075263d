"""What is being debugged: pictures, a conversation that ends in a question, and the answer that would be right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qwenvl_debug.errors import CaseError
from qwenvl_debug.picture import Picture
from qwenvl_debug.video import Video, check_frames

__all__ = ["MAX_CHARACTERS", "Case", "Picture", "Turn", "is_right"]

MAX_CHARACTERS = 8_000
"""Longest question, earlier answer, system prompt or expected answer, in characters."""


@dataclass(frozen=True)
class Turn:
    """An earlier turn of a conversation: what was asked, and what the model answered then.

    Args:
        question: what the person asked; not empty, at most 8,000 characters.
        answer: what the model answered; not empty. Outer spaces are dropped, as chat templates do.
        pictures: how many of the case's pictures were shown with this question. They are taken in order: the first
            turn shows the first of them, and those that no turn shows belong to the last question.

    Raises:
        CaseError: an empty or over-long text, text that is not valid Unicode, or not a number of pictures.
    """

    question: str
    answer: str
    pictures: int = 0

    def __post_init__(self) -> None:
        for text, what in ((self.question, "question of an earlier turn"), (self.answer, "answer of an earlier turn")):
            _check_text(text, what)
            if not text.strip():
                raise CaseError(f"The {what} is empty: write it, or take the turn out.")
        if isinstance(self.pictures, bool) or not isinstance(self.pictures, int) or self.pictures < 0:
            raise CaseError(f"A turn shows a number of the case's pictures, 0 or more, not {self.pictures!r}.")
        object.__setattr__(self, "answer", self.answer.strip())


@dataclass(frozen=True)
class Case:
    """A question about one or more pictures or a video, perhaps after earlier turns, and the answer that is expected.

    Args:
        pictures: anything `Picture.open` takes, or a list or tuple of such, or a `Video`; at least one picture. Stored
            as a tuple, in the order in which the conversation shows them; of a video, its frames.
        question: what the person asks last; not empty, at most 8,000 characters.
        expected: the right answer, see `is_right`; empty means not known.
        system: a system prompt; None leaves it to the checkpoint's own chat template.
        history: the turns before the question, first to last. Each says how many of the pictures it showed; the
            question shows the rest.
        seconds: of a video, when each frame was taken; empty where the pictures are pictures. A `Video` fills it in.

    Raises:
        CaseError: no picture, an empty or over-long question, text that is not valid Unicode, turns that show more
            pictures than there are, or frames that are no video.
        PictureError: see `Picture.open`.
    """

    pictures: tuple[Picture, ...]
    question: str
    expected: str | None = None
    system: str | None = None
    history: tuple[Turn, ...] = ()
    seconds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.pictures, Video):
            object.__setattr__(self, "seconds", self.pictures.seconds)
            object.__setattr__(self, "pictures", self.pictures.frames)
        several = isinstance(self.pictures, Sequence) and not isinstance(self.pictures, (str, bytes, bytearray))
        sources = tuple(self.pictures) if several else (self.pictures,)
        if not sources:
            raise CaseError("A case needs at least one picture: add one and ask again.")
        _check_text(self.question, "question")
        if not self.question.strip():
            raise CaseError("The question is empty: write what the model should be asked about the picture.")
        for text, what in ((self.expected, "expected answer"), (self.system, "system prompt")):
            if text is not None:
                _check_text(text, what)
        object.__setattr__(self, "pictures", tuple(Picture.open(source) for source in sources))
        object.__setattr__(self, "expected", self.expected if (self.expected or "").strip() else None)
        object.__setattr__(self, "system", self.system if (self.system or "").strip() else None)
        object.__setattr__(self, "history", _turns(self.history))
        object.__setattr__(self, "seconds", tuple(float(second) for second in self.seconds))
        shown = [turn.pictures for turn in self.history]
        if sum(shown) > len(self.pictures):
            raise CaseError(
                f"The earlier turns show {sum(shown)} pictures, but the case has {len(self.pictures)}: add the missing "
                "ones, in the order in which they are shown."
            )
        if self.seconds:
            check_frames(self.pictures, self.seconds)
            if sum(shown) and len(self.pictures) not in shown:
                raise CaseError("A video is shown whole in one turn: let that turn show all of its frames.")

    @property
    def turns(self) -> tuple[tuple[str, str | None, tuple[int, ...]], ...]:
        """The conversation: of each turn the question, the answer (None for the last), and its pictures' numbers."""
        said, first = [], 0
        for turn in self.history:
            said.append((turn.question, turn.answer, tuple(range(first, first + turn.pictures))))
            first += turn.pictures
        return (*said, (self.question, None, tuple(range(first, len(self.pictures)))))


def _turns(history: Any) -> tuple[Turn, ...]:
    turns = (history,) if isinstance(history, Turn) else tuple(history)
    for turn in turns:
        if not isinstance(turn, Turn):
            raise CaseError(
                f"The history of a case is made of turns, Turn(question, answer), not {type(turn).__name__}."
            )
    return turns


def is_right(answer: str, expected: str | None) -> bool | None:
    """Whether an answer contains the expected words, whole and in order.

    Both texts are brought to Unicode NFKC, case-folded, and freed of punctuation and of the articles a, an, the.
    Chinese, Japanese, Korean and Thai, written without spaces between words, are compared character by character.
    The words "cat" are not in "category", and "3" is not in "13" or "3.5". Meaning is not looked at: "there is no
    cat" contains "cat", so choose an expected answer that a wrong answer would not contain.

    Args:
        answer: what the model said.
        expected: what it should have said, or None.

    Returns:
        True or False, or None where nothing was expected.
    """
    if expected is None or not expected.strip():
        return None
    wanted, said = _words(expected), _words(answer)
    if any(word not in _ARTICLES for word in wanted):
        wanted = [word for word in wanted if word not in _ARTICLES]
        said = [word for word in said if word not in _ARTICLES]
    if not wanted:  # nothing but punctuation was expected
        return expected.strip() in answer
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


_ARTICLES = frozenset({"a", "an", "the"})
# Thai; Korean; kana; Chinese characters with their extensions.
_UNSPACED = (
    "\u0e00-\u0e7f\u1100-\u11ff\uac00-\ud7af\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"\d+(?:[.,:]\d+)+|[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _check_text(text: Any, what: str) -> None:
    if not isinstance(text, str):
        raise CaseError(f"The {what} must be text, not {type(text).__name__}.")
    if len(text) > MAX_CHARACTERS:
        raise CaseError(f"The {what} has {len(text):,} characters; shorten it to at most {MAX_CHARACTERS:,}.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise CaseError(f"The {what} holds characters that are not valid Unicode: type it again.")
