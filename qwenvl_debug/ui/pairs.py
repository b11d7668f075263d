"""Which two cases are compared? A pair of the gallery, or two pictures of one's own."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import streamlit as st

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.ui import archive

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
    """

    title: str
    correct: Case
    failing: Case
    address: dict[str, str]
    recorded: tuple[str, str] | None


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
        asked: names of two kept pictures (correct, failing), questions (ask, ask2) and expected answers (expect,
            expect2); an empty ask2 or expect2 means the same as the first.

    Returns:
        The choice, or None where a picture is no longer kept.

    Raises:
        CaseError: a question is empty or too long.
    """
    pictures = [vault().find(asked.get(side)) for side in ("correct", "failing")]
    if None in pictures:
        return None
    question, expected = asked.get("ask", ""), asked.get("expect", "")
    return Choice(
        title="Your own pictures",
        correct=Case(pictures[0], question, expected=expected),
        failing=Case(pictures[1], asked.get("ask2") or question, expected=asked.get("expect2") or expected),
        address={"pair": OWN, **{name: value for name, value in asked.items() if value}},
        recorded=None,
    )
