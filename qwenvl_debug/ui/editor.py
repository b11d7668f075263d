"""The region editor: draw on one or two pictures side by side; every finished change comes back as plain regions.

The component is plain HTML, CSS and JavaScript in the folder `editor`, joined here into one module: no build step.
What someone draws stays in the browser and is sent from there. It is never sent back: the editor's data hold the
pictures alone, and what others have drawn comes through a component of its own, see `drawings.follow`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from PIL import Image

from qwenvl_debug.compare import align
from qwenvl_debug.report.palette import cell_alpha, palette
from qwenvl_debug.ui import drawings, region_copy, region_snap
from qwenvl_debug.ui.payload import picture_payload

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.compare import Alignment

_FOLDER = files("qwenvl_debug.ui") / "editor"
_SCRIPTS = (
    "rle",
    "shapes",
    "drawing",
    "kept",
    "meanwhile",
    "stage",
    "gestures",
    "keys",
    "fields",
    "list",
    "snap",
    "copy",
    "editor",
)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


_EDITOR = st.components.v2.component(
    "qwenvl_debug_editor",
    html=_read("editor.html"),
    css=_read("editor.css"),
    js="\n".join(_read(f"{name}.js") for name in _SCRIPTS),
)


_SNAPPED = st.components.v2.component("qwenvl_debug_snapped", js=_read("snapped.js"))
_COPIED = st.components.v2.component("qwenvl_debug_copied", js=_read("copied.js"))
_ATTENTION = st.components.v2.component("qwenvl_debug_attention", js=_read("attention.js"))
OPACITY = 0.8


@dataclass(frozen=True)
class Panel:
    """One picture to draw on: what to call it, the picture, and what is seen on it in words."""

    name: str
    picture: Picture
    caption: str


def editor(
    panels: tuple[Panel, ...],
    *,
    key: str,
    on_drawn: Callable[[], None] = lambda: None,
    alignment: Callable[[], Alignment] | None = None,
) -> None:
    """Mount the editor on one or two pictures. Read what is drawn with `drawings.load`.

    Args:
        panels: the pictures; the first is the correct one where there are two.
        key: the component's key.
        on_drawn: called after a change was kept.
        alignment: how the second picture lies on the first, by which regions are copied from one to the other; found
            out by default.
    """
    appeared = key not in st.session_state  # Streamlit drops a component's state with the page it was on
    drawings.show([panel.picture for panel in panels], appeared)
    _EDITOR(
        data={"panels": [_panel(panel) for panel in panels]},
        key=key,
        on_drawings_change=partial(_keep, key, on_drawn),
        on_snap_change=partial(_ask, key),
        on_copy_change=partial(_ask_copy, key),
    )
    drawings.follow(tuple(panel.picture.sha256 for panel in panels), key=f"{key}_drawings")
    # after the editor, and before anything slower on the page
    pictures = [panel.picture for panel in panels]
    _SNAPPED(data={"answer": region_snap.answer(pictures)}, key=f"{key}_snapped", height=1)
    answer = region_copy.answer(pictures, alignment or (lambda: align(*pictures)))
    _COPIED(data={"answer": answer}, key=f"{key}_copied", height=1)


def attention(pictures: Sequence[Picture], maps: Sequence[np.ndarray], *, key: str, lit: int = 0) -> None:
    """Give the editor the maps that can be laid over its pictures, on one colour scale.

    Args:
        pictures: those of the editor, in its order.
        maps: for each, float32 [rows, cols], >= 0; NaN where there is no map.
        key: the component's key.
        lit: a higher number than before lays them over the pictures, even where someone had switched that off.
    """
    top = max((float(np.nanmax(one, initial=0.0)) for one in maps), default=0.0)
    sides = [
        {"sha": picture.sha256, "cells": _cells(one, top) if top > 0 and np.isfinite(one).all() else None}
        for picture, one in zip(pictures, maps, strict=True)
    ]
    _ATTENTION(data={"sides": sides, "lit": lit}, key=key, height=1)


def _cells(values: np.ndarray, top: float) -> str:
    """One pixel per cell, as a data address of a PNG."""
    share = np.clip(values / top, 0, 1)
    alpha = np.round(255 * cell_alpha(share, OPACITY))[..., None]
    pixels = np.concatenate([palette()[np.round(share * 255).astype(np.uint8)], alpha.astype(np.uint8)], axis=-1)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _keep(key: str, on_drawn: Callable[[], None]) -> None:
    drawings.receive(st.session_state[key].get("drawings"))
    on_drawn()


def _ask(key: str) -> None:
    region_snap.ask(st.session_state[key].get("snap"))


def _ask_copy(key: str) -> None:
    region_copy.ask(st.session_state[key].get("copy"))


def _panel(panel: Panel) -> dict[str, Any]:
    picture = panel.picture
    return {
        "name": panel.name,
        "caption": panel.caption,
        "sha": picture.sha256,
        "width": picture.width,
        "height": picture.height,
        "picture": _picture(picture.sha256, picture),
    }


@st.cache_resource(show_spinner=False, max_entries=32)
def _picture(sha256: str, _picture: Picture) -> str:
    return picture_payload(_picture)
