"""How pictures lie on each other: known changes are found again, and what does not lie on each other is refused."""

import json

import cv2
import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.compare import align, stated, warped
from qwenvl_debug.compare.noise import jpeg, shifted
from qwenvl_debug.compare.ways import Work
from qwenvl_debug.errors import QueryError
from qwenvl_debug.regions.homography import map_points
from tests.compare.conftest import about_middle, seen_through

NAMES = ("pearl-fog", "cat-tilt", "shape-noise")
MOVED = {"cat-far": "registered", "cat-tilt": "registered", "eiffel-close": "registered", "shape-far": "registered"}


def error(alignment, truth, size):
    """Mean distance in pixels, over a grid of the correct picture, from where the points really went."""
    grid = np.stack(np.meshgrid(np.linspace(0, size[0], 9), np.linspace(0, size[1], 9)), -1).reshape(-1, 2)
    return np.linalg.norm(map_points(alignment.homography, grid) - map_points(truth, grid), axis=1).mean()


def test_every_pair_of_the_gallery_is_laid_as_it_was_made(gallery):
    """Fog, blur, dusk, noise, leaves, a board and a negative leave the frame; distance, tilt and crop move it."""
    for name, pair in gallery.items():
        found = align(*pair)
        assert found.kind == MOVED.get(name, "same frame"), (name, found.reason)
        if found.kind == "same frame":
            assert np.array_equal(found.homography, np.eye(3))


@pytest.mark.parametrize(("degrees", "scale"), [(1, 1), (5, 1), (15, 1), (-15, 1), (0, 0.7), (0, 1.4), (10, 0.8)])
def test_known_rotation_and_scale_are_found_within_two_pixels(gallery, degrees, scale):
    for name in NAMES:
        picture = gallery[name][0]
        truth = about_middle(picture.size, degrees, scale)
        found = align(picture, seen_through(picture, truth))
        assert found.kind == "registered", (name, found.reason)
        assert error(found, truth, picture.size) <= 2
        assert found.error <= 2
        assert found.inliers >= 8


def test_a_known_shift_and_a_crop_are_one_frame_and_found_exactly(gallery):
    for name in NAMES:
        picture = gallery[name][0]
        truth = np.array([[1, 0, -50], [0, 1, -60], [0, 0, 1.0]])
        crop = Picture.open(np.ascontiguousarray(picture.pixels[60:-40, 50:-30]))
        found = align(picture, crop)
        assert found.kind == "same frame", (name, found.reason)
        assert np.allclose(found.homography, truth)
        truth[:2, 2] = 2
        assert error(align(picture, seen_through(picture, truth)), truth, picture.size) <= 2


def test_the_same_frame_at_another_size_is_laid_edge_on_edge(gallery):
    picture = gallery["canton-dusk"][0]
    half = Picture.open(
        cv2.resize(picture.pixels, (picture.width // 2, picture.height // 2), interpolation=cv2.INTER_AREA)
    )
    found = align(picture, half)
    assert found.kind == "same frame"
    assert np.allclose(found.homography, np.diag([0.5, 0.5, 1]))


def test_a_mirrored_picture_is_refused_and_the_reason_says_mirror(gallery):
    for name in ("pearl-fog", "cat-negative", "eiffel-close", "shape-far"):
        picture = gallery[name][0]
        found = align(picture, Picture.open(np.ascontiguousarray(picture.pixels[:, ::-1])))
        assert found.kind == "by region", (name, found)
        assert "mirror" in found.reason
        assert found.homography is None


def test_pictures_of_equal_size_that_show_other_things_are_refused(gallery):
    assert gallery["cat-under-zh"][0].size == gallery["cat-negative"][0].size
    for one, other in (("pearl-fog", "cat-far"), ("cat-under-zh", "cat-negative"), ("cat-far", "cat-under-zh")):
        found = align(gallery[one][0], gallery[other][0])
        assert found.kind == "by region", (one, other, found)
        assert "too little in common" in found.reason
        assert np.isnan(found.error)


def test_noise_and_flat_pictures_are_not_laid_on_each_other():
    rng = np.random.default_rng(0)
    noise = [Picture.open(rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)) for _ in range(2)]
    assert align(*noise).kind == "by region"
    flat = [Picture.open(np.full((200, 300, 3), grey, np.uint8)) for grey in (90, 160)]
    assert align(*flat).kind == "by region"
    assert align(flat[0], flat[0]).kind == "same frame"


@pytest.mark.parametrize("shape", [(12, 12, 3), (40, 4000, 3)])
def test_pictures_too_small_or_thin_to_tell_are_not_laid_on_each_other(shape):
    rng = np.random.default_rng(0)
    left, right = (Picture.open(rng.integers(0, 256, shape, dtype=np.uint8)) for _ in range(2))
    assert align(left, right).kind == "by region"
    assert align(left, left).kind == "same frame"


def test_a_person_may_state_it_and_it_is_marked(gallery):
    pictures = gallery["pearl-fog"][0], gallery["cat-far"][0]
    said = stated("same frame", *pictures)
    assert (said.kind, said.stated) == ("same frame", True)
    assert stated("by region", *pictures).homography is None
    with pytest.raises(QueryError, match="too little in common"):
        stated("registered", *pictures)
    with pytest.raises(QueryError, match="not “edge”"):
        stated("edge", *pictures)


def test_the_failing_picture_can_be_laid_on_the_correct_one_to_judge_by_eye(gallery):
    picture = gallery["cat-tilt"][0]
    truth = about_middle(picture.size, 10)
    other = seen_through(picture, truth)
    laid, seen = warped(other.pixels, align(picture, other), picture.size)
    assert 0.6 < seen.mean() < 1
    off = np.abs(laid.astype(int) - picture.pixels)[seen]
    assert np.median(off) <= 2


def test_a_homography_of_the_smaller_copies_is_that_of_the_pictures_half_pixels_and_all():
    """Half as large a copy of 1,536 x 1,000 pixels: corner (0, 0) stays corner (0, 0)."""
    work = Work(*(Picture.open(np.zeros((1000, 1536, 3), np.uint8)) for _ in range(2)))
    truth = about_middle((1536, 1000), 7, 0.6)
    small = work.small(truth)
    assert np.allclose(work.full(small), truth)
    centre = map_points(small, np.array([[9.5, 19.5]]))[0]  # of the copy, which is pixel corner (20, 40) of the picture
    assert np.allclose((centre + 0.5) * 2, map_points(truth, np.array([[20.0, 40.0]]))[0])


def test_an_alignment_is_plain_json(gallery):
    for pair in (gallery["pearl-fog"], (gallery["pearl-fog"][0], gallery["cat-far"][0])):
        assert json.loads(json.dumps(align(*pair).to_dict(), allow_nan=False))["reason"].endswith(".")


def test_a_plain_picture_is_the_same_frame_with_more_light_saved_again_or_with_its_object_covered():
    """Rounding is all the fine detail that a plain picture has, so bands of detail do not agree."""
    pixels = np.full((300, 400, 3), 203, np.uint8)
    cv2.circle(pixels, (110, 150), 50, (40, 60, 160), -1)
    cv2.rectangle(pixels, (260, 90), (340, 200), (200, 40, 40), -1)
    covered = pixels.copy()
    covered[80:210, 250:350] = 203
    copies = (np.rint(pixels * 1.02), jpeg(pixels, 75), covered)
    for copy in copies:
        found = align(Picture.open(pixels), Picture.open(copy.astype(np.uint8)))
        assert found.kind == "same frame"
        assert np.array_equal(found.homography, np.eye(3))
    moved = align(Picture.open(pixels), Picture.open(shifted(pixels, 40, 0)))
    assert moved.homography is None or abs(moved.homography[0, 2]) > 30
