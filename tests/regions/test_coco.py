"""COCO files go out so that pycocotools reads them, come back exactly, and other people's come in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, region_mask
from qwenvl_debug.regions.coco import from_coco, to_coco
from qwenvl_debug.regions.files import Imported
from tests.regions.strategies import HEIGHT, SIZE, WIDTH, regions

BLOB = np.zeros((HEIGHT, WIDTH), bool)
BLOB[5:20, 10:42] = True
BLOB[9:12, 20:30] = False


def through_json(data):
    return json.loads(json.dumps(data, allow_nan=False))


def a_file(*annotations, images=None, categories=({"id": 7, "name": "cat"},)):
    """A COCO file of one image of 60 x 40 pixels, as another tool would write it."""
    image = {"id": 3, "file_name": "a/b/Photo.JPG", "width": WIDTH, "height": HEIGHT}
    whole = [{"id": n, "image_id": 3, "category_id": 7} | one for n, one in enumerate(annotations, 1)]
    return {"images": images or [image], "annotations": whole, "categories": list(categories)}


@given(regions())
def test_a_region_comes_back_exactly(region):
    back = from_coco(through_json(to_coco([region], SIZE, "p.png")), SIZE, "p.png")
    assert back == Imported((region,))


@given(regions())
def test_without_our_own_field_the_pixels_are_the_same_or_those_of_the_same_polygons(region):
    data = through_json(to_coco([region], SIZE, "p.png"))
    del data["annotations"][0]["qwenvl_debug"]
    (back,) = from_coco(data, SIZE).regions
    if isinstance(back.shapes[0], Mask):
        assert np.array_equal(back.shapes[0].pixels, region_mask(region, SIZE))
    else:
        assert len(back.shapes) == len(region.shapes)


def test_pycocotools_reads_what_is_written():
    ones = [
        Region("box", Rectangle(4, 6, 20, 10)),
        Region("disc", (Ellipse(30, 20, 12, 8, 30), Brush(((30, 20),), 4, erase=True))),
        Region("blob", Mask(BLOB)),
        Region("triangle", Polygon(((3, 3), (55, 10), (20, 36)))),
    ]
    reader = COCO()
    reader.dataset = through_json(to_coco(ones, SIZE, "p.png"))
    reader.createIndex()
    for region, number in zip(ones, reader.getAnnIds(), strict=True):
        theirs = reader.annToMask(reader.anns[number]).astype(bool)
        ours = region_mask(region, SIZE)
        if region.name == "triangle":  # the outline's own pixels are a matter of taste
            assert (theirs & ours).sum() / (theirs | ours).sum() > 0.9
        else:
            assert np.array_equal(theirs, ours), region.name
        assert reader.cats[reader.anns[number]["category_id"]]["name"] == region.name
    box = reader.anns[3]["bbox"]
    assert box == [10, 5, 32, 15] == coco_mask.toBbox(coco_mask.encode(np.asfortranarray(BLOB, np.uint8))).tolist()


def test_what_another_tool_changed_counts_and_what_it_only_rounded_does_not():
    region = Region("r", Polygon(((1.123456, 2), (30, 3.3333333), (9, 30))), "avoid")
    data = through_json(to_coco([region], SIZE, "p.png"))
    (annotation,) = data["annotations"]
    annotation["segmentation"] = [[round(value, 2) for value in annotation["segmentation"][0]]]
    assert from_coco(data, SIZE).regions == (region,)
    annotation["segmentation"][0][0] = 5
    (moved,) = from_coco(data, SIZE).regions
    assert moved.shapes[0].points[0] == (5, 2)


def test_polygons_masks_and_boxes_of_others_come_in():
    theirs = coco_mask.encode(np.asfortranarray(BLOB, np.uint8))
    found = from_coco(
        a_file(
            {"segmentation": [[1, 1, 9, 1, 9, 9], [20, 20, 30, 20, 30, 30, 20, 30]], "bbox": [1, 1, 29, 29]},
            {"segmentation": {"size": theirs["size"], "counts": theirs["counts"].decode()}},
            {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT, HEIGHT * (WIDTH - 1)]}, "iscrowd": 1},
            {"segmentation": [], "bbox": [3, 4, 10, 12.5]},
            {"bbox": [3, 4, 10, 12.5], "category_id": 99},
            {"segmentation": [1, 1, 9, 1, 9, 9]},
        ),
        SIZE,
    ).regions
    names = ["cat", "cat 2", "cat (crowd)", "cat 3", "category 99", "cat 4"]
    assert [region.name for region in found] == names
    assert found[0].shapes == (
        Polygon(((1, 1), (9, 1), (9, 9))),
        Polygon(((20, 20), (30, 20), (30, 30), (20, 30))),
    )
    assert found[1].shapes == (Mask(BLOB),)
    assert region_mask(found[2], SIZE).sum(0).tolist() == [HEIGHT] + [0] * (WIDTH - 1)
    assert found[3].shapes == found[4].shapes == (Rectangle(3, 4, 10, 12.5),)
    assert found[5].shapes == (Polygon(((1, 1), (9, 1), (9, 9))),)


def test_the_image_is_found_by_name_and_else_by_size():
    images = [
        {"id": 1, "file_name": "one.png", "width": WIDTH, "height": HEIGHT},
        {"id": 2, "file_name": "sub\\Two.png", "width": WIDTH, "height": HEIGHT},
        {"id": 3, "file_name": "three.png", "width": 20, "height": 10},
    ]
    data = a_file(*({"image_id": n, "bbox": [n, 0, 1, 1]} for n in (1, 2, 3)), images=images)

    def left_edge(size, name=None):
        (region,) = from_coco(data, size, name).regions
        return region.shapes[0].x

    assert left_edge(SIZE, "two.png") == 2
    assert left_edge((20, 10), "elsewhere.png") == 3
    with pytest.raises(RegionError, match="not clear which is meant"):
        left_edge(SIZE, "elsewhere.png")
    with pytest.raises(RegionError, match="picture of 60 x 40 pixels and this one has 61 x 40"):
        left_edge((61, 40), "one.png")


def test_what_cannot_be_used_is_left_out_and_said():
    found = from_coco(
        a_file(
            {"bbox": [1, 2, 3, 4]},
            {"bbox": None, "keypoints": [1, 2, 2]},
            {"segmentation": {"size": [3, 3], "counts": [9]}},
            {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "ooooooooooo"}},
            {"bbox": [1, 2, -3, 4]},
        ),
        SIZE,
    )
    assert len(found.regions) == 1
    assert [sentence.split(":")[0] for sentence in found.left_out] == [f"Annotation {n}" for n in (2, 3, 4, 5)]


@pytest.mark.parametrize(
    "broken",
    [
        b"no json",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        "[]",
        "{}",
        {"images": "none"},
        {"images": [{"id": 1}]},
        a_file(),
        a_file({"bbox": ["a", 1, 1, 1]}),
        a_file({"bbox": [1, 1, 1]}),
    ],
)
def test_a_broken_file_is_refused_in_one_sentence(broken):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        from_coco(broken, SIZE)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RegionError, match=r"cannot be read: No such file"):
        from_coco(tmp_path / "none.json", SIZE)
