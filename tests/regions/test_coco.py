"""COCO files go out so that pycocotools reads them, come back exactly, and other people's come in."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, region_mask
from qwenvl_debug.regions.coco import from_coco, to_coco
from qwenvl_debug.regions.files import Imported, Question, UnclearFile
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
    for exif in (3, 6):  # as other tools' files may be of the photo before it was turned, but not this one
        assert from_coco(to_coco([region], SIZE, "p.png"), SIZE, "p.png", exif=exif) == back


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


@pytest.mark.parametrize("degrees", [90, 30, -45, 359.5, "90"])
def test_a_box_that_cvat_turned_is_turned_clockwise_about_its_centre(degrees):
    box = {"bbox": [20, 15, 30, 8], "segmentation": [], "attributes": {"occluded": False, "rotation": degrees}}
    found = from_coco(a_file(box), SIZE)
    # OpenCV turns clockwise as seen, too: its angle is of the first side, in degrees
    corners = cv2.boxPoints(((35, 19), (30, 8), float(degrees)))
    assert {tuple(np.round(one, 3)) for one in found.regions[0].shapes[0].points} == {
        tuple(np.round(one.astype(float), 3)) for one in corners
    }
    assert found.left_out == ()


def test_a_box_that_was_not_turned_stays_a_rectangle_and_an_outline_is_not_turned_again():
    outline = [[10, 10, 30, 10, 30, 30]]
    found = from_coco(
        a_file(
            *({"bbox": [20, 15, 30, 8], "attributes": {"rotation": turn}} for turn in (0, 0.0, 360, None)),
            {"bbox": [10, 10, 20, 20], "segmentation": outline, "attributes": {"rotation": 45}},
        ),
        SIZE,
    )
    assert [region.shapes for region in found.regions[:4]] == [(Rectangle(20, 15, 30, 8),)] * 4
    assert found.regions[4].shapes == (Polygon(((10, 10), (30, 10), (30, 30))),)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"bbox": [30, 20, 30, 8, 0.5]}, "five numbers, whose turn tools define differently"),
        ({"bbox": [20, 15, 30, 8], "rotation": 12}, "turned by “rotation”"),
        ({"bbox": [20, 15, 30, 8], "rbbox": [1, 2, 3, 4, 5]}, "turned by “rbbox”"),
        ({"bbox": [20, 15, 50, 23], "bbox_mode": 0}, "not x, y, width and height"),
        ({"bbox": ["20", "15", "30", "8"]}, "text where numbers belong"),
        ({"bbox": [0.2, 0.15, 0.3, 0.8]}, "shares of the image: export them in pixels"),
        ({"segmentation": [[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]]}, "shares of the image: export them in pixels"),
        ({"caption": "a tower in fog"}, "only a caption"),
        ({"bbox": [20, 15, 30, 8], "attributes": {"rotation": "left"}}, "which is no angle"),
    ],
)
def test_what_would_be_in_the_wrong_place_is_refused(annotation, reason):
    with pytest.raises(RegionError, match=reason):
        from_coco(a_file(annotation), SIZE)


def test_outlines_are_read_in_every_spelling_and_parts_that_are_none_are_named():
    triangle, square = [1, 1, 9, 1, 9, 9], [20, 20, 30, 20, 30, 30, 20, 30]
    pairs = [[1, 1], [9, 1], [9, 9]]
    run_lengths = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT, HEIGHT * (WIDTH - 1)]}
    found = from_coco(
        a_file(
            {"segmentation": [triangle]},
            {"segmentation": triangle},
            {"segmentation": pairs},
            {"segmentation": [pairs]},
            {"segmentation": [run_lengths, run_lengths]},
            {"segmentation": [triangle, [1, 2, 3, 4], square]},
            {"segmentation": [[1, 2, 3]], "bbox": [2, 2, 5, 5]},
        ),
        SIZE,
    )
    shapes = [region.shapes for region in found.regions]
    assert shapes[:4] == [(Polygon(((1, 1), (9, 1), (9, 9))),)] * 4
    assert [type(shape) for shape in shapes[4]] == [Mask, Mask]
    assert len(shapes[5]) == 2
    assert shapes[6] == (Rectangle(2, 2, 5, 5),)
    assert found.left_out == (
        "Annotation 6: 1 of 3 parts is no polygon and was left out.",
        "Annotation 7: Its outline is no polygon, so its box was taken.",
    )


def test_nothing_in_a_file_is_lost_without_being_named():
    images = [
        {"id": 0, "file_name": "one.png", "width": WIDTH, "height": HEIGHT, "caption": "a street"},
        {"id": 1, "file_name": "two.png", "width": WIDTH, "height": HEIGHT},
    ]
    here = {"image_id": 0, "bbox": [3, 4, 10, 12]}
    data = a_file(
        here | {"keypoints": [1, 2, 2], "num_keypoints": 1, "score": 0.5},
        here | {"score": 0.7, "caption": "x", "attributes": {"occluded": True, "color": "red", "truncated": False}},
        here | {"bbox": [70, 4, 10, 12], "ignore": 0},
        here | {"bbox": [50, 4, 20, 12], "iscrowd": "1", "category_id": None},
        {"image_id": 1, "bbox": [1, 1, 5, 5]},
        {"image_id": 9, "bbox": [1, 1, 5, 5]},
        images=images,
        categories=({"id": 7, "name": "cat"}, {"id": 7, "name": "cow"}, {"id": 8, "name": "dog"}),
    ) | {"videos": [{}, {"id": 1}], "tracks": []}
    found = from_coco(data, SIZE, "one.png")
    assert [region.name for region in found.regions] == ["cat", "cat 2", "cat 3", "region (crowd)"]
    assert found.left_out == (
        "The file has two categories of the id 7, “cat” and “cow”.",
        "Not imported: 1 annotation of 1 other image.",
        "Not imported: 1 annotation of images that the file does not list.",
        "Categories of the file without a region on this picture: dog.",
        "Regions that cover no pixel of this picture: “cat”.",
        "Regions that reach beyond this picture: “region (crowd)”.",
        "Not imported from annotations: keypoints (1), score (2), caption (1), attribute occluded (1), "
        "attribute color (1).",
        "Not imported from the image: caption (1).",
        "Not imported from the file: videos (2).",
    )
    assert found.question is None


def test_reasons_that_are_shared_share_a_sentence():
    found = from_coco(a_file({"bbox": [1, 2, 3, 4]}, *[{"caption": "x"}] * 9), SIZE)
    (sentence,) = found.left_out
    assert sentence.startswith("Annotations 2, 3, 4, 5, 6 and 4 others: It has only a caption")


def test_a_file_about_another_image_of_the_size_asks():
    data = a_file({"bbox": [3, 4, 10, 12]})
    found = from_coco(data, SIZE, "tower.png")
    sentence = "The file has no image called tower.png; its only image of 60 x 40 pixels is a/b/Photo.JPG"
    assert found.question == Question(sentence, "image", ("a/b/Photo.JPG",))
    assert found.left_out == (f"{sentence}.",)
    assert from_coco(data, SIZE, "tower.png", image=found.question.choices[0]).question is None
    assert from_coco(data, SIZE, "tower.png", image="photo.jpg").left_out == ()
    assert from_coco(data, SIZE).question is None, "no name was given that could differ"
    with pytest.raises(RegionError, match=r"no image called “x\.png”: it has “a/b/Photo\.JPG”"):
        from_coco(data, SIZE, "tower.png", image="x.png")


def test_of_several_images_one_is_chosen_by_what_the_file_calls_it():
    images = [{"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT} for n, name in enumerate("abb")]
    data = a_file(*({"image_id": n, "bbox": [n, 0, 5, 5]} for n in range(3)), images=images)
    with pytest.raises(UnclearFile, match='pass image="a" or image="b \\(id 1\\)" or image="b') as error:
        from_coco(data, SIZE, "c.png")
    edges = [from_coco(data, SIZE, image=one).regions[0].shapes[0].x for one in error.value.question.choices]
    assert edges == [0, 1, 2]
    for image in images:
        image["id"] = 0
    with pytest.raises(RegionError, match=r"Several images of the file have the id 0 \(a and b\)"):
        from_coco(data, SIZE, "a")


def test_names_that_roboflow_and_others_gave_are_recognised():
    hashed = {
        "id": 3,
        "width": WIDTH,
        "height": HEIGHT,
        "file_name": "tower_png.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.png",
    }
    inside = {"id": 3, "width": WIDTH, "height": HEIGHT, "file_name": "0001.png", "extra": {"name": "tower.png"}}
    remote = {"id": 3, "width": WIDTH, "height": HEIGHT, "coco_url": "http://x.org/train/tower.png"}
    for image in (hashed, inside, remote):
        assert from_coco(a_file({"bbox": [3, 4, 5, 6]}, images=[image]), SIZE, "tower.png").question is None


@pytest.mark.parametrize("sides", [{"width": 0, "height": 0}, {}, {"width": None, "height": "?"}])
def test_an_image_without_a_size_is_taken_and_that_is_said(sides):
    found = from_coco(a_file({"bbox": [3, 4, 5, 6]}, images=[{"id": 3, "file_name": "p.png"} | sides]), SIZE, "p.png")
    assert found.left_out == (
        "The file does not give its image's size: coordinates were taken as pixels of this picture.",
    )


def test_numbers_of_ids_and_sizes_may_be_written_as_text_and_start_at_zero():
    images = [{"id": "0", "file_name": "p.png", "width": "60", "height": "40.0"}]
    data = a_file(
        {"image_id": 0, "category_id": "7", "bbox": [3, 4, 5, 6]}, images=images, categories=[{"id": 7.0, "name": "x"}]
    )
    assert from_coco(data, SIZE, "p.png").regions[0].name == "x"
    images[0]["width"] = "61"
    with pytest.raises(RegionError, match="picture of 61 x 40 pixels and this one has 60 x 40"):
        from_coco(data, SIZE, "p.png")


def test_a_photo_that_exif_turns_is_recognised_by_its_swapped_sides():
    """A photo that is shown with 40 x 60 pixels and stored with 60 x 40."""
    shown = {"bbox": [10, 45, 8, 10]}
    stored = {"bbox": [45, 10, 10, 8]}
    either = {"bbox": [10, 12, 8, 10]}
    found = from_coco(a_file(shown), (HEIGHT, WIDTH), "photo.jpg", exif=6)
    assert found.regions[0].shapes == (Rectangle(10, 45, 8, 10),)
    assert "coordinates fit after" in found.left_out[0]
    found = from_coco(a_file(stored), (HEIGHT, WIDTH), "photo.jpg", exif=6)
    assert found.regions[0].shapes == (Rectangle(HEIGHT - 18, 45, 8, 10),)
    assert found.left_out == ("The regions were turned by 90° as EXIF says of this photo.",)
    mask = coco_mask.encode(np.asfortranarray(BLOB, np.uint8))
    mask = {"segmentation": {"size": mask["size"], "counts": mask["counts"].decode()}}
    found = from_coco(a_file(mask), (HEIGHT, WIDTH), "photo.jpg", exif=6)
    np.testing.assert_array_equal(found.regions[0].shapes[0].pixels, np.rot90(BLOB, -1))
    for exif in (6, None):
        with pytest.raises(UnclearFile, match="a photo that its EXIF orientation turns") as error:
            from_coco(a_file(either), (HEIGHT, WIDTH), "photo.jpg", exif=exif)
        assert error.value.question.choices == ("shown", "stored")
    assert from_coco(a_file(either), (HEIGHT, WIDTH), frame="shown").regions[0].shapes == (Rectangle(10, 12, 8, 10),)
    found = from_coco(a_file(either), (HEIGHT, WIDTH), exif=8, frame="stored")
    assert found.regions[0].shapes == (Rectangle(12, WIDTH - 18, 10, 8),)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}], "This is COCO results JSON"),
        ({"images": [{"id": 1}], "annotations": [{"segments_info": []}]}, "This is COCO panoptic JSON"),
        ({"shapes": [], "imagePath": "a.png"}, "This is LabelMe JSON: convert it to COCO JSON."),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(data, words):
    with pytest.raises(RegionError, match=words):
        from_coco(data, SIZE)
