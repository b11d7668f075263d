"""The Regions page runs on a pair with known answers: it says what the scores of the drawn regions are."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from qwenvl_debug.case import Picture
from qwenvl_debug.regions import Ellipse, Rectangle, Region, mask_to_png, to_coco
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.ui import archive, pairs, work
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.drawings import Drawing
from qwenvl_debug.ui.region_files import masks_zip
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
        kept=[],
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
    monkeypatch.setattr(archive, "keep_scores", lambda *scores: made.kept.append(scores))  # they have no origin
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
    assert [(region.name, values["mass"][0, -1].round(6)) for _, region, _, values, *_ in pair.kept] == [
        ("spheres", 1.0),
        ("spheres", 0.25),
    ]


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


def bring(app, *files):
    """Upload files in the popover, for the correct picture."""
    app.file_uploader[0].set_value([(name, data, "application/octet-stream") for name, data in files])
    return app.run()


def test_regions_come_in_from_files_and_everything_left_out_is_said(pair):
    app = page().run()
    sha, size = Picture.open(pair.correct).sha256, (60, 40)
    theirs = [Region("spheres", (Rectangle(1, 2, 30, 20),)), Region("sky", (Ellipse(9, 9, 5, 5),))]
    coco = json.dumps(to_coco(theirs, size, "correct.png")).encode()
    app = bring(app, ("theirs.json", coco), ("notes.json", b"hello"))
    assert not app.exception
    names = [region.name for region in app.session_state["drawings"][sha].regions()[0]]
    assert names == ["spheres", "spheres 2", "sky"], "what was drawn stays"
    assert app.success[0].value.startswith("2 regions added to the correct picture")
    assert any("this is neither PNG nor JSON" in one.value for one in app.caption)
    assert app.selectbox(key="regions_name").value == "sky"


def warned(app):
    return [one.value for one in app.warning]


def test_a_file_about_another_image_is_asked_about_before_anything_is_added(pair):
    app = page().run()
    sha = Picture.open(pair.correct).sha256
    coco = json.dumps(to_coco([Region("dog", (Rectangle(1, 2, 30, 20),))], (60, 40), "dog.png")).encode()
    bring(app, ("dog.json", coco), ("again.json", coco))
    assert not app.exception
    assert len(app.session_state["drawings"][sha].records) == 1, "nothing is added yet"
    (question,) = warned(app)
    assert question.startswith("dog.json\\: The file has no image called correct.png")
    assert question.endswith("is dog.png. 1 more file to decide about after this.")
    app.button(key="regions_answer_add").click().run()
    assert [one["name"] for one in app.session_state["drawings"][sha].records] == ["spheres", "dog"]
    assert warned(app)[0].startswith("again.json")
    app.button(key="regions_answer_drop").click().run()
    assert not app.exception
    assert warned(app) == []
    assert len(app.session_state["drawings"][sha].records) == 2
    assert app.success[0].value.startswith("1 region added to the correct picture")


def test_of_several_images_of_the_size_one_is_chosen_on_the_page(pair):
    app = page().run()
    sha = Picture.open(pair.correct).sha256
    coco = to_coco(
        [Region("a", (Rectangle(1, 2, 30, 20),)), Region("b", (Rectangle(3, 4, 30, 20),))], (60, 40), "a.png"
    )
    coco["images"].append({**coco["images"][0], "id": 2, "file_name": "b.png"})
    coco["annotations"][1]["image_id"] = 2
    bring(app, ("two.json", json.dumps(coco).encode()))
    assert app.selectbox(key="regions_answer").options == ["a.png", "b.png"]
    app.selectbox(key="regions_answer").select("b.png").run()
    app.button(key="regions_answer_add").click().run()
    assert not app.exception
    assert [one["name"] for one in app.session_state["drawings"][sha].records] == ["spheres", "b"]
    assert any("Not imported: 1 annotation of 1 other image" in one.value.replace("\\", "") for one in app.caption)


def test_a_photo_that_exif_turns_asks_for_the_frame_and_turns_the_regions(pair):
    """Of an upside-down photo neither the size nor the coordinates tell."""
    picture = replace(Picture.open(pair.correct), orientation=3)
    coco = json.dumps(to_coco([Region("dog", (Rectangle(0, 0, 30, 20),))], (60, 40), "correct.png"))
    coco = coco.replace("qwenvl_debug", "other")  # as another tool wrote it
    file = SimpleNamespace(name="dog.json", file_id="1", getvalue=coco.encode)

    def popover(picture, file):
        import streamlit as st

        from qwenvl_debug.ui import drawings, region_files

        st.session_state.setdefault(region_files.SAID, region_files.Taken())
        if region_files.SAID + "_once" not in st.session_state:
            st.session_state[region_files.SAID + "_once"] = st.session_state["field"] = [file]
            region_files._take("field", "correct", picture)
        region_files.popover((picture, picture))
        drawings.load(picture.sha256)

    app = AppTest.from_function(popover, args=(picture, file)).run()
    assert not app.exception
    assert "turned by 180° by EXIF" in app.warning[0].value
    app.selectbox(key="regions_answer").select("stored").run()
    app.button(key="regions_answer_add").click().run()
    assert not app.exception
    (record,) = app.session_state["drawings"][picture.sha256].records
    assert np.ptp(record["shapes"][0]["points"], axis=0).tolist() == [30, 20]
    assert np.min(record["shapes"][0]["points"], axis=0).tolist() == [30, 20], "the top left is the bottom right"
    assert any("turned by 180° as EXIF says" in one.value for one in app.caption)


def test_files_of_other_tools_are_told_what_to_export_instead(pair):
    app = bring(page().run(), ("cvat.xml", b"<annotations><version>1.1</version>"))
    assert any("export the task as COCO 1.0" in one.value for one in app.caption)


def test_a_file_that_the_browser_tells_of_twice_is_taken_once(pair):
    files = [SimpleNamespace(name=f"{name}.png", file_id=name, getvalue=lambda: mask) for name in ("one", "two")]
    picture = Picture.open(pair.correct)
    mask = mask_to_png(Region("corner", (Rectangle(0, 0, 9, 9),)), picture.size)

    def twice(key, picture, files):
        import streamlit as st

        from qwenvl_debug.ui import region_files

        st.session_state.setdefault(region_files.SAID, region_files.Taken())
        for known in (files[:1], files):
            st.session_state[key] = known
            region_files._take(key, "correct", picture)

    app = AppTest.from_function(twice, args=("field", picture, files)).run()
    assert not app.exception
    assert [one["name"] for one in app.session_state["drawings"][picture.sha256].records] == ["one", "two"]
    assert app.session_state["regions_files_said"].added == 2


def test_a_picture_takes_a_hundred_regions_and_says_what_was_too_much(pair):
    app = page().run()
    sha = Picture.open(pair.correct).sha256
    many = [Region(f"r{number}", (Rectangle(number % 50, 2, 3, 3),)) for number in range(105)]
    app = bring(app, ("many.json", json.dumps(to_coco(many, (60, 40), "correct.png")).encode()))
    assert not app.exception
    assert len(app.session_state["drawings"][sha].records) == 100
    said = [one.value for one in app.caption if "at most 100 regions" in one.value]
    assert len(said) == 1
    assert "6 were left out" in said[0]
    assert any("more regions: choose one above" in one.value for one in app.caption)


def test_two_regions_of_one_name_are_both_scored_under_names_of_their_own(pair):
    app = page().run()
    sha = Picture.open(pair.failing).sha256
    before = app.session_state["drawings"][sha]
    twin = to_record(Region("spheres", (Rectangle(30, 20, 30, 20),)))
    app.session_state["drawings"] |= {sha: Drawing(1, (*before.records, twin))}
    app.run()
    assert not app.exception
    assert app.selectbox(key="regions_name").options == ["spheres", "spheres 2"]


def test_a_layer_without_a_map_and_a_region_outside_the_picture_have_no_numbers(pair):
    app = page().run()
    sha = Picture.open(pair.correct).sha256
    before = app.session_state["drawings"][sha]
    away = to_record(Region("away", (Rectangle(500, 500, 10, 10),)))
    app.session_state["drawings"] |= {sha: Drawing(1, (*before.records, away))}
    app.run()
    app.slider(key="regions_layer").set_value(1)
    app.toggle(key="regions_places").set_value(True).run()
    assert not app.exception
    assert any("no layer has a score for it" in one.value for one in app.markdown)
    cards = [one.proto.body for one in app.get("html")]
    assert len(cards) == 2
    assert all("NaN" not in one and "nan" not in one for one in cards)


def test_the_link_chooses_region_layer_head_and_measure_once(pair):
    app = page()
    link = {"pair": PAIR, "region": "spheres", "layer": "2", "head": "1", "measure": "lift", "asks": "q"}
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert [app.session_state[f"regions_{name}"] for name in ("layer", "head", "shown", "asks")] == [2, 1, "lift", "q"]
    app.slider(key="regions_layer").set_value(0).run()
    assert app.session_state["regions_layer"] == 0


def test_imported_regions_get_names_of_their_own_and_accents_as_they_are_typed(pair):
    app = page().run()
    sha, size = Picture.open(pair.correct).sha256, (60, 40)
    theirs = [Region(name, (Rectangle(1, 2, 30, 20),)) for name in ("spheres", "e\u0301te\u0301", " mast  top ")]
    app = bring(app, ("theirs.json", json.dumps(to_coco(theirs, size, "correct.png")).encode()))
    assert not app.exception
    names = [region.name for region in app.session_state["drawings"][sha].regions()[0]]
    assert names == ["spheres", "spheres 2", "\u00e9t\u00e9", "mast top"]


def test_masks_of_names_that_differ_in_case_alone_are_two_files_everywhere():
    regions = [Region(name, (Rectangle(0, 0, 3, 3),)) for name in ("Cat", "cat", "a/b", "a-b", "A-B 2")]
    with zipfile.ZipFile(io.BytesIO(masks_zip(regions, (6, 4)))) as archive:
        assert archive.namelist() == ["Cat.png", "cat 2.png", "a-b.png", "a-b 3.png", "A-B 2.png"]
