"""What does the Sweep page show? A choice of change and strength, then each step's answer, and where it flips."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from qwenvl_debug.compare import PERTURBATIONS, Sweep, sweep
from qwenvl_debug.compare.sweep import PROBABILITY
from qwenvl_debug.micro.ground_truth import true_regions
from qwenvl_debug.report.text import percent
from qwenvl_debug.ui import drawings, own_form, pairs, sweep_charts, tasks
from qwenvl_debug.ui.sentence import plain

if TYPE_CHECKING:
    from qwenvl_debug.case import Case, Picture
    from qwenvl_debug.compare import Perturbation
    from qwenvl_debug.regions import Region
    from qwenvl_debug.ui.pairs import Choice

FROM, CHANGE, STEPS, REACH, HIDE = "sweep_from", "sweep_change", "sweep_steps", "sweep_reach", "sweep_hide"
SIDES = {"correct": "the correct picture", "failing": "the failing picture"}
MARKS = {True: "✓", False: "✗", None: "…"}
PER_ROW = 7


def look(model: str, choice: Choice) -> None:
    """Everything below the choice of a pair."""
    if st.session_state.pop("sweep_leaving", False):
        st.switch_page("pages/debug/compare.py")
    case, regions, change, strengths, hidden = _asked(choice)
    picture = choice.picture
    how = choice.thinking, choice.decoding, choice.seed
    key = (model, "sweep", picture, *how, *_key(case, regions, change, strengths, hidden))
    with st.container(horizontal=True, vertical_alignment="center"):
        ready = hidden is not None or not change.needs_region
        if st.button("Run the sweep", type="primary", key="sweep_go", disabled=not ready or tasks.running(key)):
            tasks.start(key, partial(_swept, model, case, picture, regions, change, strengths, hidden, how))
        asked = plain(case.question)
        st.caption(f"The picture as it is and {len(strengths)} harder ones, each asked “{asked}”", width="content")
    found = tasks.result(key)
    if found is not None:
        _shown(found, picture)


def _asked(choice: Choice) -> tuple[Case, tuple[Region, ...], Perturbation, tuple[float, ...], Region | None]:
    """The controls: which picture, which change, how strong, in how many steps."""
    place, change_field, reach_field, steps_field = st.columns([4, 4, 4, 3], gap="medium", vertical_alignment="bottom")
    with place:
        side = st.selectbox(
            "Start from",
            list(SIDES),
            format_func=SIDES.get,
            key=FROM,
            persist_state="session",
            help="The picture that is made harder. Its first step is the picture as it is.",
        )
    with change_field:
        name = st.selectbox(
            "Change",
            list(PERTURBATIONS),
            format_func=lambda one: PERTURBATIONS[one].title,
            key=CHANGE,
            persist_state="session",
            help="\n\n".join(f"**{one.title}**: {one.plain}" for one in PERTURBATIONS.values()),
        )
    change = PERTURBATIONS[name]
    with reach_field:
        reach = st.slider(
            f"Up to ({change.unit})",
            0.0,
            float(change.most),
            float(change.strengths[-1]),
            key=f"{REACH}_{name}",
            persist_state="session",
            help="How strong the change is at the last step.",
        )
    with steps_field:
        steps = st.slider("Steps", 2, 24, 6, key=STEPS, persist_state="session", help="How many harder pictures.")
    case = getattr(choice, side)
    regions = _regions(choice, side)
    hidden = None
    if change.needs_region:
        hidden = _region_to_hide(regions)
    return case, regions, change, tuple(np.linspace(0, reach, steps + 1)[1:].round(4).tolist()), hidden


def _region_to_hide(regions: tuple[Region, ...]) -> Region | None:
    if not regions:
        st.info("Hiding a part needs a region: draw one on the Regions page first.")
        return None
    names = [region.name for region in regions]
    name = st.selectbox("Hide", names, key=HIDE, persist_state="session", help="The region that is covered.")
    return regions[names.index(name)]


def _regions(choice: Choice, side: str) -> tuple[Region, ...]:
    """What is drawn on the picture, or else the regions that a gallery picture comes with."""
    drawn = drawings.load(choice.pictures[("correct", "failing").index(side)].sha256)
    if drawn is not None:
        return drawn.regions()[0]
    pair = pairs.gallery().get(choice.address.get("pair"))
    return true_regions(pair, side) if pair is not None else ()


def _key(case: Case, regions: tuple[Region, ...], change: Perturbation, strengths: Any, hidden: Any) -> tuple[Any, ...]:
    return (*pairs.case_key(case), hash(regions), change.name, strengths, hash(hidden))


def _swept(
    model: str,
    case: Case,
    picture: int,
    regions: tuple[Region, ...],
    change: Perturbation,
    strengths: tuple[float, ...],
    hidden: Region | None,
    how: tuple[bool | None, str, int],
    worker: Any,
    progress: Any,
    cancel: Any,
) -> Sweep:
    """Run all steps. Called on the worker's thread."""
    thinking, *decoding = how
    loaded = worker.model(model, progress).decoded(*decoding)
    return sweep(
        loaded,
        case,
        change,
        strengths,
        regions=regions,
        on=hidden,
        picture=picture,
        thinking=thinking,
        progress=lambda done, of, text: progress(done / of, text),
        cancel=cancel,
    )


def _shown(found: Sweep, picture: int) -> None:
    words = reading(found)
    st.markdown(plain(words))
    likely, inside = st.columns(2, gap="medium", border=True)
    with likely:
        st.markdown(
            f"**How probable “{plain(found.target)}” is**",
            help=f"{PROBABILITY} The colour of a point says what the model answered by itself.",
        )
        st.altair_chart(sweep_charts.probability_chart(found), key="sweep_probability", alt=words)
    with inside:
        st.markdown(
            "**How much attention lies on the regions**",
            help="Mass on each region in the head that has most of it on the picture as it is; that head is then "
            "followed. Dashed: chance, the region's share of the picture. Regions are carried along by the known "
            "transform of each step; what leaves the picture no longer counts.",
        )
        if found.steps[0].masses:
            heads = {name: found.best_head(name) for name in found.steps[0].masses}
            st.altair_chart(
                sweep_charts.mass_chart(found), key="sweep_mass", alt=f"Mass beside chance on {', '.join(heads)}"
            )
            st.caption(" · ".join(f"{plain(name)}: {_head(place)}" for name, place in heads.items()))
            lost = [f"At {step.strength:.3g}: {said}" for step in found.steps for said in step.lost()]
            if lost:
                st.caption(plain(" ".join(lost)))
        else:
            st.caption("Draw regions on the Regions page to see how much attention stays on them.")
    _steps(found, picture)
    st.download_button(
        "Download CSV", found.table().to_csv(index=False).encode("utf-8"), "sweep.csv", "text/csv", on_click="ignore"
    )


def _head(place: tuple[int, int] | None) -> str:
    if place is None:
        return "no score"
    layer, head = place
    return f"layer {layer}, {'mean of the heads' if head < 0 else f'head {head}'}"


def _steps(found: Sweep, number_of_picture: int) -> None:
    """Every step as a picture with its answer; any can be opened beside the first."""
    st.markdown("**Step by step**", help="Compare opens a step beside the picture as it was.")
    for start in range(0, len(found.steps), PER_ROW):
        for column, number in zip(st.columns(PER_ROW, gap="small"), range(start, len(found.steps)), strict=False):
            step = found.steps[number]
            with column:
                picture = step.case.pictures[number_of_picture]
                st.image(_thumbnail(picture.sha256, picture), width="stretch")
                strength = f"{step.strength:.3g}" if number else "as it is"
                answer = plain(step.run.answer or "(no words)")
                st.caption(f"{strength} · {percent(step.probability)}  \n{MARKS[step.right]} {answer}")
                if number:
                    st.button("Compare", key=f"sweep_open_{number}", on_click=_open, args=(found, number))


def _open(found: Sweep, number: int) -> None:
    own_form.take(found.steps[0].case, found.steps[number].case)
    st.session_state.sweep_leaving = True


@st.cache_data(show_spinner=False, max_entries=256)
def _thumbnail(sha256: str, _picture: Picture) -> bytes:
    image = _picture.to_pil()
    image.thumbnail((320, 320))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def reading(found: Sweep) -> str:
    """Where the answer flips, in a sentence or two."""
    first, last = found.steps[0], found.steps[-1]
    name, unit = found.perturbation.title, found.perturbation.unit
    if first.right is None:
        return (
            "The model was cut in its thoughts about the picture as it is, so it gave no answer to follow: turn "
            "thinking off on the Compare page."
        )
    if not first.right:
        return (
            f"The answer to the picture as it is, “{first.run.answer}”, is not as expected, so there is no right "
            "answer to lose: start from the other picture."
        )
    if found.flip is None:
        return (
            f"{name} up to {last.strength:.3g} ({unit}) does not flip the answer: it is as expected at every step. A "
            "stronger change, or more steps, may."
        )
    before, after = found.steps[found.flip - 1], found.steps[found.flip]
    return (
        f"{name}: the answer flips between {before.strength:.3g} and {after.strength:.3g} ({unit}), from "
        f"“{before.run.answer}” to “{after.run.answer}”. That the attention changes at the same steps does not yet "
        "make it the cause."
    )
