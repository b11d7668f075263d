"""Masks keep every pixel on their way through PNG, whatever its mode."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from PIL import Image

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Region, region_mask
from qwenvl_debug.regions.masks_png import mask_from_png, mask_to_png
from tests.regions.strategies import HEIGHT, SIZE, WIDTH, masks, regions

DISC = np.hypot(*np.ogrid[-20:20, -30:30]) < 13


def png(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


@given(regions())
def test_a_region_comes_back_as_its_pixels(region):
    assert np.array_equal(mask_from_png(mask_to_png(region, SIZE), SIZE).pixels, region_mask(region, SIZE))


@given(masks())
def test_a_mask_comes_back_exactly(mask):
    assert mask_from_png(mask_to_png(Region("m", mask), SIZE), SIZE) == mask


def painted(mode):
    ink = np.where(DISC, 255, 0).astype(np.uint8)
    grey = Image.fromarray(ink)
    if mode == "I;16":
        return Image.fromarray(np.where(DISC, 3, 0).astype(np.uint16))
    if mode == "alpha":
        return Image.fromarray(np.dstack([np.full((HEIGHT, WIDTH, 3), 9, np.uint8), ink]))
    if mode == "black on nothing":
        return Image.fromarray(np.dstack([np.zeros((HEIGHT, WIDTH, 3), np.uint8), ink]))
    if mode == "faint blue":
        return Image.fromarray(np.dstack([0 * ink, 0 * ink, ink // 255]))
    if mode == "label map":
        labels = Image.fromarray(np.where(DISC, 2, 0).astype(np.uint8), "P")
        labels.putpalette([0, 0, 0, 255, 0, 0, 0, 128, 0])
        return labels
    return grey.convert(mode)


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16", "alpha", "black on nothing", "faint blue", "label map")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_read(mode, tmp_path):
    (tmp_path / "mask.png").write_bytes(png(painted(mode)))
    assert np.array_equal(mask_from_png(tmp_path / "mask.png", SIZE).pixels, DISC)


def test_a_palette_with_a_transparent_colour_is_read():
    image = Image.fromarray(np.where(DISC, 0, 1).astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    assert np.array_equal(mask_from_png(png(image, transparency=1), SIZE).pixels, DISC)


def test_a_mask_turned_by_its_exif_is_turned_like_the_picture():
    orientation = Image.Exif()
    orientation[0x0112] = 6  # shown after a quarter turn clockwise
    pixels = np.zeros((WIDTH, HEIGHT), bool)
    pixels[:5, :30] = True
    turned = np.rot90(pixels, -1)
    assert np.array_equal(mask_from_png(png(Image.fromarray(pixels), exif=orientation), SIZE).pixels, turned)


def jpeg():
    buffer = io.BytesIO()
    painted("L").save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (png(painted("L").resize((30, 20))), "The mask has 30 x 20 pixels and the picture 60 x 40"),
        (png(painted("L"))[:60], "not a PNG"),
        (b"", "not a PNG"),
        (jpeg(), "not a PNG"),
        ("nowhere/mask.png", "There is no mask at nowhere/mask.png"),
        (".", "not a PNG"),
    ],
)
def test_what_is_not_a_mask_of_the_picture_is_refused_in_one_sentence(source, sentence):
    with pytest.raises(RegionError, match=r"^[^\n]*\.$") as refused:
        mask_from_png(source, SIZE)
    assert sentence in str(refused.value)
