"""Boxes and points in answers, however they are written: each is read as it is meant, or known not to be."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwenvl_debug.regions.answer_places import Place, read_places
from qwenvl_debug.regions.lenient_json import Cut, Fields, read

BOX = (1.0, 2.0, 30.0, 40.0)
TWO = [Place("a", BOX), Place("b", (5.0, 6.0, 70.0, 80.0))]


def places(text):
    return list(read_places(text).places)


@pytest.mark.parametrize(
    "text",
    [
        '[\n\t{"bbox_2d": [1,2,30,40], "label": "a"}\n\t{"bbox_2d": [5,6,70,80], "label": "b"}\n]',
        "[{'bbox_2d': [1,2,30,40], 'label': 'a'}, {'bbox_2d': (5,6,70,80), 'label': 'b'},]",
        '{"bbox_2d": [1,2,30,40], "label": "a"}\n{"bbox_2d": [5,6,70,80], "label": "b"}',
        'First: ```json\n[{"bbox_2d": [1,2,30,40], "label": "a"}]\n``` then ```json\n'
        '[{"bbox": [5,6,70,80], "label": "b"}]```',
        '[{"bbox_2d": [1,2,30,40], "label": "a", {"bbox_2d": [5,6,70,80], "label": "b"}]',
        '[{"bbox_2d": [1,2,30,40, "label": "a"}, {"bbox_2d": [5,6,70,80], "label": "b"}',
        "{bbox_2d: [1,2,30,40], label: a}, {bbox_2d: [5,6,70,80], label: b}",
        "{“bbox_2d”：［1，2，30，40］，“label”：“a”}，{“bbox_2d”：【5，6，70，80】，“label”：“b”}",
        '{"bbox_2d": [1,2,30,40], "label": "a", "bbox_2d": [5,6,70,80], "label": "b"}',
        '[{"bbox_2d": [[1,2],[30,40]], "label": "a"}, {"bbox_2d": "5, 6, 70, 80", "label": "b"}]',
        '[{"bbox_2d": {"x1": 1, "y1": 2, "x2": 30, "y2": 40}, "label": "a"}, '
        '{"bbox": {"x": 5, "y": 6, "width": 65, "height": 74}, "label": "b"}]',
        '{"objects": [{"label": "a", "parts": [], "bbox_2d": [1,2,30,40]}], '
        '"more": {"b": {"label": "b", "bbox_2d": [5,6,70,80]}}}',
        "<ref>a</ref><box>(1,2),(30,40)</box><ref>b</ref><box>[[5, 6, 70, 80]]</box>",
        "<ref>a</ref><box>（1，2），（30，40）</box>，<ref>b</ref><quad>(5,6),(70,6),(70,80),(5,80)</quad>",
        "<|object_ref_start|>a<|object_ref_end|><|box_start|>(1,2),(30,40)<|box_end|>"
        "<|object_ref_start|>b<|object_ref_end|><|quad_start|>(5,6),(70,6),(70,80),(5,80)<|quad_end|>",
        '<ref>a</ref><box>(1,2),(30,40)</box> and {"bbox_2d": [5,6,70,80], "label": "b"}',
    ],
)
def test_two_boxes_are_read_however_they_are_written(text):
    assert places(text) == TWO


def test_labels_keep_what_is_in_them():
    text = (
        '[{"bbox_2d": [1,2,30,40], "label": "two\nlines"}, {"bbox_2d": [1,2,30,40], "label": "the "big" one"},'
        "{'bbox_2d': [1,2,30,40], 'label': 'the man's hat'}, {\"bbox_2d\": [1,2,30,40], \"label\": \"塔，“左”：[1]\"},"
        '{"bbox_2d": [1,2,30,40], "label": "a\\"b\\u5854"}, {"label": 7, "bbox_2d": [1,2,30,40]}]'
    )
    assert [place.label for place in places(text)] == [
        "two lines", 'the "big" one', "the man's hat", "塔，“左”：[1]", 'a"b塔', "box",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"bbox_2d": [1,2,30,40], "label": "a"}, {"bbox_2d": [5,6,70,8', "The answer ends before 1 box was complete"),
        ('[{"bbox_2d": [1,2,30,40], "label": "a"}, {"bbox_2d": [5,6,70,80], "lab', "ends before 1 box was complete"),
        ('[{"bbox_2d": [1,2,30,40], "label": "a"}, {"label": "b", "point_2d"', None),
        ('[{"bbox_2d": [1,2,30,40], "label": "a"}, {"label": "b", "point_2d": [1', "ends before 1 point was complete"),
        ('[{"bbox_2d": [1,2,30,40], "label": "a"},', "The list of boxes is not closed"),
        (
            "<ref>a</ref><box>(1,2),(30,40)</box><box>(5,6),(70",
            "1 box was left out, because the closing tag is missing",
        ),
    ],
)
def test_of_an_answer_that_was_cut_off_the_whole_entries_are_read_and_that_is_said(text, said):
    reading = read_places(text)
    assert list(reading.places) == TWO[:1]
    (sentence,) = reading.unread
    assert (said or "The list of boxes is not closed") in sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"bbox_2d": [0.46, 0.51, 0.61, 0.75], "label": "a"}', "1 box with coordinates between 0 and 1"),
        ('{"point_2d": [0.5, 1]}', "1 point with coordinates between 0 and 1, such as [0.5, 1], was left out"),
        ('[{"bbox_2d": [1, 2, 3]}, {"bbox_2d": "here"}, {"point_2d": [1]}]', "2 boxes and 1 point were left out"),
        ("<box>(1,2)</box>", "1 box was left out, because a box has four numbers and a point two: (1,2)."),
        ('{"tower": [1, 2, 30, 40], "scores": [1, 2, 3]}', "Numbers under “tower” were not read"),
        ('{"polygon": [[1, 2], [3, 4], [5, 6]]}', "Numbers under “polygon” were not read"),
        ("It is at [1, 2, 30, 40].", "Four numbers in brackets, [1, 2, 30, 40], were not read as a box"),
        ('<points x1="3">cat</points>', "1 point was left out"),
    ],
)
def test_what_looks_like_a_place_and_is_none_is_said_in_one_sentence(text, said):
    reading = read_places(text)
    assert reading.places == ()
    (sentence,) = reading.unread
    assert said in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    "text", ["", "a tower", "see [1] and [the map]", "It's {nothing}", '{"answer": "yes", "n": [1, 2, 3]}']
)
def test_an_answer_without_places_is_not_commented_on(text):
    assert read_places(text) == read_places("")


def test_points_in_a_corner_of_the_picture_are_points():
    assert places('{"point_2d": [0, 0]}') == [Place("box", (0, 0, 0, 0), True)]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**6), 10**6).map(float) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=12,
    ).filter(lambda value: isinstance(value, (list, dict)))
)
def test_valid_json_is_read_as_what_it_is(value):
    def plain(read):
        if isinstance(read, Fields):
            return {name: plain(one) for name, one in read.pairs}
        return [plain(one) for one in read] if isinstance(read, list) else read

    for ascii_only in (True, False):
        ((start, found),) = read(json.dumps(value, ensure_ascii=ascii_only))
        assert (start, plain(found)) == (0, value)


@pytest.mark.parametrize(
    "text",
    ["[" * 40_000, '{"bbox_2d": ' * 20_000, '["a' * 20_000, "{'" * 20_000, '["' + 'x"' * 30_000, '[{"a": "b" ' * 9_000],
    ids=lambda text: text[:12],
)
def test_a_stammering_model_holds_nobody_up(text):
    start = time.perf_counter()
    read_places(text)
    assert time.perf_counter() - start < 5  # 0.2 s on a quiet core; quadratic reading takes minutes


def test_open_brackets_are_told_apart_from_closed_ones():
    (_, outer), (_, inner) = read('{"a": [1, 2], "b": [3')
    assert outer == Cut((("a", [1.0, 2.0]),), "b")
    assert inner == Cut(((None, 3.0),), None)
