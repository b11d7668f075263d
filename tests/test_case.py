"""Do pictures of every kind become what a person sees, and do unusable ones get one plain sentence?"""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from qwenvl_debug.case import Case, Picture, Turn, is_right
from qwenvl_debug.errors import CaseError, PictureError, QwenVLDebugError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
DOT = np.zeros((4, 4, 3), np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises a size and then holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def top_left_red() -> Image.Image:
    image = Image.new("RGB", (48, 32), WHITE)
    image.paste(RED, (0, 0, 24, 16))
    return image


@pytest.mark.parametrize(("orientation", "corner"), [(3, (-1, -1)), (6, (0, -1)), (8, (-1, 0)), (2, (0, -1))])
def test_a_rotated_photograph_is_turned_the_way_a_viewer_shows_it(orientation, corner):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Picture.open(encoded(top_left_red(), "JPEG", exif=exif, quality=95))
    assert picture.size == ((48, 32) if orientation < 5 else (32, 48))
    assert np.abs(picture.pixels[corner].astype(int) - RED).max() < 12
    assert picture.orientation == orientation
    assert Picture.open(picture, "other.jpg").orientation == orientation
    assert Picture.open(picture.png()).orientation == 1


def test_transparent_pixels_are_seen_on_white():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 127))
    assert Picture.open(encoded(image)).pixels[0].tolist() == [[255, 255, 255], [128, 128, 128]]


@pytest.mark.parametrize("mode", ["LA", "PA", "P", "RGBA"])
def test_every_kind_of_transparency_becomes_white(mode):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (Picture.open(image.convert(mode)).pixels == 255).all()


def test_cmyk_becomes_the_same_colours_in_rgb():
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.abs(Picture.open(encoded(image, "TIFF")).pixels.astype(int) - RED).max() < 3
    assert np.abs(Picture.open(encoded(image, "JPEG", quality=95)).pixels.astype(int) - RED).max() < 12


def test_sixteen_bit_grey_keeps_its_brightness():
    ramp = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    assert Picture.open(encoded(Image.fromarray(ramp))).pixels[0, :, 0].tolist() == [0, 100, 255]


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_wide_numbers_become_grey_levels(dtype):
    image = Image.fromarray(np.array([[0, 32768, 65535]], dtype=dtype))
    assert Picture.open(encoded(image, "TIFF")).pixels[0, :, 1].tolist() == [0, 128, 255]


def test_black_and_white_and_palette_pictures_become_rgb():
    assert Picture.open(encoded(Image.new("1", (3, 2), 1))).pixels.tolist() == [[[255] * 3] * 3] * 2
    assert Picture.open(encoded(Image.new("RGB", (3, 2), BLUE).quantize())).pixels[0, 0].tolist() == list(BLUE)


def test_of_an_animation_the_first_frame_is_taken():
    frames = [Image.new("RGB", (6, 4), colour) for colour in (GREEN, RED, BLUE)]
    picture = Picture.open(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (picture.pixels == GREEN).all()


@pytest.mark.parametrize("size", [(9_000, 9_000), (60_000, 60_000)])
def test_a_huge_picture_is_refused_before_it_is_decoded(size):
    with pytest.raises(PictureError, match="more than 64 million pixels"):
        Picture.open(png_header(*size))


def test_a_huge_photograph_is_decoded_smaller(monkeypatch):
    monkeypatch.setattr("qwenvl_debug.picture.MAX_PIXELS", 48 * 32 // 4)
    picture = Picture.open(encoded(top_left_red(), "JPEG", quality=95))
    assert picture.size == (24, 16)
    assert np.abs(picture.pixels[2, 2].astype(int) - RED).max() < 12


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (encoded(Image.effect_noise((64, 64), 90))[:-900], "damaged or incomplete"),
        (encoded(Image.effect_noise((64, 64), 90), "JPEG")[:-900], "damaged or incomplete"),
        (png_header(20, 20), "damaged or incomplete"),
        (b"Dear reader, this is a letter.", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (b"", "not a picture"),
        (7, "not a picture"),
        (None, "not a picture"),
        ("no/such/file.png", "There is no picture"),
        (".", "is a folder"),
        (np.zeros((4, 4, 3), dtype=np.float32), "uint8"),
        (np.zeros((4, 4, 2), dtype=np.uint8), "uint8"),
        (np.zeros((0, 4, 3), dtype=np.uint8), "empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_a_picture_is_refused_in_one_sentence(source, sentence):
    with pytest.raises(PictureError, match=sentence) as caught:
        Picture.open(source)
    assert isinstance(caught.value, QwenVLDebugError)
    assert "\n" not in str(caught.value)


def test_every_way_to_hand_over_a_picture_gives_the_same_picture(tmp_path):
    path = tmp_path / "corner.png"
    top_left_red().save(path)
    with path.open("rb") as file:
        pictures = [Picture.open(source) for source in (path, str(path), path.read_bytes(), file, top_left_red())]
    pictures.append(Picture.open(np.asarray(top_left_red())))
    pictures.append(Picture.open(pictures[0].png()))
    assert len(set(pictures)) == 1
    assert pictures[0].name == pictures[3].name == "corner.png"
    assert pictures[0] is Picture.open(pictures[0])
    assert Picture.open(pictures[0], name="before").name == "before"
    assert pictures[0].to_pil().tobytes() == top_left_red().tobytes()


def test_the_hash_tells_apart_pixels_and_shapes():
    flat = np.zeros((2, 8, 3), dtype=np.uint8)
    assert Picture.open(flat) != Picture.open(flat.reshape(4, 4, 3))
    changed = flat.copy()
    changed[1, 7, 2] = 1
    assert Picture.open(flat) != Picture.open(changed)


def test_pixels_cannot_be_changed_and_the_source_stays_free():
    source = np.zeros((2, 2, 3), dtype=np.uint8)
    picture = Picture.open(source)
    source[:] = 9
    assert picture.pixels.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0, 0] = 1


def test_a_case_takes_one_picture_or_several():
    image = top_left_red()
    assert len(Case(image, "What is this?").pictures) == 1
    assert len(Case([image, encoded(image)], "Same?").pictures) == 2
    assert Case(image, "Which?", expected="  ").expected is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((top_left_red(), ""), "question is empty"),
        ((top_left_red(), " \n\t"), "question is empty"),
        ((top_left_red(), "x" * 8_001), "8,001 characters"),
        ((top_left_red(), None), "must be text"),
        ((top_left_red(), "half \ud83d"), "valid Unicode"),
        ((top_left_red(), "Why?", 3), "expected answer must be text"),
        (((), "Why?"), "at least one picture"),
    ],
)
def test_an_unusable_case_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(CaseError, match=sentence):
        Case(*arguments)


@pytest.mark.parametrize(
    ("answer", "expected", "verdict"),
    [
        ("It is the Oriental Pearl Tower.", "Oriental Pearl Tower", True),
        ("The oriental-pearl tower", "the Oriental Pearl Tower", True),
        ("Canton Tower", "Oriental Pearl Tower", False),
        ("category", "cat", False),
        ("There are 13 cats", "3", False),
        ("3.5 metres", "3.5", True),
        ("3.5 metres", "5", False),
        ("ＣＡＴ", "cat", True),
        ("STRASSE", "straße", True),
        ("这是东方明珠。", "东方明珠", True),
        ("广州塔", "东方明珠", False),
        ("桌子下面有13只猫", "3只猫", False),
        ("B", "A", False),
        ("A", "A", True),
        ("", "cat", False),
        ("wow?!", "?!", True),
        ("anything", None, None),
        ("anything", " ", None),
    ],
)
def test_an_answer_is_right_when_it_contains_the_expected_words(answer, expected, verdict):
    assert is_right(answer, expected) is verdict


def test_earlier_turns_show_the_first_pictures_and_the_question_the_rest():
    pictures = [np.full((4, 4, 3), level, np.uint8) for level in range(4)]
    case = Case(pictures, "And now?", history=[Turn("Which?", " A cat. ", pictures=2), Turn("Sure?", "Yes.")])
    assert case.turns == (("Which?", "A cat.", (0, 1)), ("Sure?", "Yes.", ()), ("And now?", None, (2, 3)))
    assert Case(pictures, "And now?").turns == (("And now?", None, (0, 1, 2, 3)),)
    assert replace(case, question="Else?").history == case.history
    assert hash(case) != hash(replace(case, history=case.history[:1]))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Turn("", "A cat."), "question of an earlier turn is empty"),
        (lambda: Turn("Which?", "  "), "answer of an earlier turn is empty"),
        (lambda: Turn("Which?", None), "answer of an earlier turn must be text"),
        (lambda: Turn("Which?", "A cat.", pictures=-1), "not -1"),
        (lambda: Turn("Which?", "A cat.", pictures="cat.png"), "a number of the case's pictures"),
        (lambda: Case(DOT, "And?", history=[Turn("Which?", "A cat.", 2)]), "show 2 pictures, but the case has 1"),
        (lambda: Case(DOT, "And?", history=[("Which?", "A cat.")]), "made of turns"),
        (lambda: Case([DOT, DOT], "And?", seconds=(0.0,)), "2 frames and 1 times"),
        (lambda: Case([DOT, DOT], "And?", seconds=(1.0, 1.0)), "each after the one before"),
        (lambda: Case([DOT, DOT[:2]], "And?", seconds=(0, 1)), "all have one size"),
        (lambda: Case([DOT, DOT], "And?", seconds=(0, 1), history=[Turn("A?", "B", 1)]), "shown whole in one turn"),
    ],
)
def test_conversations_that_make_no_sense_are_refused_in_one_sentence(make, sentence):
    with pytest.raises(CaseError, match=sentence):
        make()
