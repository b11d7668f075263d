"""`qwenvl-debug ask` with several pictures, earlier turns and a video: what is asked, and what is printed."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from qwenvl_debug import cli
from tests.model.tiny import tiny_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, two pictures and a film."""
    folder = tmp_path_factory.mktemp("talk")
    tiny_checkpoint(folder / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 90, 150, 3), dtype=np.uint8)
    for name, one in zip(("first", "second"), pixels, strict=True):
        Image.fromarray(one).save(folder / f"{name}.png")
    writer = cv2.VideoWriter(str(folder / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for number in range(20):
        writer.write(np.full((64, 96, 3), 12 * number, np.uint8))
    writer.release()
    return folder


def ask(folder, capsys, *more):
    code = cli.main(["ask", *map(str, more), "--model", str(folder / "model"), "--max-new-tokens", "3"])
    captured = capsys.readouterr()
    return code, captured.out or captured.err


def test_turns_and_pictures_are_asked_as_given(folder, capsys):
    turns = ("--turn", "Which? 哪座？", "A tower.", "--turn", "Sure?", "Yes.")
    more = ("--picture", folder / "second.png", *turns, "--system", "Be brief.", "--json")
    code, said = ask(folder, capsys, folder / "first.png", "And now?", *more)
    run = json.loads(said)
    assert code == 0
    assert run["history"] == [
        {"question": "Which? 哪座？", "answer": "A tower.", "pictures": 2},
        {"question": "Sure?", "answer": "Yes.", "pictures": 0},
    ]
    assert [picture["name"] for picture in run["pictures"]] == ["first.png", "second.png"]
    assert (run["system"], run["boxes"]) == ("Be brief.", [])
    assert {token["turn"] for token in run["tokens"] if token["kind"] == "picture"} == {0}


def test_shares_by_picture_and_turn_are_printed_beside_chance(folder, capsys):
    more = ("--picture", folder / "second.png", "--turn", "Which?", "A tower.")
    _, said = ask(folder, capsys, folder / "first.png", "And now?", *more)
    assert "Earlier turns:\n  asked   answered\n  Which?  A tower." in said
    tail = said[said.index("Which picture it looks at") :]
    for words in ("0: first.png", "1: second.png", "everything else", "Which turn it looks at", "turn 1", "this turn"):
        assert words in tail


def test_boxes_of_the_answer_are_printed_in_pixels(folder, capsys):
    answer = '[{"bbox_2d": [100, 200, 600, 700], "label": "the tower"}]'
    _, said = ask(folder, capsys, folder / "first.png", "Where?", "--target", answer)
    assert "the tower  first.png  15,18,75,45" in said
    _, said = ask(folder, capsys, folder / "first.png", "Where?", "--target", answer, "--json")
    (box,) = json.loads(said)["boxes"]
    assert (box.pop("label"), box.pop("picture")) == ("the tower", 0)
    assert box == pytest.approx({"x": 15, "y": 18, "width": 75, "height": 45})


def test_what_of_the_answer_was_not_read_as_a_box_is_printed(folder, capsys):
    answer = '[{"bbox_2d": [0.1, 0.2, 0.6, 0.7], "label": "the tower"}]'
    _, said = ask(folder, capsys, folder / "first.png", "Where?", "--target", answer)
    assert "1 box with coordinates between 0 and 1, such as [0.1, 0.2, 0.6, 0.7], was left out" in said
    _, said = ask(folder, capsys, folder / "first.png", "Where?", "--target", answer, "--json")
    assert json.loads(said)["boxes"] == []
    assert len(json.loads(said)["unread_boxes"]) == 1


def test_a_film_is_asked_about_by_its_frames(folder, capsys):
    code, said = ask(folder, capsys, folder / "film.avi", "What happens?", "--frames", 4)
    assert code == 0
    assert said.count("on the frames from") == 2, "a pair is told once"
    assert "0.0 to 0.6 s" in said
    _, said = ask(folder, capsys, folder / "film.avi", "What happens?", "--frames", 4, "--json")
    assert json.loads(said)["seconds"] == [0.0, 0.6, 1.3, 1.9]
    code, said = ask(folder, capsys, folder / "film.avi", "What?", "--picture", folder / "first.png")
    assert (code, said) == (
        2, "qwenvl-debug: A case holds pictures or one video, not both: leave out --picture.\n"
    )  # fmt: skip
