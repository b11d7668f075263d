"""How do regions come in from other tools, and leave for them? A popover under the editor."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import streamlit as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import UnclearFile, labelling_setup, mask_to_png, to_coco, to_label_studio
from qwenvl_debug.regions.bring_in import bring_in
from qwenvl_debug.regions.names import name_key, unique_names
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui import drawings
from qwenvl_debug.ui.sentence import plain

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.regions import Imported, Question, Region

SIDES = ("correct", "failing")
FILES, SIDE, SAID, ANSWER = "regions_files", "regions_side", "regions_files_said", "regions_answer"
TYPES = ["png", "json", "jsonl", "ndjson", "xml", "txt", "zip"]
"""What can be chosen: the last ones only to be told what to export instead."""

FRAMES = {"shown": "of the photo as shown", "stored": "of the photo before EXIF turns it"}


@dataclass(frozen=True)
class Asked:
    """A file that waits for an answer.

    Attributes:
        name: the file's name.
        data: its bytes.
        side: whose picture its regions are for.
        picture: that picture.
        question: what is open; None before it was read.
        answers: what was answered before, by parameter.
    """

    name: str
    data: bytes
    side: str
    picture: Picture
    question: Question | None = None
    answers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Taken:
    """What came of the files that were brought last.

    Attributes:
        round: how often files were brought; each time the field for them is a new one.
        key: the field that they came through.
        side: the picture they were for.
        files: the files that were looked at, by Streamlit's name for them.
        added: how many regions they gave.
        notes: one sentence for each thing that was left out or fitted.
        asked: the files that wait for an answer; the first is asked about.
    """

    round: int = 0
    key: str = ""
    side: str = ""
    files: frozenset[str] = frozenset()
    added: int = 0
    notes: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()


def popover(pictures: tuple[Picture, Picture]) -> None:
    """Bring regions in, or take them out, for either picture."""
    with st.popover("Bring in or take out", key="regions_pop"):
        side = st.segmented_control(
            "Picture", SIDES, key=SIDE, default=SIDES[0], required=True, help="Which picture the regions belong to."
        )
        picture = pictures[SIDES.index(side)]
        kept = st.session_state.setdefault(SAID, Taken())
        key = f"{FILES}_{kept.round}"  # a new field each time, so that files that were taken over are gone from it
        st.file_uploader(
            "Bring in",
            type=TYPES,
            accept_multiple_files=True,
            key=key,
            on_change=_take,
            args=(key, side, picture),
            help="Mask PNGs (what is not black is the region, the file's name its name), COCO JSON, or a Label Studio "
            "export as JSON. They are added to what is drawn; Undo takes them away again. A file that may be about "
            "another image is not added before you say so.",
        )
        waiting = [one for one in kept.asked if one.picture in pictures]
        if waiting:
            _ask(waiting[0], len(waiting) - 1)
        if kept.added:
            many = f"{kept.added} region{'' if kept.added == 1 else 's'}"
            st.success(f"{many} added to the {kept.side} picture; Undo takes that back.")
        if kept.notes:
            st.caption("\n".join(f"- {plain(note)}" for note in kept.notes))
        _take_out(side, picture)


def _ask(asked: Asked, more: int) -> None:
    """Ask what a file leaves open, before anything of it is added."""
    question = asked.question
    rest = f" {more} more file{'s' if more > 1 else ''} to decide about after this." if more else ""
    st.warning(plain(f"{question.sentence}.{rest}"))
    if len(question.choices) > 1:
        label = "Image in the file" if question.parameter == "image" else "Coordinates are"
        st.selectbox(label, question.choices, key=ANSWER, format_func=lambda one: FRAMES.get(one, one))
    with st.container(horizontal=True):
        st.button(
            f"Add to {asked.side} picture",
            key="regions_answer_add",
            type="primary",
            on_click=_answer,
            args=(asked,),
            help="The file's regions are added as answered; Undo takes that back.",
        )
        st.button("Discard file", key="regions_answer_drop", on_click=_settle, args=(asked,))


def _answer(asked: Asked) -> None:
    """Import a file again with the answer to its question."""
    choices = asked.question.choices
    given = st.session_state.get(ANSWER)
    answers = (*asked.answers, (asked.question.parameter, given if given in choices else choices[0]))
    _settle(asked)
    found, notes, open_ = _read(replace(asked, answers=answers))
    added, said = _add(asked.picture, found)
    kept = st.session_state[SAID]
    st.session_state[SAID] = replace(
        kept,
        side=asked.side,
        added=kept.added * (kept.side == asked.side) + added,
        notes=(*kept.notes, *notes, *said),
        asked=(*open_, *kept.asked),
    )


def _settle(asked: Asked) -> None:
    kept = st.session_state[SAID]
    st.session_state[SAID] = replace(kept, asked=tuple(one for one in kept.asked if one is not asked))


def _read(file: Asked) -> tuple[list[Region], list[str], list[Asked]]:
    """What a file gives: its regions and a sentence for each thing left out, or itself where something is open."""
    picture = file.picture
    try:
        made: Imported = bring_in(
            file.name, file.data, picture.size, picture.name, exif=picture.orientation, **dict(file.answers)
        )
    except UnclearFile as error:
        return [], [], [replace(file, question=error.question)]
    except RegionError as error:
        return [], [str(error)], []
    if made.question is not None:
        return [], [], [replace(file, question=made.question)]
    return list(made.regions), list(made.left_out), []


def _take(key: str, side: str, picture: Picture) -> None:
    """Add what the files hold to the drawing; keep one sentence for each thing that was left out.

    Of several files chosen together the browser tells as each arrives: those that were told of before are not new.
    """
    before = st.session_state[SAID]
    said = before if before.key == key else Taken(before.round + 1, key, side, asked=before.asked)
    files = [file for file in st.session_state[key] or [] if file.file_id not in said.files]
    found, notes, asked = [], [], []
    for file in files:
        regions, sentences, open_ = _read(Asked(file.name, file.getvalue(), side, picture))
        found, notes, asked = found + regions, notes + sentences, asked + open_
    added, more = _add(picture, found)
    st.session_state[SAID] = replace(
        said,
        files=said.files | {file.file_id for file in files},
        added=said.added + added,
        notes=(*said.notes, *notes, *more),
        asked=(*said.asked, *asked),
    )


def _add(picture: Picture, found: list[Region]) -> tuple[int, list[str]]:
    """Add regions to what is drawn on a picture; how many were added, and what is to be said of the others."""
    found, notes = _fitting(picture, found)
    if not found:
        return 0, notes
    drawn = drawings.load(picture.sha256) or drawings.Drawing()
    taken = [str(record.get("name", "")) for record in drawn.records]
    records = [{**to_record(region), "name": name_key(region.name)} for region in found]  # as they are typed
    records = drawings.with_unique_names(records, taken)
    try:
        drawings.put(picture.sha256, [*drawn.records, *records])
    except RegionError as error:
        return 0, [*notes, str(error)]
    return len(found), notes


def _fitting(picture: Picture, found: list[Region]) -> tuple[list[Region], list[str]]:
    """As many regions as the picture still takes, and a sentence about the others."""
    drawn = drawings.load(picture.sha256) or drawings.Drawing()
    room = max(0, drawings.MOST_REGIONS - len(drawn.records))
    over = found[room:]
    if not over:
        return found, []
    left = ", ".join(f"“{region.name}”" for region in over[:5])
    sentence = (
        f"A picture holds at most {drawings.MOST_REGIONS} regions, so {len(over)} were left out: "
        f"{left}{' and others' if len(over) > 5 else ''}."
    )
    return found[:room], [sentence]


def _take_out(side: str, picture: Picture) -> None:
    regions = list((drawings.load(picture.sha256) or drawings.Drawing()).regions()[0])
    if not regions:
        st.caption(f"Nothing is drawn on the {side} picture yet, so there is nothing to take out.")
        return
    st.markdown(
        "Take out",
        help="COCO and Label Studio files bring back the same regions, to the coordinate, when they are read here "
        "again. The setup is the labelling configuration that a Label Studio project needs to show them.",
    )
    stem = re.sub(r"[^\w-]+", "-", (picture.name or side).rsplit(".", 1)[0]).strip("-") or side
    image = picture.name or f"{side}.png"

    def as_json(make: Callable[..., object]) -> Callable[[], bytes]:
        return lambda: json.dumps(make(regions, picture.size, image), ensure_ascii=False, indent=1).encode("utf-8")

    files = {
        "COCO JSON": (as_json(to_coco), f"{stem}-coco.json", "application/json"),
        "Label Studio JSON": (as_json(to_label_studio), f"{stem}-label-studio.json", "application/json"),
        "Label Studio setup": (lambda: labelling_setup(regions).encode("utf-8"), "label-studio-setup.xml", "text/xml"),
        "Masks as PNG": (lambda: masks_zip(regions, picture.size), f"{stem}-masks.zip", "application/zip"),
    }
    with st.container(horizontal=True):
        for label, (make, name, kind) in files.items():
            st.download_button(label, make, name, kind, on_click="ignore", key=f"regions_out_{label}")


def masks_zip(regions: list[Region], size: tuple[int, int]) -> bytes:
    """One black and white PNG a region, named after it, in one ZIP file."""
    stems = [re.sub(r'[\\/:*?"<>|\x00-\x1f]+', "-", region.name).strip(" .") or "region" for region in regions]
    stems = unique_names(
        stems, key=lambda stem: name_key(stem).casefold()
    )  # many computers take A.png and a.png for one
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # PNGs are compressed already
        for stem, region in zip(stems, regions, strict=True):
            archive.writestr(f"{stem}.png", mask_to_png(region, size))
    return buffer.getvalue()
