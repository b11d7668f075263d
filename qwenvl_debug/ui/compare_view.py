"""What does the Compare page show of two answered cases? The parts of the page below the choice of a pair."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from qwenvl_debug.case import Case, is_right
from qwenvl_debug.compare import Comparison, compare
from qwenvl_debug.errors import QueryError
from qwenvl_debug.ui import state
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.asks import chips, default_ref, query_of
from qwenvl_debug.ui.chart_panel import chart_panel, table_panel
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.pairs import Choice
from qwenvl_debug.ui.payload import maps_payload, picture_payload, share_payload
from qwenvl_debug.ui.reading import reading
from qwenvl_debug.ui.sentence import plain
from qwenvl_debug.ui.viewer import keeper, place_of, viewer
from qwenvl_debug.ui.work import scope_of

VIEWER = "compare_viewer"
SIDES = ("Correct", "Failing")


def address_of(model: str, choice: Choice) -> dict[str, str]:
    """What the address holds to find this comparison again."""
    return {**choice.address, **({} if model == state.MODEL else {"model": model})}


@st.fragment
def look(model: str, choice: Choice) -> None:
    """Both sides with their maps, what the numbers say, and the charts; a click reruns only this."""
    scope = scope_of(model, choice)
    job = worker().find(scope)
    answers = job.result if job is not None else None
    place = place_of(address_of(model, choice))
    if answers is None:
        viewer(_waiting(choice, place, recorded=model == state.MODEL), key=VIEWER, on_query=lambda: None)
        keeper(place, state.going(), key="compare_keeper")
        return

    query = state.query_for(scope, default_ref(answers))
    try:
        comparison, maps = job.view(tuple(query.values()), partial(_compared, query))
    except QueryError as error:
        st.caption(plain(f"{error} The whole answer is shown instead."))
        query = {"left": default_ref(answers), "right": default_ref(answers), "shows": query["shows"]}
        state.choose_query(scope, query)
        comparison, maps = job.view(tuple(query.values()), partial(_compared, query))
    data = _answered(choice, answers, comparison, maps, query, place, scope)
    viewer(data, key=VIEWER, on_query=partial(_chosen, scope))
    st.markdown(reading(comparison))
    chart_panel(comparison)
    table_panel(comparison)
    keeper(place, state.going(), key="compare_keeper")


def _chosen(scope: tuple[str, ...]) -> None:
    state.choose_query(scope, st.session_state[VIEWER].get("query"))


def _compared(query: dict[str, str], answers: Answers) -> tuple[Comparison, tuple[dict[str, Any], dict[str, Any]]]:
    """The comparison for the words that ask, and its maps as they are sent."""
    correct, correct_query = query_of(answers, 0, query["left"])
    failing, failing_query = query_of(answers, 1, query["right"])
    made = compare(
        correct, failing, correct_query=correct_query, failing_query=failing_query, normalisation=query["shows"]
    )
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


def _waiting(choice: Choice, place: dict[str, Any], recorded: bool) -> dict[str, Any]:
    """The page before the model has answered: pictures, questions and, where they are its own, recorded answers."""
    sides = []
    for number, case in enumerate((choice.correct, choice.failing)):
        answer = choice.recorded[number] if recorded and choice.recorded else ""
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
