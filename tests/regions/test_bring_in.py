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
    UnclearFile,
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
        ("export.zip", b"PK\x03\x04rest", "this is a ZIP archive: unpack it"),
        ("a.xml", b"<?xml version='1.0'?><annotations><version>1.1", "this is CVAT XML: export the task as COCO 1.0"),
        ("a.xml", b"<annotation><folder>x</folder>", "this is Pascal VOC XML: export COCO JSON instead"),
        ("a.txt", b"0 0.5 0.5 0.2 0.3\n7 0.1 0.2 0.3 0.4\n", "this is YOLO labels: export COCO JSON"),
        ("a.ndjson", b'{"data_row": {}}\n{"data_row": {}}\n', "this is lines of JSON"),
        ("labelme.json", b'{"version": "5", "shapes": [], "imagePath": "a.png"}', "this is LabelMe JSON"),
        ("via.json", b'{"_via_settings": {}, "_via_img_metadata": {}}', "the VGG Image Annotator"),
        ("via.json", b'{"a.png123": {"filename": "a.png", "regions": []}}', "the VGG Image Annotator"),
        ("sly.json", b'{"size": {"width": 64}, "objects": []}', "this is Supervisely JSON"),
        ("labelbox.json", b'[{"data_row": {}, "projects": {}}]', "this is Labelbox JSON"),
        (
            "cvat.json",
            b'[{"version": 0, "tags": [], "shapes": [], "tracks": []}]',
            "this is CVAT JSON: export the task",
        ),
        ("darwin.json", b'{"item": {"name": "a"}, "annotations": []}', "this is V7 Darwin JSON"),
        ("datumaro.json", b'{"categories": {}, "items": []}', "this is Datumaro JSON"),
        ("createml.json", b'[{"image": "a.png", "annotations": [{"coordinates": {}}]}]', "this is CreateML JSON"),
        ("results.json", b'[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}]', "this is COCO results JSON"),
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


def test_a_mask_of_a_photo_before_exif_turned_it_is_turned():
    stored = png((48, 64), (0, 0, 12, 64))
    found = bring_in("left.png", stored, SIZE, exif=6)
    assert region_mask(found.regions[0], SIZE)[:12].all()
    assert region_mask(found.regions[0], SIZE).sum() == 12 * 64
    assert found.left_out == ("left.png: The regions were turned by 90° as EXIF says of this photo.",)
    half = bring_in("left.png", png((24, 32), (0, 0, 6, 32)), SIZE, exif=6)
    assert np.array_equal(region_mask(half.regions[0], SIZE), region_mask(found.regions[0], SIZE))
    for exif in (None, 1, 3):
        with pytest.raises(RegionError, match=r"sides swapped as in a photo before its EXIF"):
            bring_in("left.png", stored, SIZE, exif=exif)
    assert bring_in("whole.png", png(SIZE), SIZE, exif=6).left_out == ()


def test_a_question_that_a_file_leaves_open_names_the_file():
    data = json.dumps(to_coco([REGION], SIZE, "a.png")).encode()
    found = bring_in("some.json", data, SIZE, "b.png")
    assert found.question.sentence.startswith("some.json: The file has no image called b.png")
    assert bring_in("some.json", data, SIZE, "b.png", image=found.question.choices[0]).question is None
    with pytest.raises(UnclearFile, match=r"^some\.json: The file gives 64 x 48") as error:
        bring_in("some.json", data, SIZE[::-1], "a.png", exif=6)
    assert error.value.question.parameter == "frame"
