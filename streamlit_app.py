"""The door of the app: page settings and the list of pages. No work is done here.

Pages live one folder down. A script directly in `pages/` would be served by Streamlit on its own, past this door.
"""

import sys
from pathlib import Path

import streamlit as st

from qwenvl_debug.errors import SettingsError
from qwenvl_debug.settings import read_settings, take_arguments

st.set_page_config(page_title="Qwen-VL debugger", page_icon="🔎", layout="wide")

try:  # streamlit run streamlit_app.py -- --model Qwen/Qwen2.5-VL-3B-Instruct --low-memory
    if Path(sys.argv[0]).name == Path(__file__).name:  # else something other than `streamlit run` runs the app
        take_arguments(sys.argv[1:])
    read_settings()  # a wrong one is told before anything rests on it
except SettingsError as error:
    st.error(str(error))
    st.stop()

page = st.navigation(
    {
        "": [
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
            st.Page(
                "pages/debug/explore.py",
                title="Explore",
                help="Both runs as a whole: which heads changed, and what each layer reads.",
            ),
            st.Page(
                "pages/debug/sweep.py",
                title="Sweep",
                help="Make a picture harder step by step, and see where the answer flips.",
            ),
        ],
        "Model": [
            st.Page(
                "pages/model/architecture.py",
                title="Architecture",
                help="What a model is made of: its parts, its attention, and how a picture becomes tokens.",
            ),
        ],
    },
    position="top",
)
page.run()
