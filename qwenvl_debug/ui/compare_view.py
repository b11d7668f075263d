"""What does the Compare page show of two answered cases? The parts of the page below the choice of a pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from qwenvl_debug.case import Case, is_right
from qwenvl_debug.compare import Comparison, compare
from qwenvl_debug.errors import QueryError
from qwenvl_debug.ui import charts, state
from qwenvl_debug.ui.answers import Answers, answer_pair, chips, default_ref, query_of
from qwenvl_debug.ui.jobs import Job, worker
from qwenvl_debug.ui.pairs import Choice
from qwenvl_debug.ui.payload import maps_payload, picture_payload, share_payload
from qwenvl_debug.ui.reading import reading
from qwenvl_debug.ui.viewer import keeper, place_of, viewer

VIEWER = "compare_viewer"
SIDES = ("Correct", "Failing")


def scope_of(model: str, choice: Choice) -> tuple[str, ...]:
    """What tells one comparison from another: the model, then pictures, questions and expected answers."""
    cases = choice.correct, choice.failing
    return (model, *(part for case in cases for part in (case.pictures[0].sha256, case.question, case.expected or "")))


def address_of(model: str, choice: Choice) -> dict[str, str]:
    """What the address holds to find this comparison again."""
    return {**choice.address, **({} if model == state.MODEL else {"model": model})}


def submit(model: str, choice: Choice) -> Job | None:
    """Run both cases on the worker, unless someone stopped that; work that is no longer looked at is left."""
    scope, who = scope_of(model, choice), st.session_state.who
    before = st.session_state.get("scope")
    if before is not None and before != scope:
        worker().leave(before, who)
        st.session_state.pop("stopped", None)
    st.session_state.scope = scope
    if st.session_state.get("stopped") == scope:
        return None
    work = partial(answer_pair, model, choice.correct, choice.failing)
    job = worker().submit(scope, work, who)
    job.wait(0.35)  # a short piece of work needs no progress bar
    return job


def status(job: Job | None, scope: tuple[str, ...]) -> None:
    """How far the work is, with a way to stop it; or what went wrong, with a way to try again."""
    if job is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Stopped before the model answered.", width="content")
            if st.button("Run the model", key="run_again"):
                st.session_state.pop("stopped", None)
                st.rerun()
    elif not job.finished:
        _progress(scope)
    elif job.error is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.error(job.error)
            if st.button("Try again", key="try_again"):
                worker().forget(scope)
                st.rerun()


@st.fragment(run_every=0.5)
def _progress(scope: tuple[str, ...]) -> None:
    job = worker().find(scope)
    if job is None or job.finished:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.part, text=job.text)
        if st.button("Stop", key="stop", help="Stop the model. What you typed stays."):
            worker().leave(scope, st.session_state.who)
            st.session_state.stopped = scope
            st.rerun()


@st.fragment
def look(model: str, choice: Choice) -> None:
    """Both sides with their maps, what the numbers say, and the charts; a click reruns only this."""
    scope = scope_of(model, choice)
    job = worker().find(scope)
    answers = job.result if job is not None else None
    place = place_of(address_of(model, choice))
    if answers is None:
        viewer(_waiting(choice, place), key=VIEWER, on_query=lambda: None)
        keeper(place, state.going(), key="compare_keeper")
        return

    query = state.query_for(scope, default_ref(answers))
    try:
        comparison, sides = _compared(scope, query["left"], query["right"], query["shows"], answers)
    except QueryError as error:
        st.caption(f"{error} The whole answer is shown instead.")
        query = {"left": default_ref(answers), "right": default_ref(answers), "shows": query["shows"]}
        state.choose_query(scope, query)
        comparison, sides = _compared(scope, query["left"], query["right"], query["shows"], answers)
    data = _answered(choice, answers, comparison, sides, query, place, scope)
    viewer(data, key=VIEWER, on_query=partial(_chosen, scope))
    st.markdown(reading(comparison))
    _charts(comparison)
    _table(comparison)
    keeper(place, state.going(), key="compare_keeper")


def _chosen(scope: tuple[str, ...]) -> None:
    state.choose_query(scope, st.session_state[VIEWER].get("query"))


@st.cache_resource(show_spinner=False, max_entries=16)
def _compared(
    scope: tuple[str, ...], left: str, right: str, shows: str, _answers: Answers
) -> tuple[Comparison, tuple[dict[str, Any], dict[str, Any]]]:
    """The comparison for these words, and its maps as they are sent."""
    (correct, correct_query), (failing, failing_query) = query_of(_answers, 0, left), query_of(_answers, 1, right)
    made = compare(correct, failing, correct_query=correct_query, failing_query=failing_query, normalisation=shows)
    return made, tuple(
        {"maps": maps_payload(stack), "imageShare": share_payload(stack)} for stack in (made.left, made.right)
    )


@st.cache_resource(show_spinner=False, max_entries=32)
def _picture(sha256: str, _case: Case) -> str:
    return picture_payload(_case.pictures[0])


def _side(number: int, case: Case, verdict: dict[str, str], words: dict[str, list], answer: str) -> dict[str, Any]:
    picture = case.pictures[0]
    return {
        "name": SIDES[number],
        "verdict": verdict,
        "chips": words,
        "picture": _picture(picture.sha256, case),
        "width": picture.width,
        "height": picture.height,
        "caption": f"{case.question} {answer}".strip(),
    }


def _plain(text: str) -> list[dict[str, Any]]:
    return [{"text": text, "ref": None, "probability": None, "alternatives": []}] if text else []


def _waiting(choice: Choice, place: dict[str, Any]) -> dict[str, Any]:
    """The page before the model has answered: pictures, questions and, where there are, recorded answers."""
    sides = []
    for number, case in enumerate((choice.correct, choice.failing)):
        answer = choice.recorded[number] if choice.recorded else ""
        verdict = _verdict(answer, case.expected, "recorded") if answer else {"text": "", "kind": "plain"}
        words = {"q": _plain(case.question), "a": _plain(answer), "t": []}
        sides.append({**_side(number, case, verdict, words, answer), "maps": None, "imageShare": None})
    return {
        "place": place,
        "sides": sides,
        "seed": {"id": "", "layer": 0, "head": -1},
        "query": {"left": "a", "right": "a", "shows": "picture"},
        "asks": [["a", "—"]],
        "shows": [["picture", "—"]],
        "noun": "",
        "layers": 0,
        "heads": 0,
    }


def _answered(
    choice: Choice,
    answers: Answers,
    comparison: Comparison,
    maps: tuple[dict[str, Any], dict[str, Any]],
    query: dict[str, str],
    place: dict[str, Any],
    scope: tuple[str, ...],
) -> dict[str, Any]:
    """Everything the viewer draws."""
    sides = []
    for number, case in enumerate((choice.correct, choice.failing)):
        run = answers.run(number, "a")
        rows = ("q", "a") if answers.forced is None else ("q", "a", "t")
        words = {row: chips(answers.run(number, row), row) for row in rows}
        words.setdefault("t", [])
        words["a"] = words["a"] or _plain("(no words)")
        verdict = _verdict(run.answer, case.expected)
        sides.append({**_side(number, case, verdict, words, run.answer), **maps[number]})
    layers, heads = comparison.divergence.shape
    return {
        "place": place,
        "sides": sides,
        "seed": state.seed_for(scope, layers, heads, comparison.most_different_layer() or 0),
        "query": query,
        "asks": _asks(answers, comparison, query),
        "shows": [list(item) for item in state.SHOWS.items()],
        "noun": "of the picture's attention" if query["shows"] == "picture" else "of all attention",
        "layers": int(layers),
        "heads": int(heads),
    }


def _asks(answers: Answers, comparison: Comparison, query: dict[str, str]) -> list[list[str]]:
    options = [["a", "each side's own answer"], ["q", "the question"]]
    if answers.forced is not None:
        options.insert(0, ["t", "the expected answer"])
    if query["left"] != query["right"]:
        options.append(["two", f"“{comparison.left.query.label.strip()}” / “{comparison.right.query.label.strip()}”"])
    elif query["left"] not in [ref for ref, _ in options]:
        options.append([query["left"], f"“{comparison.left.query.label.strip()}”"])
    return options


def _verdict(answer: str, expected: str | None, mark: str = "") -> dict[str, str]:
    right = is_right(answer, expected)
    words = {True: "as expected", False: f"expected “{expected}”", None: ""}[right]
    kind = {True: "right", False: "wrong", None: "plain"}[right]
    return {"text": " · ".join(part for part in (words, mark) if part), "kind": kind}


CHARTS = {
    "image share": "How much of this layer's attention goes to the picture at all, mean of its heads. The rest goes to "
    "the words of the prompt and answer.",
    "entropy": "How widely the attention is spread over the picture: 0 is one single cell, 1 is an even spread. Of the "
    "mean map of the layer's heads.",
    "divergence": "How differently the two runs look over the picture: Jensen-Shannon divergence of their mean maps, 0 "
    "where they are the same, 1 where they share no cell.",
}


def _charts(comparison: Comparison) -> None:
    layers, heads = st.columns(2, gap="medium", border=True)
    with layers:
        st.markdown(
            "**Over the layers**", help=" ".join(f"*{name.capitalize()}*: {text}" for name, text in CHARTS.items())
        )
        for measure in CHARTS:
            key = f"chart_{measure.replace(' ', '_')}"
            st.altair_chart(
                charts.layer_chart(comparison, measure),
                key=key,
                on_select=partial(_clicked, key, charts.LAYER_CLICK),
                selection_mode=charts.LAYER_CLICK,
                alt=charts.describe(comparison, measure),
            )
    with heads:
        st.markdown(
            "**Where each head differs**",
            help="Divergence between the two runs for every layer and head, on the words that ask. Click a cell to see "
            "its maps above.",
        )
        st.altair_chart(
            charts.head_chart(comparison),
            key="chart_heads",
            on_select=partial(_clicked, "chart_heads", charts.CELL_CLICK),
            selection_mode=charts.CELL_CLICK,
            alt=charts.describe(comparison, "heads"),
        )
        st.caption("Click a line or a cell to show that layer and head above.")


def _clicked(key: str, selection: str) -> None:
    points = st.session_state[key].selection.get(selection) or []
    if points and "layer" in points[0]:
        head = points[0].get("head")
        state.go_to(int(points[0]["layer"]), None if head is None else int(head))


def _table(comparison: Comparison) -> None:
    with st.expander("All numbers"):
        table = comparison.table()
        st.dataframe(table, hide_index=True, height=280)
        st.download_button(
            "Download CSV",
            table.to_csv(index=False).encode("utf-8"),
            file_name="comparison.csv",
            mime="text/csv",
            on_click="ignore",
        )
