"""Work that goes on after the answer: whenever it ends, the page takes up what it made."""

from streamlit.testing.v1 import AppTest


def page():
    import streamlit as st

    from qwenvl_debug.ui import follow_up
    from qwenvl_debug.ui.jobs import worker

    st.session_state.setdefault("who", "me")
    key = ("micro", "late", st.session_state.get("round", 0))
    job = follow_up.started(key, lambda *_: "made")
    seen = st.session_state.get("seen_late")
    job.wait(5)  # it ends after the page has looked for it
    if seen:
        st.write(f"the result is {worker().find(key).result}")
    else:
        st.session_state.seen_late = True
        follow_up.status(key, "Again", name="late")


def test_work_that_ends_just_after_the_page_looked_is_taken_up_all_the_same():
    app = AppTest.from_function(page, default_timeout=30).run()
    assert not app.exception
    assert [text.value for text in app.markdown] == ["the result is made"]
