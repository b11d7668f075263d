"""What object does a rough draft mean? Answers the editor's wish to snap, in at most a second; see `regions.snap`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Region, snap
from qwenvl_debug.regions.record import VERSION, from_record, to_record

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture

ASKED, ANSWER = "snap_asked", "snap_answer"


def ask(wish: Any) -> None:
    """Keep what the editor asks for: {number, sha, shapes}; anything else is left aside."""
    if isinstance(wish, dict) and isinstance(wish.get("number"), str) and isinstance(wish.get("sha"), str):
        st.session_state[ASKED] = wish


def answer(pictures: Sequence[Picture]) -> dict[str, Any] | None:
    """The answer to the latest wish: {number, mask, error}, the mask as a shape's record; None where there is none.

    Args:
        pictures: those of the editor; a wish about another picture is not answered.
    """
    wish = st.session_state.pop(ASKED, None)
    picture = next((one for one in pictures if wish is not None and one.sha256 == wish["sha"]), None)
    if picture is not None:
        st.session_state[ANSWER] = {"number": wish["number"], **found(picture, wish.get("shapes"))}
    return st.session_state.get(ANSWER)


def found(picture: Picture, shapes: Any) -> dict[str, Any]:
    """{mask, error}: the object's mask as a shape's record, or one sentence that says why there is none."""
    try:
        draft = from_record({"version": VERSION, "name": "draft", "shapes": shapes})
        mask = snap(picture, draft)
        return {"mask": to_record(Region("object", (mask,)))["shapes"][0], "error": None}
    except RegionError as error:
        return {"mask": None, "error": str(error)}
