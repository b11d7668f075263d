"""What other pages show of a drawing: outlines that enclose the drawn pixels, in the editor's colours."""

import json
import re
from importlib.resources import files

import cv2
import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.maps import map_stack
from qwenvl_debug.regions import Brush, Ellipse, Mask, Rectangle, Region, region_mask
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui import drawings, region_overlay
from tests.ui.hand_made import make_run

PICTURE = Picture.open(np.zeros((120, 160, 3), np.uint8))
RING = np.zeros((120, 160), bool)
RING[20:90, 30:110] = True
RING[40:70, 50:90] = False
REGIONS = (
    Region("ring", (Mask(RING),)),
    Region("disc", (Ellipse(80, 60, 40, 25, 30), Brush(((60, 60), (100, 60)), 10, erase=True)), "avoid"),
    Region("away", (Rectangle(900, 900, 10, 10),)),
)


def drawn(monkeypatch, records):
    monkeypatch.setattr(drawings, "load", lambda sha: drawings.Drawing(1, tuple(records)))
    return region_overlay.outlines(PICTURE)


def filled(path):
    """The pixels of a path under the even-odd rule, by OpenCV."""
    parts = [np.array(re.findall(r"[\d.]+", part), float).reshape(-1, 2) for part in path.split("Z") if part]
    mask = np.zeros((120, 160), np.uint8)
    cv2.fillPoly(mask, [np.round((part - 0.5) * 256).astype(np.int32) for part in parts], 1, cv2.LINE_8, 8)
    return mask > 0


@pytest.mark.parametrize("number", [0, 1])
def test_an_outline_encloses_the_pixels_of_its_region_holes_left_out(monkeypatch, number):
    found = drawn(monkeypatch, map(to_record, REGIONS))[number]
    wanted = region_mask(REGIONS[number], PICTURE.size)
    border = cv2.dilate(wanted.astype(np.uint8), np.ones((3, 3))) != cv2.erode(wanted.astype(np.uint8), np.ones((3, 3)))
    assert (filled(found["path"]) == wanted)[~border].all()


def test_outlines_carry_name_colour_and_expectation_and_leave_out_what_is_not_on_the_picture(monkeypatch):
    broken = {"version": 1, "name": "x", "shapes": "none"}
    found = drawn(monkeypatch, [*map(to_record, REGIONS), broken, {**to_record(REGIONS[0]), "colour": "#112233"}])
    assert [(one["name"], one["expect"], one["colour"]) for one in found] == [
        ("ring", "look", region_overlay.COLOURS[0]),
        ("disc", "avoid", region_overlay.COLOURS[1]),
        ("ring 2", "look", "#112233"),
    ]


def test_the_colours_are_those_of_the_editor():
    script = (files("qwenvl_debug.ui") / "editor" / "drawing.js").read_text(encoding="utf-8")
    assert json.loads(re.search(r"const COLOURS = (\[.*\])", script)[1]) == list(region_overlay.COLOURS)


def test_the_sentence_is_about_the_most_telling_region_or_there_is_none(monkeypatch):
    stacks = tuple(map_stack(make_run((("Pearl", None, 0.8),), cells)) for cells in ([0.6, 0, 0, 0], [0.1, 0, 0, 0.1]))
    records = [to_record(Region(name, (Rectangle(x, 0, 80, 60),))) for name, x in (("left", 0), ("right", 80))]
    monkeypatch.setattr(drawings, "load", lambda sha: drawings.Drawing(1, tuple(records)))
    said = region_overlay.reading_of(stacks, (PICTURE, PICTURE))
    assert "100 % of its picture attention on “left” (chance 25 %), the failing one 50 %" in said
    monkeypatch.setattr(drawings, "load", lambda sha: None)
    assert region_overlay.reading_of(stacks, (PICTURE, PICTURE)) is None
