"""Label Studio files go out and come back exactly; rotation, per cent and brush data mean what Label Studio means."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import xml.etree.ElementTree as xml

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, brush_rle, region_mask
from qwenvl_debug.regions.files import Imported, UnclearFile
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
    for exif in (3, 6):  # as other tools' files may be of the photo before it was turned, but not this one
        assert from_label_studio(to_label_studio([region], SIZE, "p.png"), SIZE, "p.png", exif=exif) == back


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


def made(x, when="", **more):
    """An annotation or prediction of one box, or of none where x is None."""
    drawn = [] if x is None else [result("rectangle", x=x, y=0, width=1, height=1)]
    return {"updated_at": when, "result": drawn} | more


def test_the_latest_annotation_is_taken_and_that_is_said():
    annotations = [made(2, "2026-02-01"), made(1, "2026-01-01"), made(3, "2026-01-15", was_cancelled=True)]
    found = from_label_studio(a_task(annotations=annotations, predictions=[made(9, "2027")]), (200, 100))
    assert found.regions[0].shapes[0].x == 4
    assert found.left_out == ("Only the latest of the task's 2 annotations was taken.",)


@pytest.mark.parametrize(
    ("annotations", "x"),
    [
        ([made(1, "2026-01-01T00:00:00.500Z"), made(2, "2026-01-01T00:00:00Z")], 2),
        ([made(1, "2026-01-01T01:00:00+02:00"), made(2, "2026-01-01T00:00:00Z")], 4),
        ([made(1, None, created_at="2026-01-02"), made(2, None, created_at="2026-01-01")], 2),
        ([made(1, 1_700_000_100), made(2, 1_700_000_000)], 2),
        ([made(1, None, id=12), made(2, None, id=9)], 2),
        ([made(1, None), made(2, None)], 4),
    ],
)
def test_times_are_compared_as_times_and_else_the_numbers_of_annotations(annotations, x):
    assert from_label_studio(a_task(annotations=annotations), (200, 100)).regions[0].shapes[0].x == x


def test_who_made_what_is_taken_is_said():
    annotations = [made(1, "2026-01-01", completed_by=7), made(2, "2026-02-01", completed_by={"email": "ana@x.org"})]
    found = from_label_studio(a_task(annotations=annotations), (200, 100))
    assert found.left_out == ("Only the latest of the task's 2 annotations was taken, by ana@x.org.",)


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ([made(None)], "is empty, so there are no regions."),
        (
            [made(1, "2026-01-01"), made(None, "2026-02-01", completed_by=3)],
            "by annotator 3, is empty, so there are no",
        ),
        (
            [made(1, "2026-01-01"), made(2, "2026-02-01", was_cancelled=True)],
            "was skipped, so there are no regions (1 oth",
        ),
        ([made(1, "2026-01-01", skipped=True)], "was skipped, so there are no regions."),
    ],
)
def test_an_empty_or_skipped_latest_annotation_means_no_regions(annotations, words):
    with pytest.raises(RegionError) as error:
        from_label_studio(a_task(annotations=annotations, predictions=[made(9)]), (200, 100))
    assert words in str(error.value)


def test_the_emptied_task_of_this_image_counts_and_not_another_one_of_the_size():
    tasks = [a_task(image="/x/fog.png"), a_task(result("rectangle", x=1, y=0, width=1, height=1), image="/x/clear.png")]
    with pytest.raises(RegionError, match="is empty"):
        from_label_studio(tasks, (200, 100), "fog.png")


def test_predictions_count_where_no_one_annotated_and_that_is_said():
    predictions = [
        made(1, model_version="det-1", created_at="2026-01-01"),
        made(2, model_version="det-2", created_at="2026-01-02"),
    ]
    found = from_label_studio(a_task(annotations=[], predictions=predictions, drafts=[made(5)]), (200, 100))
    assert found.regions[0].shapes[0].x == 4
    assert found.left_out == (
        "Not imported: 1 draft that was not submitted.",
        "No one has annotated this task: the regions are predictions of det-2.",
        "Only the latest of the task's 2 predictions was taken.",
    )
    with pytest.raises(RegionError, match="No one has annotated this task, only drafts"):
        from_label_studio(a_task(annotations=[], drafts=[made(5)]), (200, 100))


def box(x, **where):
    return result("rectangle", x=x, y=10, width=10, height=10) | {"id": str(x)} | where


def edges(tasks, name=None, **options):
    """The left edges of what is found, and what was said."""
    found = from_label_studio(tasks, (200, 100), name, **options)
    return [region.shapes[0].x / 2 for region in found.regions], found.left_out


TAGS = a_task(
    box(10, to_name="left"),
    box(60, to_name="right"),
    {"type": "relation", "from_id": "10", "to_id": "60"},
    {"id": "c", "type": "choices", "to_name": "question", "value": {"choices": ["hard"]}},
) | {"data": {"left": "/u/1/clear.png", "right": "/u/1/fog.png", "question": "Which tower?"}}
PAGES = a_task(box(10, to_name="image", item_index=0), box(60, to_name="image", item_index=1)) | {
    "data": {"image": ["/u/1/clear.png", "/u/1/fog.png"]}
}
SOURCES = a_task(box(10, to_name="a", source="$left"), box(60, to_name="b", source="$right")) | {"data": TAGS["data"]}
REPEATED = a_task(box(10, to_name="page_0"), box(60, to_name="page_1")) | {
    "data": {"images": [{"url": "/u/1/clear.png"}, {"url": "/u/1/fog.png"}]}
}


@pytest.mark.parametrize("task", [TAGS, PAGES, SOURCES, REPEATED], ids=["tags", "pages", "sources", "repeater"])
def test_only_the_regions_of_the_image_at_hand_are_taken(task):
    found, said = edges(task, "clear.png")
    assert found == [10]
    assert said[0] == "Not imported: 1 result on other images of the task."
    assert edges(task, "fog.png")[0] == [60]
    with pytest.raises(UnclearFile) as error:
        edges(task, "other.png")
    assert error.value.question.choices == ("clear.png", "fog.png")
    assert edges(task, "other.png", image="fog.png")[0] == [60]


def test_what_is_about_no_image_is_counted():
    assert edges(TAGS, "clear.png")[1][1] == "Not imported from the annotation: relation (1), choices (1)."


def test_pages_that_results_do_not_name_are_refused():
    task = PAGES | {"annotations": [{"result": [box(10, to_name="image"), box(60, to_name="image", item_index=1)]}]}
    found, said = edges(task, "fog.png")
    assert found == [60]
    assert "Result 10: It does not say on which of the task's images it was drawn" in said[0]
    with pytest.raises(RegionError, match="does not say on which"):
        edges(task, "clear.png")


def test_tags_that_cannot_be_led_back_to_an_image_are_asked_for():
    task = a_task(box(10, to_name="img-1"), box(60, to_name="img-2")) | {"data": TAGS["data"]}
    with pytest.raises(UnclearFile, match="tags that do not tell which image they show") as error:
        edges(task, "clear.png")
    assert error.value.question.choices == ("img-1", "img-2")
    assert edges(task, "clear.png", image="img-2")[0] == [60]
    one = a_task(box(10, to_name="img-1")) | {"data": {"picture": "/u/1/clear.png"}}
    assert edges(one, "clear.png")[0] == [10], "one image can have any tag"


def test_the_smaller_export_does_not_say_which_of_several_images_it_means():
    value = {
        "x": 1,
        "y": 1,
        "width": 5,
        "height": 5,
        "rectanglelabels": ["Car"],
        "original_width": 200,
        "original_height": 100,
    }
    with pytest.raises(RegionError, match="export as JSON, not JSON-MIN"):
        edges([{"id": 5, "left": "/u/clear.png", "right": "/u/fog.png", "label": [value]}], "clear.png")


def test_rows_of_the_smaller_export_are_annotations_of_one_task():
    value = {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["Car"]}
    rows = [
        {
            "id": 5,
            "image": "/u/car.png",
            "label": [value | {"x": x}],
            "annotator": x,
            "annotation_id": x,
            "updated_at": when,
        }
        for x, when in ((3, "2026-01-02T00:00:00Z"), (4, "2026-01-01T00:00:00Z"))
    ]
    assert edges(rows, "car.png") == ([3], ("Only the latest of the task's 2 annotations was taken, by annotator 3.",))
    empty = {"id": 5, "image": "/u/car.png", "annotator": 1, "annotation_id": 9, "updated_at": "2026-02-01T00:00:00Z"}
    with pytest.raises(RegionError, match="is empty"):
        edges([*rows, empty], "car.png")


def test_what_a_target_storage_wrote_is_read():
    file = {"id": 7, "result": [box(10, to_name="image")], "task": {"id": 1, "data": {"image": "/u/car.png"}}}
    assert edges(file, "car.png") == ([10], ())


def test_a_track_in_a_video_is_refused():
    track = {
        "id": "v",
        "type": "videorectangle",
        "to_name": "video",
        "value": {"sequence": [{"frame": 1, "x": 5}], "framesCount": 9},
    }
    with pytest.raises(RegionError, match="track in a video, and a region belongs to one image"):
        edges(a_task(track) | {"data": {"video": "/u/film.mp4"}}, "frame.png")
    both = a_task(box(10, to_name="image"), track) | {"data": {"image": "/u/car.png", "video": "/u/film.mp4"}}
    assert edges(both, "car.png") == ([10], ("Not imported from the annotation: videorectangle (1).",))


def test_a_task_about_another_image_of_the_size_asks():
    found = from_label_studio(a_task(box(10)), (200, 100), "tower.png")
    assert found.question.choices == ("0a1b2c3d-Red_car.jpg",)
    assert found.left_out == (f"{found.question.sentence}.",)
    assert edges(a_task(box(10)), "tower.png", image="Red car.jpg") == ([10], ())
    assert from_label_studio(a_task(box(10), image="data:image/png;base64,AA"), (200, 100), "x.png").question is None


def test_results_of_one_region_become_one_region_and_the_rest_is_counted():
    place = {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0}
    sizes = {"id": "a", "original_width": 200, "original_height": 100, "to_name": "image"}
    task = a_task(
        sizes | {"type": "rectanglelabels", "value": place | {"rectanglelabels": ["Car"]}, "score": 0.7},
        sizes | {"type": "rectanglelabels", "from_name": "2", "value": place | {"rectanglelabels": ["Red"]}},
        sizes | {"type": "choices", "value": place | {"choices": ["blurred"]}},
        sizes | {"type": "textarea", "value": place | {"text": ["Plate 12"]}},
        sizes | {"id": "b", "type": "rectangle", "value": place, "hidden": True, "meta": {"text": ["note"]}},
        sizes | {"id": "b", "type": "labels", "value": place | {"labels": ["Bus"]}},
        sizes | {"id": "c", "type": "ellipse", "value": {"x": 50, "y": 50, "radiusX": 5, "radiusY": 5}},
        sizes | {"id": "c", "type": "choices", "value": {"choices": ["wheel"]}},
        sizes | {"id": "d", "type": "labels", "value": {"points": [[1, 1], [9, 1], [5, 9]], "labels": ["roof"]}},
    )
    found = from_label_studio(task, (200, 100))
    assert [region.name for region in found.regions] == ["Car, Red", "Bus", "wheel", "roof"]
    assert found.left_out == (
        "Not imported from results: score (1), hidden (1), meta text (1).",
        "Not imported from the annotation: choices (1), textarea (1).",
    )


def test_a_bitmask_is_the_png_it_holds():
    pixels = np.zeros((HEIGHT, WIDTH), bool)
    pixels[5:9, 7:30] = True
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[pixels, 3] = 255
    file = io.BytesIO()
    Image.fromarray(layer).save(file, "PNG")
    address = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    mask = result("bitmask", imageDataURL=address) | {"original_width": WIDTH, "original_height": HEIGHT}
    assert np.array_equal(read(mask, size=SIZE)[0].shapes[0].pixels, pixels)
    with pytest.raises(RegionError, match="damaged"):
        read(result("bitmask", imageDataURL="data:image/png;base64,%%"))


def test_a_photo_that_exif_turns_asks_for_the_frame_since_per_cent_fit_any():
    with pytest.raises(UnclearFile, match="EXIF"):
        from_label_studio(a_task(box(10)), (100, 200), exif=6)
    found = from_label_studio(a_task(box(10)), (100, 200), exif=6, frame="stored")
    assert found.regions[0].shapes == (Rectangle(80, 20, 10, 20),)
    found = from_label_studio(a_task(box(10)), (100, 200), exif=6, frame="shown")
    assert found.regions[0].shapes == (Rectangle(10, 20, 10, 20),)


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
