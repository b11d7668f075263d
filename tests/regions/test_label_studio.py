"""Label Studio files go out and come back exactly; rotation, per cent and brush data mean what Label Studio means."""

from __future__ import annotations

import contextlib
import json
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, brush_rle, region_mask
from qwenvl_debug.regions.files import Imported
from qwenvl_debug.regions.label_studio import from_label_studio, labelling_setup, to_label_studio
from tests.regions.strategies import HEIGHT, SIZE, WIDTH, masks, outlines, regions

# A mask of 9 x 6 pixels, and what Label Studio's own converter (0.0.59) makes of it.
PAINTED = np.zeros((6, 9), bool)
PAINTED[1:5, 2:7] = True
PAINTED[2, 4] = False
PAINTED[5, 8] = True
PACKED = [
    0, 0, 0, 216, 57, 27, 254, 43, 0, 194, 127, 247, 192, 39, 255, 140,
    2, 127, 251, 224, 24, 79, 254, 248, 6, 19, 255, 196, 224, 17, 255, 128,
]  # fmt: skip


def through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


def result(kind, **value):
    sizes = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    return {"id": kind, "type": f"{kind}labels", **sizes, "value": value | {f"{kind}labels": ["Car"]}}


def a_task(*results, image="/data/upload/3/0a1b2c3d-Red_car.jpg", **more):
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": list(results)}]} | more


def read(*results, size=(200, 100)):
    return from_label_studio([a_task(*results)], size).regions


@given(regions())
def test_a_region_comes_back_exactly(region):
    back = from_label_studio(through_json(to_label_studio([region], SIZE, "p.png")), SIZE, "p.png")
    assert back == Imported((region,))


@given(regions(outlines, most=1))
def test_without_our_own_field_shapes_are_the_same_but_for_rounding(region):
    data = through_json(to_label_studio([region], SIZE, "p.png"))
    del data[0]["annotations"][0]["result"][0]["meta"]
    (back,) = from_label_studio(data, SIZE).regions
    (ours,), (theirs,) = region.shapes, back.shapes
    assert type(ours) is type(theirs)
    flat = [np.ravel(np.asarray(list(vars(one).values()), dtype=float)) for one in (ours, theirs)]
    assert np.allclose(*flat, atol=1e-9)


@given(masks())
def test_masks_come_back_to_the_pixel_with_and_without_our_own_field(mask):
    data = through_json(to_label_studio([Region("m", mask)], SIZE, "p.png"))
    del data[0]["annotations"][0]["result"][0]["meta"]
    assert from_label_studio(data, SIZE).regions[0].shapes == (mask,)


def test_strokes_go_out_as_one_mask_of_what_is_left_of_the_region():
    region = Region("r", (Rectangle(5, 5, 30, 20), Brush(((10, 10), (30, 20)), 6, erase=True)))
    (one,) = to_label_studio([region], SIZE, "p.png")[0]["annotations"][0]["result"]
    assert np.array_equal(brush_rle.decode(one["value"]["rle"], SIZE), region_mask(region, SIZE))


def test_what_was_moved_in_label_studio_counts_and_the_region_stays_together():
    region = Region("r", (Rectangle(6, 4, 12, 8), Polygon(((1, 1), (9, 1), (5, 9)))), "avoid")
    other = Region("s", Ellipse(20, 20, 5, 5))
    data = through_json(to_label_studio([region, other], SIZE, "p.png"))
    data[0]["annotations"][0]["result"][0]["value"]["x"] = 50
    moved, kept = from_label_studio(data, SIZE).regions
    assert moved.shapes[0] == Rectangle(30, 4, 12, 8)
    assert len(moved.shapes) == 2
    assert kept == other


def test_brush_data_are_those_of_label_studio():
    assert brush_rle.encode(PAINTED) == PACKED
    assert np.array_equal(brush_rle.decode(PACKED, (9, 6)), PAINTED)


def test_brush_data_with_words_that_do_not_repeat_are_read_by_their_alpha():
    # head: 8 words of 8 bits, widths 3, 4, 8, 16; then eight words as they are: two RGBA pixels
    head = f"{8:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    words = "".join(f"{word:08b}" for word in (9, 9, 9, 0, 0, 0, 0, 200))
    text = head + "0" + "00" + f"{7:03b}" + words
    text += "0" * (-len(text) % 8)
    data = [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]
    assert brush_rle.decode(data, (2, 1)).tolist() == [[False, True]]


@given(masks(height=7, width=5))
def test_brush_data_keep_every_pixel(mask):
    assert np.array_equal(brush_rle.decode(brush_rle.encode(mask.pixels), (5, 7)), mask.pixels)


def test_long_runs_of_a_large_mask_are_kept():
    pixels = np.zeros((500, 700), bool)
    pixels[100:400] = True
    data = brush_rle.encode(pixels)
    assert len(data) < 200
    assert np.array_equal(brush_rle.decode(data, (700, 500)), pixels)


@given(st.lists(st.integers(0, 255), max_size=40), st.booleans())
def test_any_brush_data_are_a_mask_of_the_size_or_refused(data, headed):
    data = (PACKED[:7] if headed else []) + data
    with contextlib.suppress(RegionError):
        assert brush_rle.decode(data, (9, 6)).shape == (6, 9)


def test_coordinates_are_per_cent_of_width_and_height():
    box, disc, outline = read(
        result("rectangle", x=10, y=20, width=30, height=40, rotation=0),
        result("ellipse", x=50, y=50, radiusX=10, radiusY=10, rotation=30),
        result("polygon", points=[[0, 0], [50, 0], [50, 100]]),
    )
    assert box.shapes == (Rectangle(20, 20, 60, 40),)
    assert disc.shapes == (Ellipse(100, 50, 20, 10, 30),)
    assert outline.shapes == (Polygon(((0, 0), (100, 0), (100, 100))),)
    assert [one.name for one in (box, disc, outline)] == ["Car", "Car 2", "Car 3"]


def test_a_turned_rectangle_is_turned_in_pixels_about_its_top_left_corner():
    (box,) = read(result("rectangle", x=50, y=10, width=20, height=50, rotation=90))
    assert np.allclose(box.shapes[0].points, [(100, 10), (100, 50), (50, 50), (50, 10)])


def test_labels_beside_a_shape_name_it():
    plain = {"id": "a", "type": "rectangle", "value": {"x": 1, "y": 1, "width": 5, "height": 5}}
    label = {"id": "a", "type": "labels", "value": {"labels": ["Bus"]}}
    choice = {"id": "b", "type": "choices", "value": {"choices": ["blurred"]}}
    assert [region.name for region in read(plain, label, choice)] == ["Bus"]


def test_the_smaller_export_is_read_too():
    box = {"x": 10, "y": 20, "width": 30, "height": 40, "rectanglelabels": ["Car"]}
    data = [{"id": 5, "image": "https://x.org/car.png?sig=1", "label": [box | {"original_width": 200}]}]
    (region,) = from_label_studio(data, (200, 100), "car.png").regions
    assert region.shapes == (Rectangle(20, 20, 60, 40),)


def test_the_task_is_found_by_its_upload_name_an_address_or_the_size():
    tasks = [
        a_task(result("rectangle", x=1, y=0, width=1, height=1)),
        a_task(result("rectangle", x=2, y=0, width=1, height=1), image="/data/local-files/?d=a%20b/blue car.png"),
        a_task(result("rectangle", x=3, y=0, width=1, height=1) | {"original_width": 50}),
    ]

    def where(size, name):
        return from_label_studio(tasks, size, name).regions[0].shapes[0].x * 100 / size[0]

    assert where((200, 100), "blue car.png") == pytest.approx(2)
    assert where((50, 100), "anything.png") == pytest.approx(3)
    with pytest.raises(RegionError, match="not clear which is meant"):
        where((200, 100), "anything.png")


def test_the_latest_annotation_that_was_not_cancelled_is_taken():
    def made(x, when, **more):
        return {"updated_at": when, "result": [result("rectangle", x=x, y=0, width=1, height=1)]} | more

    annotations = [made(2, "2026-02-01"), made(1, "2026-01-01"), made(3, "2026-03-01", was_cancelled=True)]
    found = from_label_studio(a_task(annotations=annotations, predictions=[made(9, "2027")]), (200, 100))
    assert found.regions[0].shapes[0].x == 4
    assert found.left_out == ("Only the latest of the task's 2 annotations was taken.",)


def test_what_cannot_be_used_is_left_out_and_said():
    good = result("rectangle", x=1, y=1, width=5, height=5)
    found = from_label_studio(
        a_task(
            good,
            result("keypoint", x=1, y=1),
            good | {"image_rotation": 90},
            result("brush", format="png", rle=[]),
            result("brush", format="rle", rle=[1, 2, 3]),
            result("polygon", points=[[1, 1], [2, 2]]),
            result("polygon", points=[[1, 1], [2]]),
            result("ellipse", x=1, y=1, radiusX=-1, radiusY=1),
            result("rectangle", x=1, y=1, width=5),
            good | {"original_width": 30},
        ),
        (200, 100),
    )
    assert len(found.regions) == 1
    assert len(found.left_out) == 9


def test_the_labelling_setup_has_a_control_for_all_that_is_written():
    ones = [Region('a "b" <c>', Rectangle(0, 0, 1, 1)), Region("m", Mask(np.ones((HEIGHT, WIDTH))))]
    view = xml.fromstring(labelling_setup(ones))
    for one in to_label_studio(ones, SIZE, "p.png")[0]["annotations"][0]["result"]:
        control = view.find(f"*[@name='{one['from_name']}']")
        assert control.tag.lower() == one["type"]
        assert one["value"][one["type"]][0] in [label.get("value") for label in control]


@pytest.mark.parametrize(
    "broken",
    [
        b"no json",
        [],
        {},
        [{"data": {"image": "a.png"}, "annotations": []}],
        [{"annotations": [{"result": [7, None]}]}],
        [a_task({"type": "choices", "value": {"choices": ["x"]}})],
        [a_task(result("rectangle", x="1", y=1, width=5, height=5))],
        [a_task(result("rectangle", width=5, height=5) | {"value": []})],
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(broken):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        from_label_studio(broken, (200, 100))
