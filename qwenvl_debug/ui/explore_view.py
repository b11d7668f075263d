"""What does the Explore page show of two answered cases? Every head as a point, every layer by what it reads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.compare import Comparison, compare
from qwenvl_debug.compare.head_map import head_map
from qwenvl_debug.maps import NORMALISATIONS, row_shares
from qwenvl_debug.ui import explore_charts, explore_group, state
from qwenvl_debug.ui.asks import default_ref, query_of
from qwenvl_debug.ui.headmap import headmap, headmap_data
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.sentence import plain
from qwenvl_debug.ui.work import scope_of

if TYPE_CHECKING:
    from qwenvl_debug.maps import RowShares
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.pairs import Choice

HEADMAP, ASKS, HEAD = "explore_headmap", "explore_asks", "explore_head"
ASKING = {
    "t": "the expected answer",
    "a": "each side's own answer",
    "q": "the question",
    "p": "the end of the prompt",
}
SIDES = ("correct", "failing")


def look(model: str, choice: Choice) -> None:
    """Everything below the choice of a pair."""
    scope = scope_of(model, choice)
    job = worker().find(scope)
    if job is None or job.result is None:
        st.caption("Both runs are shown here as soon as the model has answered.")
        return
    if st.session_state.pop("explore_leaving", False):
        st.switch_page("pages/debug/compare.py")
    query = _who_asks(scope, job.result)
    comparison, shares, drawn = job.view(
        ("explore", choice.picture, *query.values()), partial(_explored, scope, query, choice.picture)
    )
    _heads(scope, comparison, drawn)
    _kinds(comparison, shares)
    explore_group.section(model, choice, job.result)


def _who_asks(scope: tuple[str, ...], answers: Answers) -> dict[str, str]:
    """Who asks, the same as on Compare; a choice here counts there too."""
    query = state.query_for(scope, default_ref(answers))
    options = [ref for ref in ASKING if ref != "t" or answers.forced is not None]
    ref = query["left"] if query["left"] == query["right"] else "two"
    if ref not in options:
        options.append(ref)
    names = {**ASKING, "two": "words chosen on Compare"}

    def chosen() -> None:
        ref = st.session_state[ASKS]
        if ref != "two":
            state.choose_query(scope, {**query, "left": ref, "right": ref})

    st.session_state[ASKS] = ref
    place, _ = st.columns([4, 10])
    with place:
        st.selectbox(
            "Asks",
            options,
            format_func=lambda one: names.get(one) or f"“{query_of(answers, 0, one)[1].label.strip()}”",
            key=ASKS,
            on_change=chosen,
            help="Whose attention is shown, on this page and on Compare. The expected answer is fed to both runs, so "
            f"that the same words ask. Maps show the {NORMALISATIONS['picture'].name}; other ways are on Compare.",
        )
    return query


def _explored(
    scope: tuple[str, ...], query: dict[str, str], picture: int, answers: Answers
) -> tuple[Comparison, tuple[RowShares, RowShares], dict[str, Any] | None]:
    """The comparison, what either side's rows go to, and the head map where the pictures can be laid on each other."""
    asked = [query_of(answers, side, query[name]) for side, name in enumerate(("left", "right"))]
    runs, (correct_query, failing_query) = zip(*asked, strict=True)
    comparison = compare(
        answers.correct,
        answers.failing,
        asked=runs,
        correct_query=correct_query,
        failing_query=failing_query,
        picture=picture,
    )
    shares = tuple(row_shares(*one) for one in asked)
    pictures = tuple(run.case.pictures[picture] for run, _ in asked)
    if comparison.pieces is None:
        return comparison, shares, None
    name = "/".join((*scope, query["left"], query["right"], str(picture)))
    places = head_map(comparison.left, comparison.right, comparison.pieces)
    return comparison, shares, headmap_data(name, comparison, places, pictures)


def _heads(scope: tuple[str, ...], comparison: Comparison, drawn: dict[str, Any] | None) -> None:
    st.markdown(
        "**Which heads changed what they look at**",
        help="Each head of each layer is a point, placed by its attention over the picture so that heads that look "
        "alike stand together (principal component analysis of all maps of both runs). An arrow leads from the head "
        "in the correct run to the same head in the failing run: the longer, the more its map changed along the two "
        "directions in which maps differ most.",
    )

    def opened() -> None:
        place = st.session_state[HEADMAP].get("open")
        if place:
            state.open_at(scope, int(place["layer"]), int(place["head"]))
            st.session_state.explore_leaving = True

    if drawn is None:
        st.info(plain(f"Heads of the two runs cannot stand on one plane here. {comparison.alignment.reason}"))
        return
    if all(point is None for layer in drawn["left"] for point in layer):
        st.info("No head of this model has a map on both sides, so there is nothing to place.")
        return
    st.caption("Point at a head to see its two maps; click to keep it. Numbers are layer · head of the longest arrows.")
    headmap(drawn, key=HEADMAP, on_open=opened)


def _kinds(comparison: Comparison, shares: tuple[RowShares, RowShares]) -> None:
    title, field = st.columns([11, 3], gap="medium", vertical_alignment="bottom")
    heads = shares[0].values.shape[1]
    with title:
        st.markdown(
            "**What each layer reads**",
            help="Where the attention of the words that ask goes: to the picture, to the question, to the checkpoint's "
            "chat template and so on. Everything a row holds adds up to 100 %. Sinks are cells of the picture that "
            "draw attention whatever is asked.",
        )
    with field:
        head = st.selectbox(
            "Head",
            range(-1, heads),
            format_func=lambda one: "mean" if one < 0 else str(one),
            key=HEAD,
            persist_state="session",
        )
    head = min(head, heads - 1)
    for number, column in enumerate(st.columns(2, gap="medium", border=True)):
        with column:
            label = (comparison.left, comparison.right)[number].query.label.strip()
            st.markdown(f"{SIDES[number].capitalize()} · asked with “{plain(label)}”")
            st.altair_chart(
                explore_charts.kinds_chart(shares[number], head, legend=True),
                key=f"explore_kinds_{number}",
                alt=explore_charts.describe_kinds(shares[number], head, SIDES[number]),
            )
