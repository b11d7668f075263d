"""How does work go on after the model has answered? It starts by itself where a page needs it, while what is known
already stays on the page. Someone may stop it; then it stays stopped until asked for again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.progress import progress_bar
from qwenvl_debug.ui.sentence import show_error

if TYPE_CHECKING:
    from qwenvl_debug.ui.jobs import Job, Progress, Worker

Key = tuple[Any, ...]
Work = Callable[["Worker", "Progress", threading.Event], Any]


def started(key: Key, work: Work) -> Job | None:
    """The job of this work, started where it was not; None where someone stopped it."""
    if key in _stopped():
        return None
    job = worker().submit(key, work, st.session_state.who)
    job.wait(0.05)
    return job


def leave_others(*keys: Key) -> None:
    """Stop what this page started and no longer looks at; `keys` is what it looks at now."""
    before = st.session_state.get("follow_ups", ())
    for key in before:
        if key not in keys:
            worker().leave(key, st.session_state.who)
    st.session_state.follow_ups = keys


def status(key: Key, again: str, *, name: str) -> None:
    """How far a job is, with a way to stop it; or why there is no result, with a way to ask for it again.

    Args:
        key: the job's.
        again: what the button says that starts it again.
        name: of the buttons' keys.
    """
    job = worker().find(key)
    if key in _stopped() or job is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Stopped.", width="content")
            st.button(again, key=f"{name}_again", on_click=partial(_restart, key), type="tertiary")
    elif not job.finished:
        progress_bar(key, name=f"{name}_stop", note="The page stays as it is.", stopped=partial(_stopped().add, key))
    elif job.error is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            show_error(job.error)
            st.button(again, key=f"{name}_again", on_click=partial(_restart, key))
    else:
        st.rerun()  # it ended after the page had looked for its result: nothing else would look again


def _restart(key: Key) -> None:
    _stopped().discard(key)
    worker().forget(key)


def _stopped() -> set[Key]:
    return st.session_state.setdefault("stopped_follow_ups", set())
