"""Do the boxes of an answer lie where the model meant them, whatever else it wrote?"""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.errors import QueryError
from qwenvl_debug.model import Grid
from qwenvl_debug.regions import Rectangle, Region, boxes, coverage, region_mask, unread_boxes
from qwenvl_debug.regions.grounding import named_corners

WIDE, HIGH = np.zeros((100, 200, 3), np.uint8), np.zeros((300, 100, 3), np.uint8)


def answered(text, family="Qwen3-VL", pictures=(WIDE,), **case):
    """A run, as far as its boxes need one: 5 x 10 cells of 28 pixels on each picture."""
    grids = tuple(Grid(5, 10, np.arange(50), picture, 28) for picture in range(len(pictures)))
    asked = Case(list(pictures), "Where?", **case)
    return SimpleNamespace(answer=text, case=asked, grids=grids, provenance=SimpleNamespace(family=family))


def placed(run, **options):
    return [
        (box.label, (box.rectangle.x, box.rectangle.y, box.rectangle.width, box.rectangle.height))
        for box in boxes(run, **options)
    ]


FENCED = 'Here:\n```json\n[\n\t{"bbox_2d": [100, 200, 600, 700], "label": "the tower 塔"}\n]\n```'


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("Qwen-VL", "<ref>the tower 塔</ref><box>(100,200),(600,700)</box>"),
        ("Qwen-VL", "It is <ref> the tower 塔</ref> <box>( 600, 700 ),(100,200)</box>."),
        ("Qwen-VL", "<ref>the tower 塔</ref><quad>(100,200),(600,210),(590,700),(110,690)</quad>"),
        ("Qwen2-VL", "<|object_ref_start|>the tower 塔<|object_ref_end|><|box_start|>(100,200),(600,700)<|box_end|>"),
        ("Qwen3-VL", FENCED),
        ("Qwen3.5", '{"found": {"label": "the tower 塔", "bbox_2d": [100, 200, 600, 700]}}'),
        ("Qwen3-VL", '[{"bbox_2d": [[100, 200, 600, 700]], "label": "the tower 塔"}]'),
    ],
)
def test_thousandths_of_a_picture_become_its_pixels(family, text):
    assert placed(answered(text, family)) == [("the tower 塔", pytest.approx((20, 20, 100, 50)))]


def test_pixels_of_the_prepared_picture_become_pixels_of_the_picture():
    """Qwen2.5-VL saw 280 x 140 pixels of a picture of 200 x 100."""
    text = '[{"bbox_2d": [28, 14, 140, 70], "label": "tower"}]'
    assert placed(answered(text, "Qwen2.5-VL")) == [("tower", pytest.approx((20, 10, 80, 40)))]
    assert placed(answered(text, "Qwen3-VL")) == [("tower", pytest.approx((5.6, 1.4, 22.4, 5.6)))]


def test_a_name_holds_for_the_boxes_right_after_it_only():
    text = (
        "<ref>two apples</ref><box>(0,0),(500,500)</box><box>(500,0),(1000,500)</box> and, well, "
        "<box>(0,500),(500,1000)</box>"
    )
    assert [name for name, _ in placed(answered(text, "Qwen-VL"))] == ["two apples", "two apples", "box"]


def test_of_a_list_that_was_cut_off_the_whole_entries_are_read():
    cut = '```json\n[{"bbox_2d": [0, 0, 500, 500], "label": "a"}, {"bbox_2d": [0, 0, 5'
    assert [name for name, _ in placed(answered(cut))] == ["a"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a tower",
        "<box>(1,2)</box>",
        "<box>(1,2),(3,4)",
        "<ref>a</ref>",
        "<box>(500,500),(500,900)</box>",
        "<box>(2000,2000),(3000,3000)</box>",
        '[{"bbox_2d": [1, 2, 3]}, {"bbox_2d": "here"}, {"bbox_2d": [true, 0, 9, 9]}, {"bbox_2d": [NaN, 0, 9, 9]}]',
        '{"bbox_2d": [1e400, 0, 9, 9], "label": 7}',
        "[" * 5000,
        '{"bbox_2d": ' * 3000,
        "<ref>" * 2000 + "<box>" * 2000,
    ],
    ids=lambda text: text[:20] or "nothing",
)
def test_what_is_no_box_is_left_out(text):
    assert boxes(answered(text)) == ()


@given(
    st.lists(
        st.sampled_from(
            [
                "<ref>",
                "</ref>",
                "<box>",
                "</box>",
                "(1,2)",
                ",",
                "(3,900)",
                '{"bbox_2d":',
                "[",
                "]",
                "}",
                "1",
                '"a"',
                "塔",
            ]
        ),
        max_size=40,
    )
)
def test_nothing_a_model_writes_raises_or_leaves_the_picture(parts):
    for box in boxes(answered("".join(parts))):
        one = box.rectangle
        assert 0 <= one.x < one.x + one.width <= 200 + 1e-9
        assert 0 <= one.y < one.y + one.height <= 100 + 1e-9


def test_boxes_lie_on_the_last_picture_unless_another_is_named():
    text = "<ref>cat</ref><box>(0,0),(500,500)</box>"
    run = answered(text, pictures=(WIDE, HIGH), history=(Turn("Which?", "A cat.", 1),))
    assert [box.picture for box in boxes(run)] == [1]
    assert placed(run) == [("cat", (0, 0, 50, 150))]
    assert placed(run, picture=0) == [("cat", (0, 0, 100, 50))]
    with pytest.raises(QueryError, match="no picture 2"):
        boxes(run, picture=2)
    assert boxes(answered(text, pictures=(WIDE, WIDE), seconds=(0, 1))) == (), "no frame is named"


def test_a_box_becomes_a_region_that_covers_what_it_says():
    (box,) = boxes(answered("<ref>left half</ref><box>(0,0),(500,1000)</box>"))
    assert box.region() == Region("left half", Rectangle(0, 0, 100, 100), "measure")
    assert region_mask(box.region(), (200, 100)).mean() == pytest.approx(0.5)
    assert box.to_dict() == {"label": "left half", "picture": 0, "x": 0, "y": 0, "width": 100, "height": 100}


def test_numbers_are_read_as_they_are_written():
    assert list(named_corners("<box>(1.5,2),(3,4)</box>")) == [("box", (1.5, 2.0, 3.0, 4.0))]


def test_points_become_regions_about_them_that_hold_a_whole_cell():
    """On 10 x 5 cells of 20 x 20 pixels a point's region is 40 x 40 pixels, cut off at the edges."""
    run = answered('[{"point_2d": [503, 420], "label": "top"}, {"point_2d": [0, 1000], "label": "corner"}]')
    top, corner = boxes(run)
    one = top.rectangle
    assert (one.x, one.y, one.width, one.height) == pytest.approx((80.6, 22, 40, 40))
    assert top.is_point
    assert (corner.label, corner.rectangle) == ("corner", Rectangle(0, 80, 20, 20))
    assert top.to_dict()["point"] is True
    assert unread_boxes(run) == ()


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_wherever_a_point_falls_its_region_holds_a_whole_cell(x, y):
    (box,) = boxes(answered(f'{{"point_2d": [{x}, {y}]}}'))
    assert coverage(region_mask(box.region(), (200, 100)), (5, 10)).max() >= 0.95  # half a pixel may round away


def test_points_as_qwen2_5_writes_them_in_tags():
    text = '<points x1="28" y1="14" x2="140" y2="70" alt="two cats">two cats</points>'
    found = boxes(answered(text, "Qwen2.5-VL"))
    assert [(box.label, box.rectangle.x + box.rectangle.width / 2) for box in found] == [
        ("two cats", 20),
        ("two cats", 100),
    ]


def test_what_is_missing_from_the_boxes_is_said_once_a_kind():
    text = (
        '[{"bbox_2d": [0.46, 0.51, 0.61, 0.75], "label": "a"}, {"bbox_2d": [0, 0, 1, 1]}, {"bbox_2d": [1, 2, 3]},'
        '{"bbox_2d": [1200, 0, 1400, 9], "label": "b"}, {"bbox_2d": [5, 5, 5, 90], "label": "c"},'
        '{"bbox_2d": [500, 0, 1500, 900], "label": "d"}, {"bbox_3d": [1, 2, 3, 4, 5, 6]}]'
    )
    assert placed(answered(text)) == [("d", (100, 0, 100, 90))]
    assert unread_boxes(answered(text)) == (
        "2 boxes with coordinates between 0 and 1, such as [0.46, 0.51, 0.61, 0.75], were left out: whether shares of "
        "the image or its first pixels are meant cannot be known; ask for the coordinates that this model was trained "
        "to write.",
        "1 box was left out, because a box has four numbers and a point two: [1, 2, 3].",
        "Numbers under “bbox_3d” were not read: boxes are expected under bbox_2d and points under point_2d.",
        "1 box was left out, because it is outside the picture: “b”.",
        "1 box was left out, because it is without area: “c”.",
        "1 box was cut off at the edge of the picture, because it is partly outside: “d”.",
    )


def test_a_run_with_more_than_300_boxes_gives_them_all():
    many = ",".join(f'{{"bbox_2d": [{n}, 0, {n + 9}, 9], "label": "n{n}"}}' for n in range(700))
    found = boxes(answered(f"[{many}]"))
    assert [box.label for box in found] == [f"n{n}" for n in range(700)]
    assert [box.label for box in boxes(answered(f"[{many}"))] == [box.label for box in found], "nor if it was cut off"


def test_a_video_names_no_frame_and_that_is_said():
    run = answered("<ref>cat</ref><box>(0,0),(500,500)</box>", pictures=(WIDE, WIDE), seconds=(0, 1))
    assert unread_boxes(run) == ("1 box in the answer cannot be placed: no frame is named.",)
