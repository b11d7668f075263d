"""Longer work that someone starts with a button: started once, shown with its progress, stopped on request.

The first answer to a pair starts by itself (`work`); what is here is asked for: a sweep, a group of further cases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.progress import progress_bar
from qwenvl_debug.ui.sentence import show_error

if TYPE_CHECKING:
    from qwenvl_debug.ui.jobs import Progress, Worker

Work = Callable[["Worker", "Progress", threading.Event], Any]


def start(key: tuple[Any, ...], work: Work) -> None:
    """Hand work to the worker; work of this key that is under way or done is joined.

    Args:
        key: what tells it from other work; its first item is the model's name.
        work: see `Worker.submit`.
    """
    job = worker().find(key)
    if job is not None and job.error is not None:
        worker().forget(key)
    worker().submit(key, work, st.session_state.who)


def result(key: tuple[Any, ...]) -> Any:
    """What the work of this key made; None while there is nothing. Draws its progress, or why it failed."""
    job = worker().find(key)
    if job is None:
        return None
    if not job.finished:
        progress_bar(key, name=f"stop-{key[1]}", note="Stop the model. Everything you chose stays.")
        return None
    if job.error is not None:
        show_error(job.error)
    return job.result


def running(key: tuple[Any, ...]) -> bool:
    """Whether the work of this key is under way."""
    job = worker().find(key)
    return job is not None and not job.finished
