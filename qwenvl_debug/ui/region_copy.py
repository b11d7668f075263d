"""Where do the regions of one picture lie on the other? Answers the editor's wish to copy them; see `compare.sided`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.compare.sided import SIDES, carried, percent
from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.regions.record import from_record, to_record

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.compare import Alignment

ASKED, ANSWER = "copy_asked", "copy_answer"


def ask(wish: Any) -> None:
    """Keep what the editor asks for: {number, from, to, regions}, pictures by hash; anything else is left aside."""
    if isinstance(wish, dict) and all(isinstance(wish.get(name), str) for name in ("number", "from", "to")):
        st.session_state[ASKED] = wish


def answer(pictures: Sequence[Picture], alignment: Callable[[], Alignment]) -> dict[str, Any] | None:
    """The answer to the latest wish: {number, regions, said, error}; None where there is none.

    Args:
        pictures: those of the editor; a wish about other pictures is not answered.
        alignment: how the second picture lies on the first; called only when it is needed.
    """
    wish = st.session_state.pop(ASKED, None)
    hashes = [picture.sha256 for picture in pictures]
    if wish is not None and len(hashes) == 2 and sorted([wish["from"], wish["to"]]) == sorted(hashes):
        to = 1 if wish["from"] == hashes[0] else 0
        sizes = tuple(picture.size for picture in pictures)
        about = {"number": wish["number"], "to": wish["to"]}
        st.session_state[ANSWER] = {**about, **copied(wish.get("regions"), alignment, sizes, to)}
    return st.session_state.get(ANSWER)


def said(pictures: Sequence[Picture]) -> str | None:
    """How the regions that were copied last came to the picture they are on; None where it is not shown."""
    last = st.session_state.get(ANSWER)
    shown = last is not None and last["to"] in [picture.sha256 for picture in pictures]
    return last["said"] or last["error"] if shown else None


def copied(
    records: Any, alignment: Callable[[], Alignment], sizes: tuple[tuple[int, int], tuple[int, int]], to: int
) -> dict[str, Any]:
    """{regions, said, error}: each region that lies on the other picture as {place, shapes}, place being its number in
    `records`; how they were carried and what fell outside; or one sentence that says why nothing can be copied."""
    found, lost = [], []
    try:
        how = alignment()
        for place, record in enumerate(records if isinstance(records, list) else []):
            region = from_record(record)
            there = carried(region, how, sizes, to)
            if there.region is None:
                lost.append(f"“{region.name}” lies outside the {SIDES[to]} picture and was not copied.")
                continue
            if there.outside > 0:
                lost.append(f"{percent(there.outside)} of “{region.name}” lies outside the {SIDES[to]} picture.")
            found.append({"place": place, "shapes": to_record(there.region)["shapes"]})
    except QwenVLDebugError as error:
        return {"regions": [], "said": None, "error": str(error)}
    many = f"{len(found)} region{'' if len(found) == 1 else 's'} copied to the {SIDES[to]} picture"
    return {"regions": found, "said": " ".join([f"{many}: {how.carries(sizes, to)}.", *lost]), "error": None}
