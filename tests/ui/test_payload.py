"""What is sent to the browser is what was measured."""

import base64
import io

import numpy as np
from PIL import Image

from qwenvl_debug.case import Picture
from qwenvl_debug.maps import map_stack
from qwenvl_debug.ui.payload import LARGEST_SIDE, maps_payload, picture_payload, quantise, share_payload
from tests.ui.hand_made import make_run

RUN = make_run((("Pearl", None, 0.8),), [0.1, 0.2, 0.3, 0.0])


def test_quantising_is_exact_to_half_a_step_of_each_map_however_faint():
    maps = np.random.default_rng(0).random((5, 3, 7, 9)).astype(np.float32)
    maps *= np.logspace(0, -8, 15).reshape(5, 3, 1, 1).astype(np.float32)
    cells, scales = quantise(maps)
    back = cells / 255 * scales[..., None, None]
    assert np.all(np.abs(back - maps) <= scales[..., None, None] / 509)
    assert cells.dtype == np.uint8
    assert np.all(cells.max(axis=(-2, -1)) == 255)


def test_a_layer_without_a_map_has_no_scale_and_an_empty_map_has_scale_zero():
    maps = np.zeros((2, 2, 2), np.float32)
    maps[0] = np.nan
    cells, scales = quantise(maps)
    assert np.isnan(scales[0])
    assert scales[1] == 0
    assert not cells.any()


def test_the_browser_gets_the_mean_before_the_heads_and_every_share_back():
    stack = map_stack(RUN)
    sent = maps_payload(stack)
    assert (sent["layers"], sent["heads"], sent["rows"], sent["cols"]) == (3, 2, 2, 2)
    cells = np.frombuffer(base64.b64decode(sent["cells"]), np.uint8).reshape(3, 3, 2, 2)
    scales = np.frombuffer(base64.b64decode(sent["scales"]), "<f4").reshape(3, 3)
    shares = cells / 255 * scales[..., None, None]
    expected = np.array([[1, 2], [3, 0]]) / 6
    np.testing.assert_allclose(shares[[0, 2]], np.broadcast_to(expected, (2, 3, 2, 2)), atol=0.5 / 509)
    assert np.isnan(scales[1]).all()


def test_image_shares_are_sent_for_mean_and_heads_and_none_where_there_is_no_map():
    assert share_payload(map_stack(RUN)) == [[0.6, 0.6, 0.6], [None] * 3, [0.6, 0.6, 0.6]]


def test_a_large_picture_is_sent_no_larger_than_a_screen():
    noise = np.random.default_rng(0).integers(0, 256, (1200, 2400, 3), dtype=np.uint8)
    sent = picture_payload(Picture.open(noise))
    kind, data = sent.split(",", 1)
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (LARGEST_SIDE, LARGEST_SIDE // 2)
