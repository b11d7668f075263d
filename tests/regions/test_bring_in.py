"""Files that people bring: each kind is known by what is in it, and what cannot be used is said in one sentence."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import (
    Ellipse,
    Rectangle,
    Region,
    bring_in,
    mask_to_png,
    region_mask,
    to_coco,
    to_label_studio,
)

SIZE = (64, 48)
REGION = Region("spheres", (Rectangle(4, 6, 20, 30),), "avoid")


def png(size, mark=(0, 0, 8, 8), mode="L"):
    image = Image.new(mode, size)
    image.paste(255, mark)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_mask_is_named_after_its_file_and_kept_pixel_by_pixel():
    found = bring_in("left tower.png", mask_to_png(REGION, SIZE), SIZE)
    assert found.left_out == ()
    assert found.regions[0].name == "left tower"
    np.testing.assert_array_equal(found.regions[0].shapes[0].pixels, region_mask(REGION, SIZE))


def test_a_mask_of_the_same_proportions_is_fitted_and_that_is_said():
    found = bring_in("half.png", png((32, 24), (0, 0, 16, 12)), SIZE)
    assert region_mask(found.regions[0], SIZE).mean() == 0.25
    assert found.left_out == ("half.png: the mask has 32 x 24 pixels and was fitted to the picture's 64 x 48.",)


@pytest.mark.parametrize("make", [to_coco, to_label_studio])
def test_coco_and_label_studio_are_told_apart_and_bring_the_region_back(make):
    data = json.dumps(make([REGION], SIZE, "a.png")).encode()
    assert bring_in("regions.json", data, SIZE, "a.png").regions == (REGION,)


def test_what_was_left_out_of_a_file_is_named_with_the_file():
    coco = to_coco([REGION, Region("disc", (Ellipse(30, 20, 5, 5),))], SIZE, "a.png")
    del coco["annotations"][1]["qwenvl_debug"], coco["annotations"][1]["segmentation"], coco["annotations"][1]["bbox"]
    found = bring_in("some.json", json.dumps(coco).encode(), SIZE)
    assert [region.name for region in found.regions] == ["spheres"]
    assert [sentence[:25] for sentence in found.left_out] == ["some.json: Annotation 2: "]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("m.png", png((48, 48)), "48 x 48 pixels and the picture 64 x 48"),
        ("m.png", png(SIZE, (0, 0, 0, 0)), "black everywhere"),
        ("m.png", b"\x89PNG\r\n\x1a\nbroken", "not a PNG that can be read"),
        ("photo.png", b"\xff\xd8\xff\xe0", "this is a JPEG picture"),
        ("notes.json", b"hello", "neither PNG nor JSON"),
        ("other.json", b'{"a": 1}', "neither COCO"),
        ("list.json", b"[1, 2]", "neither COCO"),
        ("coco.json", json.dumps(to_coco([REGION], (80, 60), "a.png")).encode(), "80 x 60"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence_with_its_name(name, data, words):
    with pytest.raises(RegionError) as error:
        bring_in(name, data, SIZE)
    said = str(error.value)
    assert said.startswith(f"{name}: ")
    assert words in said
    assert said.endswith(".")
    assert "\n" not in said
