"""Which two cases are compared? A pair of the gallery, or two pictures of one's own."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import streamlit as st

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.ui import archive
from qwenvl_debug.ui.talk_form import history_of

OWN = "own"
"""What the address calls a pair of one's own."""

DIGITS = 24
"""Digits of a picture's hash that the address holds."""

KEPT_BYTES = 1 << 30
"""Memory that uploaded pictures may fill together; a picture of the largest size taken fills 192 MB."""

_NAME = re.compile(rf"[0-9a-f]{{{DIGITS}}}")


@dataclass(frozen=True)
class Choice:
    """Two cases to compare.

    Attributes:
        title: what to call the pair.
        correct, failing: the two cases.
        address: what the browser's address holds to find this pair again.
        recorded: the answers that were recorded with the bundled model, (correct, failing), or None.
        picture: which picture of both cases is looked at, from 0.
        thinking: whether thinking is turned on or off; None leaves it to the model's chat template.
    """

    title: str
    correct: Case
    failing: Case
    address: dict[str, str]
    recorded: tuple[str, str] | None
    picture: int = 0
    thinking: bool | None = None

    @property
    def pictures(self) -> tuple[Picture, Picture]:
        """The pictures that are looked at, (correct, failing)."""
        return self.correct.pictures[self.picture], self.failing.pictures[self.picture]

    @property
    def count(self) -> int:
        """Pictures that both cases have, and that can be looked at side by side."""
        return min(len(self.correct.pictures), len(self.failing.pictures))


def case_key(case: Case) -> tuple[str, ...]:
    """What tells one case from another, in text: its picture, question and expected answer, and a hash of the rest."""
    simple = case.pictures[0].sha256, case.question, case.expected or ""
    rest = [picture.sha256 for picture in case.pictures[1:]], case.system, case.history, case.seconds
    if rest == ([], None, (), ()):
        return simple
    return (*simple, hashlib.sha256(repr(rest).encode()).hexdigest())


class Vault:
    """Uploaded pictures by content, so that a reload or a link finds them: those of memory, then those of the store.

    A picture is stored when it is asked about (see `own_form`), not when it is merely looked at. From memory the
    oldest go first.
    """

    def __init__(self) -> None:
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, picture: Picture) -> str:
        """Keep a picture; its name in the address."""
        name = picture.sha256[:DIGITS]
        with self._lock:
            self._pictures[name] = picture
            self._pictures.move_to_end(name)
            while len(self._pictures) > 2 and sum(p.pixels.nbytes for p in self._pictures.values()) > KEPT_BYTES:
                self._pictures.popitem(last=False)
        return name

    def find(self, name: str | None) -> Picture | None:
        """The picture of this name, if it is kept anywhere."""
        if name is None or not _NAME.fullmatch(name):
            return None
        with self._lock:
            picture = self._pictures.get(name)
        if picture is None and (picture := archive.find_picture(name)) is not None:
            self.keep(picture)
        return picture


@st.cache_resource(show_spinner=False)
def vault() -> Vault:
    """The uploaded pictures of all sessions; a name is as hard to guess as the picture."""
    return Vault()


@st.cache_resource(show_spinner=False)
def gallery() -> dict[str, Any]:
    """The gallery's pairs by id, in its order."""
    from qwenvl_debug.micro.gallery import pairs

    return {pair.id: pair for pair in pairs()}


@st.cache_resource(show_spinner=False, max_entries=64)
def gallery_choice(pair_id: str) -> Choice:
    """A pair of the gallery as two cases."""
    pair = gallery()[pair_id]
    return Choice(
        title=pair.title,
        correct=Case(Picture.open(pair.correct), pair.question, expected=pair.expected),
        failing=Case(Picture.open(pair.failing), pair.question, expected=pair.expected),
        address={"pair": pair.id},
        recorded=(pair.recorded["correct"]["answer"], pair.recorded["failing"]["answer"]),
    )


def own_choice(asked: dict[str, str]) -> Choice | None:
    """Two pictures of one's own as two cases.

    Args:
        asked: names of kept pictures (correct, failing; several are set apart by commas), questions (ask, ask2) and
            expected answers (expect, expect2), an empty ask2 or expect2 meaning the same as the first; and what came
            before the question on both sides, see `talk_form`. Where the pictures of a side are the frames of a video,
            when they were taken, set apart by commas (seconds, seconds2).

    Returns:
        The choice, or None where a picture is no longer kept.

    Raises:
        CaseError: a question is empty or too long.
    """
    sides = [found(asked.get(side)) for side in ("correct", "failing")]
    if None in sides:
        return None
    question, expected = asked.get("ask", ""), asked.get("expect", "")
    talks = [
        {"system": asked.get("system"), "history": history_of(asked, len(pictures)), "seconds": times(asked.get(name))}
        for pictures, name in zip(sides, ("seconds", "seconds2"), strict=True)
    ]
    return Choice(
        title="Your own pictures",
        correct=Case(sides[0], question, expected=expected, **talks[0]),
        failing=Case(sides[1], asked.get("ask2") or question, expected=asked.get("expect2") or expected, **talks[1]),
        address={"pair": OWN, **{name: value for name, value in asked.items() if value}},
        recorded=None,
    )


def found(names: str | None) -> tuple[Picture, ...] | None:
    """The kept pictures of these names, which commas set apart; None where one is no longer kept."""
    pictures = [vault().find(name) for name in (names or "").split(",")]
    return None if None in pictures else tuple(pictures)


def times(text: str | None) -> tuple[float, ...]:
    """The seconds of a text in which commas set them apart; none where it is something else."""
    try:
        return tuple(float(one) for one in text.split(",")) if text else ()
    except ValueError:
        return ()
