"""The Regions page runs on a pair with known answers: it says what the scores of the drawn regions are."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from qwenvl_debug.case import Picture
from qwenvl_debug.regions import Rectangle, Region
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui import pairs, work
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.drawings import Drawing
from tests.ui.hand_made import HandRun, make_run

ROOT = Path(__file__).parents[2]
PAIR = "pair-of-known-answers"


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A pair whose correct run looks at the top left quarter only, its failing run evenly."""
    files, masks = {}, {}
    for number, side in enumerate(("correct", "failing")):
        files[side] = tmp_path / f"{side}.png"
        Image.fromarray(np.full((40, 60, 3), 90 + 60 * number, np.uint8)).save(files[side])
        mask = np.zeros((40, 60), np.uint8)
        mask[:20, :30] = 255
        masks[side] = {"spheres": tmp_path / f"{side}-spheres.png"}
        Image.fromarray(mask).save(masks[side]["spheres"])
    made = SimpleNamespace(
        id=PAIR,
        title="Known answers",
        task="tower",
        question="Which tower is this?",
        expected="Oriental Pearl Tower",
        recorded={side: {"answer": "tower"} for side in files},
        regions=masks,
        **files,
    )

    def answer_pair(name, correct, failing, *_, **__):
        words = (("Pearl", None, 0.8),)
        runs = [
            HandRun(run.trace, run.tokens, run.answer, case=case)
            for run, case in (
                (make_run(words, [0.6, 0, 0, 0]), correct),
                (make_run(words, [0.1, 0.1, 0.1, 0.1]), failing),
            )
        ]
        return Answers(*runs, None)

    monkeypatch.setattr(pairs, "gallery", lambda: {PAIR: made})
    monkeypatch.setattr(work, "answer_pair", answer_pair)
    pairs.gallery_choice.clear()
    yield made
    pairs.gallery_choice.clear()


def page() -> AppTest:
    return AppTest.from_file(str(ROOT / "pages" / "debug" / "regions.py"), default_timeout=120)


def test_a_gallery_pair_opens_with_its_regions_scored(pair):
    app = page().run()
    assert not app.exception
    said = [one.value for one in app.markdown if "chance" in one.value]
    assert any("100 % of its picture attention on “spheres” (chance 25 %)" in text for text in said)
    assert any("the failing one 25 % (chance 25 %)" in text for text in said)
    assert app.selectbox(key="regions_name").options == ["spheres"]


def test_a_region_that_is_drawn_is_scored_and_chosen(pair):
    app = page().run()
    whole = to_record(Region("left half", (Rectangle(0, 0, 30, 40),)))
    sha = Picture.open(pair.failing).sha256
    before = app.session_state["drawings"][sha]
    app.session_state["drawings"] |= {sha: Drawing(1, (*before.records, whole))}
    app.run()
    assert not app.exception
    assert app.selectbox(key="regions_name").value == "left half"
    assert any("“left half” is drawn on the failing picture only" in one.value for one in app.markdown)
    app.selectbox(key="regions_head").select(1).run()
    assert not app.exception
    assert any("head 1" in one.value for one in app.markdown)


def test_the_regions_that_came_with_the_pictures_can_be_brought_back(pair):
    app = page().run()
    shas = [Picture.open(path).sha256 for path in (pair.correct, pair.failing)]
    app.session_state["drawings"] = {sha: Drawing(3) for sha in shas}
    app.run()
    assert any("Draw a region" in one.value for one in app.info)
    app.button(key="regions_truth").click().run()
    assert not app.exception
    drawn = [app.session_state["drawings"][sha] for sha in shas]
    assert [(one.version, one.regions()[0][0].name) for one in drawn] == [(4, "spheres")] * 2


def test_a_drawing_with_a_broken_record_is_said_and_the_page_goes_on(pair):
    app = page().run()
    sha = Picture.open(pair.correct).sha256
    app.session_state["drawings"] |= {sha: Drawing(1, ({"version": 1, "name": "x", "shapes": "none"},))}
    app.run()
    assert not app.exception
    assert any("needs a list of shapes" in one.value for one in app.error)
