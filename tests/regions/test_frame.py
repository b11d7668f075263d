"""Photos that EXIF turns: coordinates of the stored pixels become those of the shown photo, or a person is asked."""

import io

import numpy as np
import pytest
from hypothesis import given
from PIL import Image, ImageOps

from qwenvl_debug.errors import RegionError
from qwenvl_debug.picture import Picture
from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region, region_mask
from qwenvl_debug.regions.files import UnclearFile, swapped
from qwenvl_debug.regions.frame import Reading, frame_of, upright
from tests.regions.strategies import SIZE, masks

STORED = (60, 40)


def as_pillow_turns(pixels, orientation):
    """bool [height, width] of stored pixels as Pillow shows them."""
    image, exif, file = Image.fromarray(pixels.astype(np.uint8) * 255), Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    image.save(file, "PNG", exif=exif)
    return np.asarray(ImageOps.exif_transpose(Image.open(file))) > 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    "shape",
    [
        Rectangle(3, 5, 20, 9),
        Ellipse(20, 15, 14, 6, 25),
        Polygon(((2.5, 3.5), (50.5, 8.5), (30.5, 37.5))),
        Brush(((10.5, 10.5), (40.5, 20.5)), 7),
        Mask(np.random.default_rng(0).random((40, 60)) < 0.3),
    ],
    ids=lambda one: type(one).__name__,
)
def test_a_shape_is_turned_as_its_photo_is(shape, orientation):
    shown = swapped(STORED) if orientation >= 5 else STORED
    turned = region_mask(Region("r", upright(shape, Reading(STORED, orientation))), shown)
    expected = as_pillow_turns(region_mask(Region("r", shape), STORED), orientation)
    if isinstance(shape, (Rectangle, Mask)):
        np.testing.assert_array_equal(turned, expected)
    else:  # pixels whose centre is on the outline are on one side of it or the other
        assert (turned & expected).sum() / (turned | expected).sum() > 0.97


@given(masks())
def test_turning_a_mask_keeps_its_pixels(mask):
    for orientation in range(1, 9):
        turned = upright(mask, Reading(SIZE, orientation))
        np.testing.assert_array_equal(turned.pixels, as_pillow_turns(mask.pixels, orientation))


def test_coordinates_that_fit_one_frame_only_are_of_that_frame():
    shown, stored = frame_of((400, 300), (300, 400), 6, None, lambda one: one == (300, 400)), (400, 300)
    assert (shown.size, shown.orientation) == ((300, 400), 1)
    assert "gives the size of the photo before EXIF turns it" in shown.sentence
    turned = frame_of(stored, (300, 400), 6, None, lambda one: one == stored)
    assert (turned.size, turned.orientation) == (stored, 6)
    assert turned.sentence == "The regions were turned by 90° as EXIF says of this photo."


@pytest.mark.parametrize("exif", [None, 1, 6])
def test_where_nothing_tells_the_frame_a_person_is_asked(exif):
    with pytest.raises(UnclearFile, match=r"turns.*as shown or as stored: pass frame=\"shown\"") as error:
        frame_of((400, 300), (300, 400), exif, None, lambda _: True)
    assert error.value.question.choices == (("shown",) if exif == 1 else ("shown", "stored"))
    assert frame_of((400, 300), (300, 400), exif, "shown", lambda _: True) == Reading((300, 400))


def test_what_a_person_says_of_the_frame_is_done():
    assert frame_of((400, 300), (300, 400), 8, "stored", lambda _: True).orientation == 8
    assert frame_of((300, 400), (300, 400), 3, "stored", lambda _: True).size == (300, 400)
    for exif in (None, 1):
        with pytest.raises(RegionError, match="pass its EXIF orientation"):
            frame_of((400, 300), (300, 400), exif, "stored", lambda _: True)
    with pytest.raises(RegionError, match="frame is"):
        frame_of((400, 300), (300, 400), 6, "sideways", lambda _: True)


def test_a_photo_turned_upside_down_looks_the_same_in_size_and_so_it_is_asked():
    for exif, size in ((3, (300, 400)), (6, (300, 300))):
        reading = frame_of(size, size, exif, None, lambda _: True)
        assert (reading.size, reading.orientation) == (size, 1)
        assert reading.question.choices == ("shown", "stored")
        assert frame_of(size, size, exif, "shown", lambda _: True).question is None
    assert frame_of((300, 400), (300, 400), 6, None, lambda _: True) == Reading((300, 400)), (
        "sides tell that it was turned"
    )


def test_a_photo_knows_how_it_was_turned():
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 8
    Image.new("RGB", (40, 30)).save(file, "JPEG", exif=exif)
    picture = Picture.open(file.getvalue())
    assert (picture.size, picture.orientation) == ((30, 40), 8)
