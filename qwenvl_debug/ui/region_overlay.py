"""What is drawn on a picture, for pages that only show it? Outlines of the regions, and what scores say in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import region_mask
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.ui import drawings
from qwenvl_debug.ui.region_reading import region_reading
from qwenvl_debug.ui.region_scores import score_sides

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.maps import MapStack
    from qwenvl_debug.regions import Region

COLOURS = ("#d6246e", "#3a78e0", "#c79a00", "#2c9a5b", "#8b56cf", "#b0542a", "#5f7d00", "#7a7f87")
"""Of regions that nobody has given a colour, in their order; those of the editor (`editor/drawing.js`)."""

BOX = "#e8e4da"
"""Of the boxes that an answer names, which nobody has drawn."""

SLACK = 0.75
"""Pixels by which a simplified outline may leave the true one."""


def outlines(picture: Picture) -> list[dict[str, Any]]:
    """Outlines of the regions drawn on a picture, JSON-ready.

    Returns:
        One dictionary a region, in the order they were drawn: name; colour as "#rrggbb"; expect ("look", "avoid" or
        "measure"); path, the d of an SVG path in pixels of the picture, to be filled by the even-odd rule (holes are
        part of it). Regions that are empty, outside the picture or unusable are left out.
    """
    drawing = drawings.load(picture.sha256) or drawings.Drawing()
    found = []
    for number, record in enumerate(drawing.records):
        try:
            region = from_record(record)
            path = _path(json.dumps({**record, "colour": None}, sort_keys=True), picture.size)
        except RegionError:
            continue  # the Regions page says what is wrong with it
        if path:
            colour = record.get("colour") or COLOURS[number % len(COLOURS)]
            found.append({"name": region.name, "colour": colour, "expect": region.expect, "path": path})
    return found


def box_outlines(found: Sequence[Region], picture: Picture) -> list[dict[str, Any]]:
    """Outlines of the boxes that an answer names, as `outlines`."""
    drawn = []
    for box in found:
        if path := _path(json.dumps({**to_record(box), "colour": None}, sort_keys=True), picture.size):
            drawn.append({"name": box.name, "colour": BOX, "expect": box.expect, "path": path})
    return drawn


def reading_of(stacks: tuple[MapStack, MapStack], pictures: tuple[Picture, Picture]) -> str | None:
    """The sentence that says most about the regions drawn on both pictures; None where nothing is drawn.

    Args:
        stacks: maps of the correct and of the failing run, of any normalisation.
        pictures: theirs.

    Returns:
        Of the regions on which something is expected, the one on which the two runs differ most; plain text.
    """
    drawn = [(drawings.load(picture.sha256) or drawings.Drawing()).regions()[0] for picture in pictures]
    if not any(drawn):
        return None
    try:
        scores = score_sides(stacks, tuple(drawn), tuple(picture.size for picture in pictures))
    except RegionError:
        return None  # the Regions page says what is wrong
    return region_reading(scores, scores.most_telling())


@lru_cache(maxsize=512)
def _path(record: str, size: tuple[int, int]) -> str:
    """The outline of a region: its pixels' borders by OpenCV, straightened a little; "" where it has no pixel."""
    mask = region_mask(from_record(json.loads(record)), size).astype(np.uint8)
    borders, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = []
    for border in borders:
        points = cv2.approxPolyDP(border, SLACK, True)[:, 0] + 0.5  # OpenCV counts from the middles of pixels
        parts.append("M" + "L".join(f"{x:g} {y:g}" for x, y in points) + "Z")
    return "".join(parts)
