"""Names of files survive what tools do to them, and other files stay other files."""

import unicodedata

import pytest

from qwenvl_debug.regions.file_names import file_name, is_image_name, is_other_name, same_file_as


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a/b/Photo.JPG", "photo.jpg"),
        ("images\\1/90fbb0c7-a.jpg", "a.jpg"),
        ("..\\..\\media\\upload\\4\\cb0618f6-BitBlt_1.png", "BitBlt_1.png"),
        ("12-cb0618f6-tower.png", "tower.png"),
        ("/data/local-files/?d=a%20b/blue car.png", "blue car.png"),
        ("/data/upload/1/0a1b2c3d-Red_car.jpg", "Red car.jpg"),
        ("https://x.org/a/%E5%A1%94.png?token=1&x=2", "塔.png"),
        ("tower_png.rf.0a1b2c3d4e5f60718293a4b5c6d7e8f9.png", "tower.png"),
        ("s3://bucket/x/tower.png", "tower.png"),
        (unicodedata.normalize("NFD", "Zürich.png"), unicodedata.normalize("NFC", "Zürich.png")),
        ("100%25.png", "100%.png"),
        ("what?.png", "what?.png"),
        ("data/obj/tower", "tower.png"),
    ],
)
def test_what_tools_do_to_a_name_leaves_the_same_file(one, other):
    assert same_file_as(one)(other)
    assert same_file_as(other)(one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("clear.png", "fog.png"),
        ("IMG_0001-clear.png", "clear.png"),
        ("0a1b2c3d-clear.png", "4e5f6071-clear.png"),
        ("clear.png", "clear.jpg"),
        ("", "clear.png"),
        ("", ""),
        ("a/", "data:image/png;base64,AAAA"),
    ],
)
def test_other_files_stay_other_files(one, other):
    assert not same_file_as(one)(other)


def test_the_end_of_an_address_tells_what_is_there():
    assert file_name("https://x.org/a/b.png?d2=4") == "b.png"
    assert file_name("data:image/png;base64,iVBO/x.png") == ""
    assert is_image_name("https://x.org/b.JPEG?x=1")
    assert is_image_name("data:image/png;base64,AAAA")
    assert is_other_name("/data/upload/1/film.mp4")
    assert not is_image_name("a tower. It is tall")
