"""Conversations and videos come back whole, and what older stores hold is found as before."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from qwenvl_debug.case import Case, Picture, Turn
from qwenvl_debug.maps import turn_shares
from qwenvl_debug.store import answer, find_picture, find_run, load_case, load_run, open_store, save_case
from tests.store.hand_made import save_case_as_before

FOUR = {"max_new_tokens": 4}


@pytest.fixture(scope="module")
def talk(case):
    """One picture in the first turn, one with the last question."""
    return replace(case, history=(Turn("Which\0 tower?", "Canton Tower. 广州塔", 1), Turn("Sure? 确定吗？", "Yes.")))


def test_a_conversation_comes_back_and_another_one_is_another_case(store, case, talk):
    number = save_case(store, talk)
    assert load_case(store, number) == talk
    assert load_case(store, number).turns == talk.turns
    assert save_case(store, talk) == number
    others = [case, replace(talk, history=talk.history[:1]), replace(talk, history=talk.history[::-1])]
    assert len({number, *(save_case(store, other) for other in others)}) == 4


def test_frames_come_back_as_the_frames_of_a_video(store):
    frames = list(np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8))
    video = Case(frames, "What happens?", seconds=(0, 0.5, 1, 1.5))
    assert load_case(store, save_case(store, video)) == video
    assert save_case(store, video) != save_case(store, replace(video, seconds=()))


def test_a_photo_keeps_the_exif_orientation_that_was_applied_to_it(store):
    exif, photo = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20), "red").save(photo, "JPEG", exif=exif)
    case = Case([photo.getvalue(), np.zeros((9, 9, 3), np.uint8)], "Which?")
    kept = load_case(store, save_case(store, case)).pictures
    assert kept == case.pictures
    assert [picture.orientation for picture in kept] == [6, 1]
    found = find_picture(store, case.pictures[0].sha256)
    assert (found.size, found.orientation) == ((20, 30), 6)
    assert Picture.open(found).orientation == 6


def test_a_run_of_a_conversation_is_found_again_and_no_other_is(store, model, case, talk):
    first = answer(store, model, talk, **FOUR)
    assert not first.stored
    assert answer(store, model, talk, **FOUR).stored
    assert find_run(store, model, case, **FOUR) is None
    back = load_run(store, first.id)
    assert (back.tokens, back.case) == (first.run.tokens, talk)
    assert [grid.side for grid in back.grids] == [16, 16]
    assert turn_shares(back).values.tobytes() == turn_shares(first.run).values.tobytes()


@pytest.mark.parametrize("head", ["0001", "0002"])
def test_cases_of_an_older_store_keep_their_numbers_and_have_one_turn(head, settings, case, talk, monkeypatch):
    with monkeypatch.context() as old:
        old.setattr("qwenvl_debug.store.engine.HEAD", head)
        store = open_store(settings)
    one = Case(case.pictures, "Which tower?")
    number = save_case_as_before(store, one)
    store.close()
    store = open_store(settings)
    assert load_case(store, number) == one
    assert save_case(store, one) == number
    assert load_case(store, save_case(store, talk)) == talk
    store.close()
