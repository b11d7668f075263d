"""What the app keeps comes back; where nothing can be kept, it goes on and says why."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import compare
from qwenvl_debug.errors import StoreError
from qwenvl_debug.maps import Query
from qwenvl_debug.regions import Ellipse, Mask, Region
from qwenvl_debug.store import comparison_numbers, scores_of
from qwenvl_debug.ui import archive
from tests.store.hand_made import hand_made_run


@pytest.fixture
def picture():
    return Picture.open(np.random.default_rng(3).integers(0, 256, (20, 30, 3), dtype=np.uint8), name="tower.png")


class AskedModel:
    """A model that counts how often it is asked; each answer is another run."""

    revision = "1"

    def __init__(self, picture):
        self.picture, self.asked = picture, 0

    def settings(self, **settings):
        return {}

    def ask(self, case, **_):
        self.asked += 1
        return hand_made_run(self.picture, np.random.default_rng(self.asked))


def test_the_same_question_is_answered_from_the_store_unless_a_fresh_run_is_wanted(picture):
    model = AskedModel(picture)
    case = Case(picture, "Which tower?")
    first = archive.answer(model, case)
    archive.settle()
    again = archive.answer(model, case)
    assert (first.stored, again.stored, model.asked) == (False, True, 1)
    assert again.run.model is model
    np.testing.assert_array_equal(again.run.trace.weights(1), first.run.trace.weights(1))
    fresh = archive.answer(model, case, fresh=True)
    archive.settle()
    assert (fresh.stored, model.asked) == (False, 2)
    assert archive.answer(model, case).run.provenance.seconds == fresh.run.provenance.seconds
    assert archive.notice() is None


def test_a_full_disk_costs_no_answer_and_is_said(picture, monkeypatch):
    def full(*_):
        raise StoreError("The disk is full.")

    archive.opened()
    with monkeypatch.context() as patch:
        patch.setattr(archive.room, "save_run", full)
        assert archive.answer(AskedModel(picture), Case(picture, "Which tower?")).run.answer == "Pearl"
        archive.settle()
        assert archive.notice() == "The disk is full."
    archive.answer(AskedModel(picture), Case(picture, "Which tower?"))
    archive.settle()
    assert archive.notice() is None


def test_a_store_that_cannot_be_opened_gives_way_to_one_that_lasts_as_long_as_the_app(picture, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QWENVL_DEBUG_DATA", str(tmp_path / "file" / "data"))
    model = AskedModel(picture)
    archive.answer(model, Case(picture, "Which tower?"))
    archive.settle()
    assert archive.answer(model, Case(picture, "Which tower?")).stored
    assert "cannot be made" in archive.notice()
    monkeypatch.setenv("QWENVL_DEBUG_DISK", "much")
    assert "QWENVL_DEBUG_DISK" in archive.notice()


def test_without_any_store_the_app_goes_on(picture, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QWENVL_DEBUG_DATA", str(tmp_path / "file" / "none"))
    monkeypatch.setattr(archive.tempfile, "mkdtemp", lambda **_: str(tmp_path / "file" / "nothing"))
    model = AskedModel(picture)
    assert archive.answer(model, Case(picture, "Which tower?")).run.answer == "Pearl"
    assert archive.find_picture("0" * 24) is None
    assert archive.notice().endswith("Only this browser keeps what you draw.")


def test_comparisons_and_scores_are_kept_once_and_take_the_page_no_time(picture):
    runs = [hand_made_run(picture, np.random.default_rng(seed)) for seed in (1, 2)]
    query = Query((4,), "Pearl")
    made = compare(*runs, correct_query=query, failing_query=query)
    region = Region("spheres", (Ellipse(10, 10, 5, 5), Mask(np.eye(20, 30))))
    values = {"mass": np.random.default_rng(0).random((2, 3))}
    busy = threading.Event()
    archive._DESK.clerk.submit(busy.wait, 30)  # whatever the clerk is at, nobody waits for it
    for _ in range(20):
        archive.keep_comparison(made)
        archive.keep_scores(runs[0], region, query, values)
    busy.set()
    archive.settle()
    assert comparison_numbers(archive.store(), 1)["layers"]
    with pytest.raises(StoreError, match="no comparison 2"):
        comparison_numbers(archive.store(), 2)
    (kept,) = scores_of(archive.store(), 1)
    assert (kept.region, kept.query) == (region, query)
    np.testing.assert_array_equal(kept.values["mass"], values["mass"])
    assert archive.notice() is None


def test_a_case_that_is_kept_gives_its_pictures_back_by_their_names(picture):
    archive.keep_case(Case(picture, "Which tower?"))
    archive.settle()
    found = archive.find_picture(picture.sha256[:24])
    assert (found, found.name) == (picture, "tower.png")


def test_what_goes_wrong_in_the_background_is_said_and_tried_again_next_time(picture, monkeypatch):
    tried = []

    def save(kept, case):
        tried.append(case)
        raise StoreError("The disk is full.")

    monkeypatch.setattr(archive, "room", SimpleNamespace(**{**vars(archive.room), "save_case": save}))
    for _ in range(2):
        archive.keep_case(Case(picture, "Which tower?"))
        archive.settle()
    assert len(tried) == 2
    assert archive.notice() == "The disk is full."
