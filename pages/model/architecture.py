"""Architecture: what a model is made of, and what flows where in it."""

import streamlit as st

from qwenvl_debug.ui import architecture_view, pairs, state

state.begin(list(pairs.gallery()))
options = architecture_view.names()

title, model_field, beside_field = st.columns([6, 4, 4], gap="medium", vertical_alignment="bottom")
with title:
    st.title("Architecture", anchor=False)
    st.caption("What is the model made of, and how do a picture and a question become an answer?")
with model_field:
    model = st.selectbox(
        "Model",
        options,
        key="architecture",
        bind="query-params",
        accept_new_options=True,
        persist_state="session",
        help="The model of the other pages, or a published one: nothing is downloaded to show it. You can also type "
        "the path of a folder with a config.json, or a name on the hub; its weights are not needed.",
    )
with beside_field:
    beside = st.selectbox(
        "Side by side with",
        [architecture_view.NONE, *options],
        key="beside",
        bind="query-params",
        accept_new_options=True,
        persist_state="session",
        help="A second model, drawn beside the first and compared figure by figure.",
    )

wide, high, text, _ = st.columns([2, 2, 2, 8], gap="small")
width = wide.number_input(
    "Picture width", 1, 100_000, 640, key="width", bind="query-params", persist_state="session", help="In pixels."
)
height = high.number_input(
    "Picture height", 1, 100_000, 480, key="height", bind="query-params", persist_state="session", help="In pixels."
)
text_tokens = text.number_input(
    "Tokens of text",
    0,
    1_000_000,
    32,
    key="text",
    bind="query-params",
    persist_state="session",
    help="Tokens of the prompt beside the picture's own: the question and the chat's frame around it.",
)

chosen = [model] if beside in (architecture_view.NONE, None) else [model, beside]
architecture_view.look(chosen, int(width), int(height), int(text_tokens))
