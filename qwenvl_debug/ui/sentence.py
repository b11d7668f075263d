"""Saying what went wrong in one sentence, letter for letter."""

import re

import streamlit as st

_MARKS = re.compile(r"([\\`*_\[\]$~<:])")


def plain(text: str) -> str:
    """Text in which Streamlit's Markdown finds nothing to format: names and paths keep their characters."""
    return _MARKS.sub(r"\\\1", text)


def show_error(text: str) -> None:
    """Show one sentence as an error."""
    st.error(plain(text))
