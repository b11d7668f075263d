"""Does one case stand out of several of the other kind? Further pictures asked, and their band over the layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import altair as alt
import streamlit as st

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import GroupComparison, compare_group
from qwenvl_debug.compare.group import LEAST_OTHERS, RULE
from qwenvl_debug.errors import PictureError
from qwenvl_debug.ui import archive, pairs, tasks
from qwenvl_debug.ui.charts import CORRECT, FAILING
from qwenvl_debug.ui.own_form import TYPES
from qwenvl_debug.ui.sentence import plain, show_error

if TYPE_CHECKING:
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.pairs import Choice

ONE, OTHERS, FIGURE, FILES = "group_one", "group_others", "group_figure", "group_files"
KINDS = {"failing": "the failing run, against several correct ones", "correct": "the correct run, against failing ones"}
OTHER = {"failing": "correct", "correct": "failing"}
COLOURS = {"correct": CORRECT, "failing": FAILING}
HEIGHT = 260


def section(model: str, choice: Choice, answers: Answers) -> None:
    """The part of the Explore page that holds one run of the pair against a group."""
    st.markdown(
        "**One against several**",
        help="Is a difference between two runs the failure, or just another picture? Hold one run against several of "
        f"the other kind. {RULE}",
    )
    one_field, others_field = st.columns([5, 9], gap="medium", vertical_alignment="bottom")
    with one_field:
        side = st.selectbox("Hold", list(KINDS), format_func=KINDS.get, key=ONE, persist_state="session")
    gallery = pairs.gallery()
    with others_field:
        names = st.multiselect(
            f"{OTHER[side].capitalize()} pictures of the gallery",
            [name for name in gallery if name != choice.address.get("pair")],
            format_func=lambda name: gallery[name].title,
            key=f"{OTHERS}_{side}",
            persist_state="session",
            help="Each is asked its own question, and its own expected answer asks.",
        )
    cases = [_case(name, OTHER[side]) for name in names] + _uploaded(choice, OTHER[side])
    key = (model, "group", side, *(_name(case) for case in (getattr(choice, side), *cases)))
    with st.container(horizontal=True, vertical_alignment="center"):
        few = len(cases) < LEAST_OTHERS
        if st.button("Hold against them", key="group_go", disabled=few or tasks.running(key)):
            one = answers.run(0 if side == "correct" else 1, "a" if answers.forced is None else "t")
            tasks.start(key, partial(_grouped, model, one, tuple(cases)))
        if few:
            st.caption(f"Choose at least {LEAST_OTHERS}: {len(cases)} so far.", width="content")
    found = tasks.result(key)
    if found is not None:
        _shown(found, side)


def _uploaded(choice: Choice, kind: str) -> list[Case]:
    """Pictures of one's own, asked the question of the pair."""
    with st.expander("Or bring your own"):
        files = st.file_uploader(
            f"{kind.capitalize()} pictures",
            type=TYPES,
            accept_multiple_files=True,
            key=f"{FILES}_{kind}",
            help=f"Each is asked “{plain(choice.correct.question)}”.",
        )
    cases = []
    for file in files or ():
        try:
            picture = Picture.open(file.getvalue(), file.name)
        except PictureError as error:
            show_error(str(error))
        else:
            cases.append(Case(picture, choice.correct.question, expected=choice.correct.expected))
    return cases


def _case(name: str, kind: str) -> Case:
    return getattr(pairs.gallery_choice(name), kind)


def _name(case: Case) -> tuple[str, ...]:
    return pairs.case_key(case)


def _grouped(model: str, one: Run, cases: tuple[Case, ...], worker: Any, progress: Any, cancel: Any) -> GroupComparison:
    """Ask every case, its expected answer fed in where there is one. Called on the worker's thread."""
    loaded = worker.model(model, progress)
    others = []
    for number, case in enumerate(cases):
        progress(number / len(cases), f"Asking about {case.pictures[0].name}")
        others.append(archive.answer(loaded, case, target=case.expected, thinking=one.thinking, cancel=cancel).run)
    return compare_group(one, others)


def _shown(found: GroupComparison, side: str) -> None:
    names = {"share": "image share", "entropy": "entropy"}
    figure = st.segmented_control(
        "Figure", list(names), format_func=names.get, default="share", key=FIGURE, label_visibility="collapsed"
    )
    figure = figure or "share"
    out = found.layers_out(figure)
    many = "layers" if len(out) > 1 else "layer"
    st.markdown(
        f"By {names[figure]} the {side} run stands out of the {OTHER[side]} ones at {many} {', '.join(map(str, out))}."
        if out
        else f"By {names[figure]} the {side} run does not stand out of the {OTHER[side]} ones at any layer."
    )
    st.altair_chart(
        group_chart(found, figure, side), key="group_chart", alt=f"{names[figure]} over the layers, one run and a band"
    )
    st.caption(f"The band runs {found.band}. Each run's attention is that of its own expected answer's words.")


def group_chart(found: GroupComparison, figure: str, side: str) -> alt.LayerChart:
    """The band of the others and the curve of the one over the layers; rings where it stands out."""
    table = found.table()
    table = table[table["figure"] == figure].dropna(subset=["one"])
    x = alt.X(
        "layer:Q",
        axis=alt.Axis(tickMinStep=1, format="d", grid=False, titlePadding=4),
        scale=alt.Scale(nice=False),
    )
    form = ".0%" if figure == "share" else ".2~f"
    tips = [
        alt.Tooltip("layer:Q", format="d"),
        *(
            alt.Tooltip(f"{column}:Q", format=form, title=title)
            for column, title in (("one", f"{side} run"), ("mean", "mean"), ("low", "from"), ("high", "to"))
        ),
    ]
    y = alt.Y("low:Q", title={"share": "image share"}.get(figure, figure), axis=alt.Axis(format=form, tickCount=4))
    base = alt.Chart(table)
    band = base.mark_area(opacity=0.22, color=COLOURS[OTHER[side]]).encode(x=x, y=y, y2="high:Q", tooltip=tips)
    mean = base.mark_line(strokeDash=[5, 4], color=COLOURS[OTHER[side]]).encode(x=x, y="mean:Q")
    line = base.mark_line(strokeWidth=2, color=COLOURS[side]).encode(x=x, y="one:Q")
    points = base.mark_point(filled=True, size=45, opacity=1, color=COLOURS[side]).encode(x=x, y="one:Q", tooltip=tips)
    rings = (
        alt.Chart(table[table["stands_out"]])
        .mark_point(size=220, strokeWidth=2, color=COLOURS[side])
        .encode(x=x, y="one:Q")
    )
    return alt.layer(band, mean, line, points, rings).properties(height=HEIGHT)
