"""The door of the app: page settings and the list of pages. No work is done here.

Pages live one folder down. A script directly in `pages/` would be served by Streamlit on its own, past this door.
"""

import streamlit as st

st.set_page_config(page_title="Qwen-VL debugger", page_icon="🔎", layout="wide")

page = st.navigation(
    [
        st.Page(
            "pages/debug/compare.py",
            title="Compare",
            help="A right and a wrong answer side by side: where the model looked, layer by layer.",
            default=True,
        ),
        st.Page(
            "pages/debug/regions.py",
            title="Regions",
            help="Mark where the model should have looked, and score every layer and head on it.",
        ),
    ],
    position="top",
)
page.run()
