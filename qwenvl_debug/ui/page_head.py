"""What stands at the top of every page about a pair? What the page is for, which pair it shows, which model answers."""

from __future__ import annotations

import streamlit as st

from qwenvl_debug.ui import own_form, pairs, shown_picture, state, thinking, work
from qwenvl_debug.ui.pairs import Choice


def pair_and_model(title: str, caption: str) -> tuple[str, str]:
    """Draw the head of a page.

    Args:
        title: the page's name.
        caption: the question it answers, in one line.

    Returns:
        The model's name, and the id of a gallery pair or `pairs.OWN`.
    """
    gallery = pairs.gallery()
    state.begin(list(gallery))
    title_place, pair_field, model_field = st.columns([6, 5, 3], gap="medium", vertical_alignment="bottom")
    with title_place:
        st.title(title, anchor=False)
        st.caption(caption)
    with pair_field:
        pair = st.selectbox(
            "Pair",
            [*gallery, pairs.OWN],
            format_func=lambda name: gallery[name].title if name in gallery else "Your own pictures …",
            key="pair",
            persist_state="session",
            on_change=state.forget_link,
            help="Nearly the same picture twice: one that the bundled model answers rightly, one that it does not. "
            "The same pair is open on every page.",
        )
    with model_field:
        model = st.selectbox(
            "Model",
            state.model_choices(),
            key="model",
            accept_new_options=True,
            persist_state="session",
            help="“micro” is the small model that comes with this app. Any Qwen-VL checkpoint works: type its name on "
            "the hub, such as Qwen/Qwen2.5-VL-3B-Instruct, or the path of a folder.",
        )
    return model, pair


def chosen(model: str, pair: str) -> Choice | None:
    """The two cases of a pair; None while two own pictures are still to be chosen.

    Raises:
        QwenVLDebugError: what someone typed cannot be asked.
    """
    choice = own_form.ask() if pair == pairs.OWN else pairs.gallery_choice(pair)
    return None if choice is None else thinking.choose(model, shown_picture.choose(choice))


def answered(model: str, pair: str) -> Choice | None:
    """Have the pair answered, with its progress on the page.

    Returns, raises: as `chosen`.
    """
    choice = chosen(model, pair)
    if choice is not None:
        with st.container():  # always there, so that what follows keeps its place on the page
            work.status(work.submit(model, choice), work.scope_of(model, choice))
    return choice
