"""The editor's wish to snap is answered with a mask or with one sentence, and only for the pictures it shows."""

import cv2
import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.regions import from_record
from qwenvl_debug.ui.region_snap import found

DISC = cv2.circle(np.zeros((120, 160), np.uint8), (80, 60), 30, 1, cv2.FILLED) > 0
NOISE = np.random.default_rng(0).integers(0, 20, (120, 160, 3))
PICTURE = Picture.open((np.where(DISC[..., None], (190, 40, 30), (60, 120, 90)) + NOISE).astype(np.uint8))
BOX = {"kind": "rectangle", "x": 40, "y": 20, "width": 80, "height": 80}


def test_a_rough_box_is_answered_with_the_mask_of_the_object():
    answer = found(PICTURE, [BOX])
    assert answer["error"] is None
    mask = from_record({"version": 1, "name": "x", "shapes": [answer["mask"]]}).shapes[0].pixels
    assert (mask & DISC).sum() / (mask | DISC).sum() > 0.95


@pytest.mark.parametrize(
    "shapes", [None, [], [{"kind": "circle"}], [{**BOX, "width": -1}], [{**BOX, "x": 900}], [{**BOX, "x": "left"}]]
)
def test_what_cannot_be_snapped_is_answered_with_one_sentence(shapes):
    answer = found(PICTURE, shapes)
    assert answer["mask"] is None
    assert answer["error"].endswith(".")
    assert "\n" not in answer["error"]
