"""A region survives being stored: the same shapes to the last digit, the same pixels, and broken records say why."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Rectangle, Region, rle
from qwenvl_debug.regions.record import from_record, to_record
from tests.regions.strategies import masks, regions, shapes

GOOD = {"version": 1, "name": "r", "expect": "look", "shapes": []}


@given(regions(shapes))
def test_a_region_comes_back_from_json_exactly(region):
    assert from_record(json.loads(json.dumps(to_record(region), allow_nan=False))) == region


def test_numbers_from_numpy_are_stored_as_plain_numbers():
    shape = Rectangle(np.float32(0.1), np.int64(2), np.float64(3), 4)
    back = from_record(json.loads(json.dumps(to_record(Region("r", shape)))))
    assert back.shapes[0].x == float(np.float32(0.1))
    assert back.shapes[0].y == 2


@given(masks())
def test_run_lengths_are_those_of_pycocotools(mask):
    ours, theirs = rle.encode(mask.pixels), coco.encode(np.asfortranarray(mask.pixels, np.uint8))
    assert ours == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}
    assert np.array_equal(rle.decode(theirs), mask.pixels)


@given(masks())
def test_uncompressed_run_lengths_are_read(mask):
    flat = mask.pixels.ravel(order="F")
    borders = [0, *np.flatnonzero(np.diff(flat.astype(int))) + 1, flat.size]
    counts = np.diff(borders).tolist()
    size = list(mask.pixels.shape)
    assert np.array_equal(rle.decode({"size": size, "counts": [0] * int(flat[0]) + counts}), mask.pixels)


@given(size=st.tuples(st.integers(0, 9), st.integers(0, 9)), text=st.text(st.characters(codec="latin-1"), max_size=30))
def test_any_text_is_a_mask_of_the_size_or_refused(size, text):
    with contextlib.suppress(RegionError):
        assert rle.decode({"size": size, "counts": text}).shape == size


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        {},
        GOOD | {"version": 2},
        GOOD | {"name": 7},
        GOOD | {"name": " "},
        GOOD | {"shapes": None},
        GOOD | {"expect": ["look"]},
        *(
            GOOD | {"shapes": [shape]}
            for shape in (
                None,
                {"kind": "star"},
                {"kind": ["mask"]},
                {"kind": "rectangle", "x": 1, "y": 1, "width": 2},
                {"kind": "rectangle", "x": "1", "y": 1, "width": 2, "height": 1},
                {"kind": "rectangle", "x": 1, "y": True, "width": 2, "height": 1},
                {"kind": "rectangle", "x": 1, "y": 10**400, "width": 2, "height": 1},
                {"kind": "rectangle", "x": 1, "y": 1, "width": -2, "height": 1},
                {"kind": "ellipse", "cx": float("nan"), "cy": 1, "rx": 2, "ry": 1},
                {"kind": "polygon", "points": [[0, 0], [1]]},
                {"kind": "polygon", "points": [[0, 0], [1, 1]]},
                {"kind": "brush", "points": [[0, 0]], "size": 3, "erase": "no"},
                {"kind": "brush", "points": [], "size": 3},
                {"kind": "mask", "size": [2, 2], "counts": [1, 2]},
                {"kind": "mask", "size": [2, 2], "counts": [-1, 5]},
                {"kind": "mask", "size": [2, 2], "counts": [1.5, 2.5]},
                {"kind": "mask", "size": [2, 2], "counts": "ooooooooooooooo"},
                {"kind": "mask", "size": [2, 2], "counts": "~~"},
                {"kind": "mask", "size": [10**6, 10**6], "counts": [10**12]},
                {"kind": "mask", "size": [2], "counts": [2]},
                {"kind": "mask"},
            )
        ),
    ],
)
def test_a_broken_record_is_refused_in_one_sentence(broken):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        from_record(broken)
