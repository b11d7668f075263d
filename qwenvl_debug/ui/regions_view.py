"""What does the Regions page show? The editor on both pictures, and below it how both runs looked at what is drawn.

Read `look` for the order of the page; each part of it has a module: `region_files` (bring in, take out),
`region_choice` (the controls and the address), `region_reading` (the sentence) and `region_panels` (all below it).
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.maps import map_stack
from qwenvl_debug.micro.ground_truth import true_regions
from qwenvl_debug.ui import (
    archive,
    drawings,
    pairs,
    region_boxes,
    region_choice,
    region_copy,
    region_files,
    region_panels,
    state,
)
from qwenvl_debug.ui.asks import query_of
from qwenvl_debug.ui.compare_view import SIDES, address_of, alignment_of
from qwenvl_debug.ui.editor import Panel, attention, editor
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.region_reading import region_reading
from qwenvl_debug.ui.region_scores import RegionScores, score_sides
from qwenvl_debug.ui.sentence import plain, show_error
from qwenvl_debug.ui.truth import bring_truth
from qwenvl_debug.ui.viewer import keeper
from qwenvl_debug.ui.work import scope_of

if TYPE_CHECKING:
    from qwenvl_debug.compare import Alignment
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.jobs import Job
    from qwenvl_debug.ui.pairs import Choice
    from qwenvl_debug.ui.region_choice import Chosen

EDITOR = "regions_editor"


@st.fragment
def look(model: str, choice: Choice) -> None:
    """The editor and the scores; a finished stroke reruns only this."""
    pictures = choice.pictures
    hashes = [picture.sha256 for picture in pictures]
    pair = pairs.gallery().get(choice.address.get("pair"))
    bring_truth(pair, hashes)
    panels = tuple(
        Panel(name, picture, case.question)
        for name, picture, case in zip(SIDES, pictures, (choice.correct, choice.failing), strict=True)
    )
    with st.container(gap=None):  # the editor brings parts that are not seen
        editor(panels, key=EDITOR, alignment=partial(_alignment, model, choice))
    if said := region_copy.said(pictures):
        st.caption(plain(said))
    with st.container(horizontal=True):
        region_files.popover(pictures)
        _offer_truth(pair, hashes)
        region_boxes.offer(model, choice)
    ref, chosen = None, None
    try:
        ref, chosen = _below(model, choice, [drawings.load(sha) or drawings.Drawing() for sha in hashes])
    except QwenVLDebugError as error:
        show_error(str(error))
    keeper(region_choice.place(address_of(model, choice), ref, chosen), state.going(), key="regions_keeper")


def _alignment(model: str, choice: Choice) -> Alignment:
    """How the pictures lie on each other, as on Compare."""
    return alignment_of(*choice.pictures, state.alignment_for(scope_of(model, choice)))[0]


def _offer_truth(pair: Any, hashes: list[str]) -> None:
    def put_back() -> None:
        for side, sha in zip(("correct", "failing"), hashes, strict=True):
            drawings.replace(sha, true_regions(pair, side))

    if pair is not None and any((drawings.load(sha) or drawings.Drawing()).version for sha in hashes):
        st.button(
            "Back to the regions that came with these pictures",
            key="regions_truth",
            on_click=put_back,
            type="tertiary",
            help="Undo brings your own drawing back.",
        )


def _below(model: str, choice: Choice, drawn: list[drawings.Drawing]) -> tuple[str | None, Chosen | None]:
    """The scores, or what is still missing for them; who asks and what is chosen, for the address."""
    regions, wrong = zip(*(one.regions() for one in drawn), strict=True)
    for sentence in dict.fromkeys(sentence for some in wrong for sentence in some):
        show_error(sentence)
    if not any(regions):
        st.info("Draw a region on a picture: its scores appear here, beside what chance would give.")
        return None, None
    scope = scope_of(model, choice)
    job = worker().find(scope)
    if job is None or job.result is None:
        st.caption("The scores appear here as soon as the model has answered.")
        return None, None
    return _scores(model, choice, job, scope, drawn)


def _scores(
    model: str, choice: Choice, job: Job, scope: tuple[str, ...], drawn: list[drawings.Drawing]
) -> tuple[str, Chosen]:
    name_at, asks_at, layer_at, head_at = st.columns([4, 4, 5, 2], gap="medium", vertical_alignment="bottom")
    with asks_at:
        ref = region_choice.asks_field(job.result)
    scores = job.view(("regions", ref, choice.picture, _digest(drawn)), partial(_scored, ref, choice.picture, drawn))
    chosen = region_choice.fields(scores, scope, name_at, layer_at, head_at)
    st.markdown(plain(region_reading(scores, chosen.name)))
    region_panels.over_layers(scores, chosen)
    region_panels.by_head(scores, chosen)
    region_panels.cards(scores, chosen, scope)
    region_panels.downloads(model, choice, scores, ref)
    attention(
        list(choice.pictures),
        [side.stack.map(chosen.layer, chosen.head).values for side in scores.sides],
        key="regions_attention",
        lit=st.session_state.get("regions_lit", 0),
    )
    return ref, chosen


def _digest(drawn: list[drawings.Drawing]) -> str:
    return hashlib.sha256(json.dumps([one.records for one in drawn]).encode()).hexdigest()


def _scored(ref: str, picture: int, drawn: list[drawings.Drawing], answers: Answers) -> RegionScores:
    asked = [query_of(answers, side, ref) for side in (0, 1)]
    sizes = tuple(run.case.pictures[picture].size for run, _ in asked)
    scores = score_sides(
        tuple(map_stack(*one, picture) for one in asked), tuple(one.regions()[0] for one in drawn), sizes
    )
    for side, (run, query) in zip(scores.sides, asked, strict=True):
        for name, region in side.regions.items():
            mass = side.mass[name]
            archive.keep_scores(
                run, region, query, {"mass": mass, "chance": np.full_like(mass, side.chance(name))}, picture
            )
    return scores
