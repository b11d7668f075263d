"""Boxes and points that the answers name, as regions of the Regions page: one button a side, where there are any.

What looks like a box in an answer and could not be read stands below it, a sentence for each kind.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import boxes, unread_boxes
from qwenvl_debug.regions.grounding import how_many
from qwenvl_debug.regions.names import unique_names
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui import drawings
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.sentence import plain, show_error
from qwenvl_debug.ui.work import scope_of

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region
    from qwenvl_debug.ui.pairs import Choice

SAID = "regions_boxes_said"


def offer(model: str, choice: Choice) -> None:
    """Draw the buttons, as soon as there are answers that name boxes on the pictures shown, and what was not read."""
    job = worker().find(scope_of(model, choice))
    if job is None or job.result is None:
        return
    for side, run, picture in zip(
        ("correct", "failing"), (job.result.correct, job.result.failing), choice.pictures, strict=True
    ):
        found = boxes_on(run, choice.picture)
        if found:
            many = how_many([box for box in boxes(run) if box.picture == choice.picture])
            st.button(
                f"Add {many} of the {side} answer as regions",
                key=f"regions_boxes_{side}",
                type="tertiary",
                on_click=add,
                args=(picture.sha256, found),
                help="The answer names places in the picture. They are added to what is drawn, to be measured; a point "
                "becomes a rectangle two cells wide and high. Undo takes them away again.",
            )
        if run.case.seconds or choice.picture == len(run.case.pictures) - 1:  # where an answer's boxes are placed
            for sentence in unread_boxes(run):
                st.caption(plain(f"{side} answer: {sentence}"))
    if said := st.session_state.pop(SAID, None):
        show_error(said)


def boxes_on(run: Run, picture: int) -> list[Region]:
    """The boxes that a run's answer names on one of its pictures, as regions; those of one name are numbered."""
    found = [box.region() for box in boxes(run) if box.picture == picture]
    names = unique_names([one.name for one in found])
    return [replace(one, name=name) for one, name in zip(found, names, strict=True)]


def add(sha256: str, regions: list[Region]) -> None:
    """Add regions to the drawing on a picture; one that is drawn there already is left out."""
    before = drawings.load(sha256) or drawings.Drawing()
    drawn = before.regions()[0]
    new = [one for one in regions if not any(one.shapes == other.shapes for other in drawn)]
    room = drawings.MOST_REGIONS - len(before.records)
    taken = [str(record.get("name", "")) for record in before.records]
    records = drawings.with_unique_names([to_record(region) for region in new], taken)[:room]
    if len(records) < len(new):
        st.session_state[SAID] = (
            f"A picture holds at most {drawings.MOST_REGIONS} regions: {len(new) - len(records)} boxes were left out."
        )
    if not records:
        return
    try:
        drawings.put(sha256, [*before.records, *records])
    except RegionError as error:
        st.session_state[SAID] = str(error)
