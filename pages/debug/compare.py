"""Compare: a right and a wrong answer side by side, and where the model looked in each."""

import streamlit as st

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.ui import compare_view, page_head, sentence

model, pair = page_head.pair_and_model(
    "Compare", "Where did the model look when it was right, and where when it was wrong?"
)

try:
    choice = page_head.answered(model, pair)
    if choice is not None:
        compare_view.look(model, choice)
        st.page_link("pages/debug/regions.py", label="Next: mark where it should have looked, and score both runs →")
except QwenVLDebugError as error:
    sentence.show_error(str(error))
