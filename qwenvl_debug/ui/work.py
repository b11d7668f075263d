"""Running a pair of cases from a page: hand it to the worker, show how far it is, stop it, ask again."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import partial
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from qwenvl_debug.ui import archive
from qwenvl_debug.ui.answers import Answers, answer_pair
from qwenvl_debug.ui.jobs import Job, worker
from qwenvl_debug.ui.pairs import Choice, case_key
from qwenvl_debug.ui.progress import progress_bar
from qwenvl_debug.ui.sentence import plain, show_error


def scope_of(model: str, choice: Choice) -> tuple[str, ...]:
    """What tells one comparison from another: the model, pictures, questions, expected answers, and thinking."""
    thinking = () if choice.thinking is None else (f"thinking {choice.thinking}",)
    return (model, *(part for case in (choice.correct, choice.failing) for part in case_key(case)), *thinking)


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
    st.session_state.setdefault("began", datetime.now(UTC).replace(microsecond=0))  # as runs tell the time
    fresh = st.session_state.pop("fresh", None) == scope
    work = partial(answer_pair, model, choice.correct, choice.failing, fresh=fresh, thinking=choice.thinking)
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
        progress_bar(
            scope,
            name="stop",
            note="Stop the model. What you typed stays.",
            stopped=lambda: st.session_state.update(stopped=scope),
        )
    elif job.error is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            show_error(job.error)
            if st.button("Try again", key="try_again"):
                worker().forget(scope)
                st.rerun()
    elif _is_stored(job.result):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(
                f"Answered on {when(job.result.made, _zone())}",
                width="content",
                help="The same model was asked the same about these pictures before, with the same settings, and its "
                "answer is shown as it was stored. A fresh run gives the same one unless the program has changed.",
            )
            st.button(
                "Ask again",
                key="ask_again",
                type="tertiary",
                help="Run the model anew. The earlier answer stays in the store; what you typed and drew stays too.",
                on_click=_ask_again,
                args=(scope,),
            )
    if said := archive.notice():
        st.caption(plain(said))


def _is_stored(answers: Answers) -> bool:
    """Whether this session shows what was answered before: found in the store, or made for another session."""
    if answers.made is None:
        return False
    return answers.stored or datetime.fromisoformat(answers.made) < st.session_state.began


def when(moment: str, zone: tzinfo, today: datetime | None = None) -> str:
    """A moment as a person says it: “12 Nov, 14:03”, with the year where it is not this one.

    Args:
        moment: ISO 8601 with its offset.
        zone: where the person is.
        today: in place of now.
    """
    there = datetime.fromisoformat(moment).astimezone(zone)
    now = (today or datetime.now(UTC)).astimezone(zone)
    year = "" if there.year == now.year else f" {there.year}"
    return f"{there.day} {there:%b}{year}, {there:%H:%M}"


def _zone() -> tzinfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def _ask_again(scope: tuple[str, ...]) -> None:
    worker().forget(scope)
    st.session_state.fresh = scope
