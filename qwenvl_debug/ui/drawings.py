"""What has been drawn on a picture? The regions of each picture, by its hash, for as long as the session lasts.

The browser keeps a copy of its own (see `editor/drawing.js`), so that a reload finds the drawings again. A drawing's
version grows with every change, wherever it is made; of two drawings of one picture the higher version counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Region
from qwenvl_debug.regions.record import from_record, to_record

MOST_REGIONS = 100
"""More on one picture is a mistake, or someone else's data."""


@dataclass(frozen=True)
class Drawing:
    """What is drawn on one picture.

    Attributes:
        version: how many changes led here; 0 for regions that came with the picture.
        records: the regions as plain data (see `regions.record`), each perhaps with its "colour" as "#rrggbb".
    """

    version: int = 0
    records: tuple[dict[str, Any], ...] = ()

    def regions(self) -> tuple[tuple[Region, ...], tuple[str, ...]]:
        """The regions, and for each record that is none, one sentence that says why."""
        found, wrong = [], []
        for record in self.records:
            try:
                found.append(from_record(record))
            except RegionError as error:
                wrong.append(str(error))
        return tuple(found), tuple(wrong)


def load(picture_sha: str) -> Drawing | None:
    """The drawing on the picture of this hash, or None where nothing was kept."""
    return st.session_state.get("drawings", {}).get(picture_sha)


def save(picture_sha: str, drawing: Drawing) -> None:
    """Keep a drawing, unless a newer one is kept already."""
    kept = st.session_state.setdefault("drawings", {})
    before = kept.get(picture_sha)
    if before is None or drawing.version >= before.version:
        kept[picture_sha] = drawing


def bring(picture_sha: str, regions: Iterable[Region]) -> None:
    """Start a picture with the regions it comes with; whatever anyone has drawn on it counts more."""
    save(picture_sha, Drawing(0, tuple(to_record(region) for region in regions)))


def replace(picture_sha: str, regions: Iterable[Region]) -> None:
    """Put other regions in place of what is drawn, as one more change that the browser can undo."""
    before = load(picture_sha) or Drawing()
    save(picture_sha, Drawing(before.version + 1, tuple(to_record(region) for region in regions)))
    seed(picture_sha, anew=True)


def seed(picture_sha: str, anew: bool = False) -> Drawing:
    """The drawing as the browser was last given it: not what it has drawn since, or all would be sent back to it."""
    seeds = st.session_state.setdefault("drawing_seeds", {})
    if anew or picture_sha not in seeds:
        seeds[picture_sha] = load(picture_sha) or Drawing()
    return seeds[picture_sha]


def received(sent: Any) -> dict[str, Drawing]:
    """Drawings by picture from what the editor sent; anything else is left aside."""
    found = {}
    for sha, drawing in sent.items() if isinstance(sent, dict) else ():
        version, records = (drawing.get("version"), drawing.get("regions")) if isinstance(drawing, dict) else (0, 0)
        if isinstance(version, int) and version >= 0 and isinstance(records, list):
            found[sha] = Drawing(version, tuple(one for one in records[:MOST_REGIONS] if isinstance(one, dict)))
    return found
