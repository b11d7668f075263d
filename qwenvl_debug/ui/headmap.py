"""The head map: every head of both runs as a point, with an arrow from the correct run to the failing one.

The component is plain HTML, CSS and JavaScript in the folder `headmap`, joined here with the viewer's own maps and
colours into one module: no build step.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from qwenvl_debug.ui.payload import maps_payload, picture_payload

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.compare import Comparison
    from qwenvl_debug.compare.head_map import HeadMap

_FOLDER = files("qwenvl_debug.ui")


def _read(*names: str) -> str:
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in names)


_HEADMAP = st.components.v2.component(
    "qwenvl_debug_headmap",
    html=_read("headmap/headmap.html"),
    css=_read("headmap/headmap.css"),
    js=_read("viewer/palettes.js", "viewer/maps.js", "headmap/plot.js", "headmap/headmap.js"),
)


def headmap(data: dict[str, Any], *, key: str, on_open: Callable[[], None]) -> None:
    """Mount the head map.

    Args:
        data: what `headmap_data` made; its id must change when anything of it does.
        key: the component's key; `st.session_state[key]["open"]` holds {layer, head} when a head is to be opened.
        on_open: called then.
    """
    _HEADMAP(data=data, key=key, on_open_change=on_open)


def headmap_data(
    name: str, comparison: Comparison, places: HeadMap, pictures: tuple[Picture, Picture]
) -> dict[str, Any]:
    """Everything the head map draws, JSON-ready.

    Args:
        name: what tells this head map from any other.
        comparison: whose maps are shown beside the plot.
        places: where the heads stand.
        pictures: that of the correct and that of the failing case.
    """
    layers, heads = places.left.shape[:2]
    return {
        "id": name,
        "layers": int(layers),
        "heads": int(heads),
        "left": _points(places.left),
        "right": _points(places.right),
        "explained": [float(part) for part in places.explained],
        "maps": [maps_payload(comparison.left), maps_payload(comparison.right)],
        "pictures": [picture_payload(picture) for picture in pictures],
    }


def _points(places: np.ndarray) -> list[list[list[float] | None]]:
    """[layers][heads] of [x, y] from float [layers, heads, 2]; None where a head has no map."""
    return [
        [[round(float(x), 5), round(float(y), 5)] if np.isfinite(x) else None for x, y in layer] for layer in places
    ]
