"""What does the Compare page show of two answered cases? The parts of the page below the choice of a pair."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.compare import Alignment, Comparison, align, compare, stated
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import NORMALISATIONS, find_sinks
from qwenvl_debug.ui import archive, follow_up, measured, pairs, state, thinking
from qwenvl_debug.ui.asks import default_ref, query_of
from qwenvl_debug.ui.chart_panel import chart_panel, table_panel
from qwenvl_debug.ui.conversation_view import parts_panel
from qwenvl_debug.ui.extras import extras_data
from qwenvl_debug.ui.findings import findings, findings_to_come
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.payload import maps_payload, share_payload
from qwenvl_debug.ui.reading import reading
from qwenvl_debug.ui.region_boxes import boxes_on
from qwenvl_debug.ui.region_overlay import reading_of
from qwenvl_debug.ui.run_badge import checks_of_pair, pair_badges
from qwenvl_debug.ui.sentence import plain
from qwenvl_debug.ui.truth import bring_truth
from qwenvl_debug.ui.viewer import extras, keeper, place_of, viewer
from qwenvl_debug.ui.viewer_data import SIDES, answered, identity, waiting
from qwenvl_debug.ui.work import scope_of

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.pairs import Choice

__all__ = ["SIDES", "address_of", "alignment_of", "look"]

VIEWER = "compare_viewer"
QUERIES = ("left", "right")
"""Names of the two sides in a query."""


def address_of(model: str, choice: Choice) -> dict[str, str]:
    """What the address holds to find this comparison again."""
    return {**choice.address, **({} if model == state.MODEL else {"model": model})}


@st.fragment
def look(model: str, choice: Choice) -> None:
    """Both sides with their maps, what the numbers say, and the charts; a click reruns only this."""
    scope, number = scope_of(model, choice), choice.picture
    job = worker().find(scope)
    answers = job.result if job is not None else None
    place = place_of(address_of(model, choice))
    if answers is None:
        follow_up.leave_others()
        viewer(waiting(choice, place, recorded=model == state.MODEL), key=VIEWER)
        keeper(place, state.going(), key="compare_keeper")
        return
    wanted = state.query_for(scope, default_ref(answers))
    alignment, refused = alignment_of(*choice.pictures, wanted["align"])
    if refused:
        st.caption(plain(f"{refused} What was found out is used instead."))
    needs_neutral = NORMALISATIONS[wanted["shows"]].needs_neutral
    neutral = measured.neutral_runs(model, choice) if needs_neutral else None
    query = {**wanted, "shows": "picture"} if needs_neutral and neutral is None else wanted
    try:
        comparison, maps = job.view(
            ("maps", number, *query.values()), partial(_compared, query, number, neutral, alignment)
        )
    except QueryError as error:
        st.caption(plain(f"{error} The whole answer is shown instead."))
        asking = default_ref(answers)
        wanted = query = {**wanted, "left": asking, "right": asking, "shows": "picture"}
        state.choose_query(scope, query)
        comparison, maps = job.view(
            ("maps", number, *query.values()), partial(_compared, query, number, None, alignment)
        )
    archive.keep_comparison(comparison)
    pictures = choice.pictures
    bring_truth(pairs.gallery().get(choice.address.get("pair")), [picture.sha256 for picture in pictures])
    ranked, ranking_key = measured.ranked(scope, comparison, query)
    follow_up.leave_others(ranking_key, measured.neutral_key(model, choice))
    viewer(
        answered(
            choice,
            answers,
            comparison,
            maps,
            query,
            wanted=wanted["shows"],
            seed=_seed(scope, comparison, ranked),
            place=place,
            identity=identity(scope, query, number),
        ),
        key=VIEWER,
        on_query=partial(_chosen, scope),
        on_sinks=state.want_sinks,
    )
    sinks = tuple(find_sinks(run, number) for run in comparison.asked) if state.sinks_wanted() else None
    named = tuple(boxes_on(run, number) for run in (answers.correct, answers.failing))
    extras(extras_data(identity(scope, query, number), comparison, pictures, sinks, named), key="compare_extras")
    if wanted != query:
        follow_up.status(measured.neutral_key(model, choice), "Ask the neutral question", name="neutral")
    st.markdown(reading(ranked or comparison))
    if said := reading_of((comparison.left, comparison.right), pictures):
        st.markdown(plain(said))
    if about := thinking.said(answers):
        st.caption(about)
    pair_badges(job.view("checks", checks_of_pair), (answers.correct.provenance, answers.failing.provenance))
    parts_panel(comparison)
    with st.container(border=True):
        if ranked is not None:
            findings(ranked)
            if moved := [one.sided.said for one in ranked.regions if one.sided.said is not None]:
                st.caption(plain(" ".join(moved)))
        else:
            findings_to_come()
            follow_up.status(ranking_key, "Measure it", name="noise")
    chart_panel(comparison)
    table_panel(comparison)
    keeper(place, state.going(), key="compare_keeper")


def _seed(scope: tuple[str, ...], comparison: Comparison, ranked: Comparison | None) -> dict[str, Any]:
    """Where the viewer opens: on what stands out most, as soon as that is known."""
    layers, heads = comparison.divergence.shape
    top = None if ranked is None else ranked.ranking.top()
    seed = state.seed_for(scope, layers, heads, *(top or (comparison.most_different_layer() or 0, -1)))
    if top is not None:
        state.suggest(scope, *top)
    return seed


def _chosen(scope: tuple[str, ...]) -> None:
    state.choose_query(scope, st.session_state[VIEWER].get("query"))


def _compared(
    query: dict[str, str], picture: int, neutral: tuple[Run, Run] | None, alignment: Alignment, answers: Answers
) -> tuple[Comparison, tuple[dict[str, Any], dict[str, Any]]]:
    """The comparison for the words that ask, and its maps as they are sent."""
    asked, queries = zip(*(query_of(answers, side, query[name]) for side, name in enumerate(QUERIES)), strict=True)
    made = compare(
        answers.correct,
        answers.failing,
        asked=asked,
        correct_query=queries[0],
        failing_query=queries[1],
        picture=picture,
        normalisation=query["shows"],
        neutral=neutral,
        alignment=alignment,
    )
    return made, tuple(
        {"maps": maps_payload(stack), "imageShare": share_payload(stack)} for stack in (made.left, made.right)
    )


def alignment_of(correct: Picture, failing: Picture, kind: str) -> tuple[Alignment, str]:
    """How the pictures lie on each other, found out or as a person states it; and why that is refused, or nothing."""
    return _laid(correct.sha256, failing.sha256, kind, correct, failing)


@st.cache_resource(show_spinner=False, max_entries=64)
def _laid(sha: str, other_sha: str, kind: str, _correct: Picture, _failing: Picture) -> tuple[Alignment, str]:
    try:
        return (stated(kind, _correct, _failing) if kind else align(_correct, _failing)), ""
    except QueryError as error:
        return align(_correct, _failing), str(error)
