"""How far is a job? A bar that looks every half second by itself, with a way to stop, until the job has ended."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import streamlit as st

from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.sentence import plain


@st.fragment(run_every=0.5)
def progress_bar(key: Hashable, *, name: str, note: str, stopped: Callable[[], None] = lambda: None) -> None:
    """Draw the bar; the page runs again as soon as the job has ended or was stopped.

    Args:
        key: the job's, see `Worker.submit`.
        name: of the button's key; one of a kind on its page.
        note: what stopping does, as the button's help.
        stopped: called after this session has left the job.
    """
    job = worker().find(key)
    if job is None or job.finished:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.part, text=plain(job.text))
        if st.button("Stop", key=name, help=note):
            worker().leave(key, st.session_state.who)
            stopped()
            st.rerun()
