"""Regions: mark where the model should have looked, and see how much of its attention fell there."""

import streamlit as st

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.ui import own_form, pairs, regions_view, sentence, shown_picture, state, work

gallery = pairs.gallery()
state.begin(list(gallery))

title, pair_field, model_field = st.columns([6, 5, 3], gap="medium", vertical_alignment="bottom")
with title:
    st.title("Regions", anchor=False)
    st.caption("Where should the model have looked, and did it?")
with pair_field:
    pair = st.selectbox(
        "Pair",
        [*gallery, pairs.OWN],
        format_func=lambda name: gallery[name].title if name in gallery else "Your own pictures …",
        key="pair",
        persist_state="session",
        on_change=state.forget_link,
        help="The pair that is open on Compare. Gallery pairs come with the regions of their objects.",
    )
with model_field:
    model = st.selectbox(
        "Model",
        state.model_choices(),
        key="model",
        accept_new_options=True,
        persist_state="session",
        help="“micro” is the small model that comes with this app; or a name on the hub, or the path of a folder.",
    )

try:
    choice = own_form.ask() if pair == pairs.OWN else pairs.gallery_choice(pair)
    if choice is not None:
        choice = shown_picture.choose(choice)
        with st.container():  # always there, so that what follows keeps its place on the page
            work.status(work.submit(model, choice), work.scope_of(model, choice))
        regions_view.look(model, choice)
except QwenVLDebugError as error:
    sentence.show_error(str(error))
