"""Compare: a right and a wrong answer side by side, and where the model looked in each."""

import streamlit as st

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.ui import compare_view, own_form, pairs, sentence, shown_picture, state, work

gallery = pairs.gallery()
state.begin(list(gallery))

title, pair_field, model_field = st.columns([6, 5, 3], gap="medium", vertical_alignment="bottom")
with title:
    st.title("Compare", anchor=False)
    st.caption("Where did the model look when it was right, and where when it was wrong?")
with pair_field:
    pair = st.selectbox(
        "Pair",
        [*gallery, pairs.OWN],
        format_func=lambda name: gallery[name].title if name in gallery else "Your own pictures …",
        key="pair",
        persist_state="session",
        on_change=state.forget_link,
        help="Nearly the same picture twice: one that the bundled model answers rightly, one that it does not.",
    )
with model_field:
    model = st.selectbox(
        "Model",
        state.model_choices(),
        key="model",
        accept_new_options=True,
        persist_state="session",
        help="“micro” is the small model that comes with this app. Any Qwen-VL checkpoint works: type its name on the "
        "hub, such as Qwen/Qwen2.5-VL-3B-Instruct, or the path of a folder.",
    )

try:
    choice = own_form.ask() if pair == pairs.OWN else pairs.gallery_choice(pair)
    if choice is not None:
        choice = shown_picture.choose(choice)
        with st.container():  # always there, so that what follows keeps its place on the page
            work.status(work.submit(model, choice), work.scope_of(model, choice))
        compare_view.look(model, choice)
        st.page_link("pages/debug/regions.py", label="Next: mark where it should have looked, and score both runs →")
except QwenVLDebugError as error:
    sentence.show_error(str(error))
