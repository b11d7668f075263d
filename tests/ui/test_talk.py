"""Own pictures in conversations: what the form asks, what a link brings back, which picture the pages show."""

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qwenvl_debug.case import Case, Picture, Turn
from qwenvl_debug.errors import CaseError, PictureError
from qwenvl_debug.regions import Rectangle, Region
from qwenvl_debug.ui import drawings, own_form, pairs, region_boxes, talk_form
from qwenvl_debug.ui.extras import regions_payload
from tests.model.tiny import tiny_checkpoint
from tests.ui.test_page import until

ROOT = Path(__file__).parents[2]
TURNS = [["What is this? 这是什么？", "A shape."], ["Sure?", "Yes."]]


@pytest.fixture(scope="module")
def pictures():
    """Two pictures for either side, by the names under which they are kept."""
    pixels = np.random.default_rng(5).integers(0, 256, (4, 64, 96, 3), dtype=np.uint8)
    return [pairs.vault().keep(Picture.open(one, f"p{number}.png")) for number, one in enumerate(pixels)]


@pytest.fixture
def link(pictures):
    """What the address of a conversation about two pictures a side holds."""
    sides = {"correct": ",".join(pictures[:2]), "failing": ",".join(pictures[2:])}
    return {
        "ask": "Which colour?",
        "system": "Be brief.",
        "turns": json.dumps(TURNS, ensure_ascii=False),
        "shown": "first",
        **sides,
    }


def open_app(link, page="streamlit_app.py"):
    app = AppTest.from_file(str(ROOT / page), default_timeout=120)
    for name, value in {"pair": "own", **link}.items():
        app.query_params[name] = value
    return app.run()


def test_a_link_gives_the_conversation_on_both_sides(link, pictures):
    choice = pairs.own_choice(link)
    for case, names in ((choice.correct, pictures[:2]), (choice.failing, pictures[2:])):
        assert [picture.sha256[:24] for picture in case.pictures] == names
        assert case.history == (Turn(*TURNS[0], pictures=2), Turn(*TURNS[1]))
        assert (case.system, case.question) == ("Be brief.", "Which colour?")
    assert (choice.count, choice.pictures[1]) == (2, choice.failing.pictures[0])
    assert pairs.own_choice({**link, "shown": ""}).correct.history[0].pictures == 0
    assert pairs.own_choice({**link, "failing": f"{pictures[2]},{'0' * 24}"}) is None


@pytest.mark.parametrize("turns", ["", "{", '"text"', '[["one"]]', '[["a", 1]]', "[" * 3000, '{"a": 1}'])
def test_turns_of_a_link_that_are_no_turns_are_left_out(turns):
    assert talk_form.history_of({"turns": turns}, 2) == ()
    with pytest.raises(CaseError, match="answer of an earlier turn is empty"):
        talk_form.history_of({"turns": '[["a", ""]]'}, 2)


def test_conversations_about_the_same_pictures_are_told_apart_and_simple_cases_have_simple_keys(link):
    simple = pairs.own_choice({name: link[name].split(",")[0] for name in ("correct", "failing", "ask")})
    assert pairs.case_key(simple.correct) == (simple.correct.pictures[0].sha256, "Which colour?", "")
    others = [link, {**link, "system": "Go on."}, {**link, "turns": ""}, {**link, "shown": ""}]
    keys = {pairs.case_key(pairs.own_choice(one).correct) for one in others}
    assert len(keys) == 4


def test_compare_shows_the_chosen_picture_and_where_in_the_conversation_it_looked(link):
    app = until(open_app(link), lambda app: any("Where in the conv" in text.value for text in app.markdown))
    assert not app.exception
    assert not any("Press “Ask both” to use what you changed" in said.value for said in app.caption)
    assert app.toggle(key="own_talk").value
    assert [app.text_input(key=f"own_{part}_0").value for part in "qa"] == TURNS[0]
    pictures, turns = (frame.value for frame in app.dataframe if "chance, correct" in frame.value)
    assert list(pictures["picture"]) == ["picture 1", "picture 2"]
    assert list(turns["turn"]) == ["turn 1", "turn 2", "this turn"]
    assert 0 < pictures["chance, correct"][0] == pytest.approx(pictures["chance, correct"][1])
    assert 0 < turns[["correct", "failing"]].to_numpy().min() < turns[["correct", "failing"]].to_numpy().sum() < 200
    app.segmented_control(key="picture_number").set_value(1).run()
    assert not app.exception
    assert app.session_state.picture_number == 1


def test_typed_turns_are_asked_and_closed_fields_are_not(link, pictures):
    app = open_app({name: link[name].split(",")[0] for name in ("correct", "failing", "ask")})
    assert not app.toggle(key="own_talk").value
    app.toggle(key="own_talk").set_value(True).run()
    app.button(key="own_more").click().run()
    app.text_input(key="own_q_0").set_value("What?")
    app.text_input(key="own_a_0").set_value("A cat.").run()
    app.button(key="own_go").click().run()
    assert json.loads(app.session_state.asked["turns"]) == [["What?", "A cat."]]
    assert app.session_state.asked["shown"] == "first"
    app.toggle(key="own_talk").set_value(False).run()
    app.button(key="own_go").click().run()
    assert set(app.session_state.asked) == {"correct", "failing", "ask"}
    assert not app.exception


def test_boxes_become_regions_once_and_beside_what_is_drawn():
    picture = Picture.open(np.random.default_rng(8).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    drawings.bring(picture.sha256, (Region("cat", Rectangle(1, 1, 5, 5)),))
    found = [Region("cat", Rectangle(10, 10, 20, 20), "measure"), Region("dog", Rectangle(30, 5, 9, 9), "measure")]
    for _ in range(2):
        region_boxes.add(picture.sha256, found)
    drawn = drawings.load(picture.sha256).regions()[0]
    assert [(region.name, region.shapes[0].x) for region in drawn] == [("cat", 1), ("cat 2", 10), ("dog", 30)]


def test_taking_over_a_pair_keeps_its_conversation(link):
    case = pairs.own_choice(link).correct
    assert talk_form.asked_of(case.system, case.history) == {name: link[name] for name in talk_form.NAMES}
    assert talk_form.asked_of(None, ()) == {"system": "", "turns": "", "shown": ""}
    assert isinstance(case, Case)


def test_an_uploaded_video_becomes_its_frames_and_their_times(tmp_path):
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 64))
    for number in range(20):
        writer.write(np.full((64, 96, 3), 12 * number, np.uint8))
    writer.release()
    film = SimpleNamespace(name="../film.avi", getvalue=path.read_bytes)
    shown, seconds = own_form._read([film])
    assert [picture.name for picture in shown[:2]] == ["film.avi at 0.0 s", "film.avi at 0.3 s"]
    assert (len(shown), seconds[0], seconds[-1]) == (8, 0, 1.9)
    with pytest.raises(CaseError, match="pictures or one video, not both"):
        own_form._read([film, film])
    broken = SimpleNamespace(name="film.mp4", getvalue=lambda: b"Dear reader")
    with pytest.raises(PictureError, match=r"“film\.mp4” is not a video"):
        own_form._read([broken])


def test_a_video_opens_with_a_slider_of_its_frames(tmp_path, pictures):
    """The bundled model takes no video, and says so; a checkpoint that does shows each frame with its pair's map."""
    sides = {"correct": ",".join(pictures), "failing": ",".join(pictures[::-1])}
    link = {"ask": "What happens?", "seconds": "0,0.5,1,1.5", "seconds2": "0,0.5,1,1.5", **sides}
    choice = pairs.own_choice(link)
    assert choice.failing.seconds == (0, 0.5, 1, 1.5)
    app = until(open_app(link), lambda app: app.error)
    assert "its chat template has no place for one" in app.error[0].value
    tiny_checkpoint(tmp_path / "model")
    app = until(open_app({**link, "model": str(tmp_path / "model")}), lambda app: app.dataframe)
    assert not app.exception
    assert not app.error
    (table,) = (frame.value for frame in app.dataframe if "chance, correct" in frame.value)
    assert list(table["frames"]) == ["0.0 to 0.5 s", "1.0 to 1.5 s"]
    app.select_slider(key="picture_number").set_value(3).run()
    assert not app.exception
    assert app.session_state.picture_number == 3


def test_boxes_of_an_answer_are_drawn_until_they_are_taken_over():
    picture = Picture.open(np.random.default_rng(9).integers(0, 256, (40, 80, 3), dtype=np.uint8))
    stack = SimpleNamespace(grid=SimpleNamespace(rows=2, cols=4))
    found = [Region("cat", Rectangle(0, 0, 40, 40), "measure")]
    (box,) = regions_payload(picture, stack, found)
    assert (box["name"], box["expect"], box["chance"]) == ("cat (answer)", "measure", 0.5)
    assert np.frombuffer(base64.b64decode(box["coverage"]), np.uint8).tolist() == [255, 255, 0, 0] * 2
    region_boxes.add(picture.sha256, found)
    assert [one["name"] for one in regions_payload(picture, stack, found)] == ["cat"]


def test_boxes_of_one_name_are_told_apart():
    picture = np.zeros((100, 100, 3), np.uint8)
    answer = "<ref>apple</ref><box>(0,0),(100,100)</box><box>(500,500),(900,900)</box>"
    run = SimpleNamespace(
        answer=answer, case=Case(picture, "Where?"), provenance=SimpleNamespace(family="Qwen-VL"), grids=()
    )
    found = region_boxes.boxes_on(run, 0)
    assert [(one.name, one.shapes[0].x) for one in found] == [("apple", 0), ("apple 2", 50)]
    assert region_boxes.boxes_on(run, 1) == []


def test_the_regions_page_offers_boxes_and_says_which_it_could_not_read(monkeypatch):
    def run(answer):
        case = Case(np.zeros((100, 100, 3), np.uint8), "Where?")
        grids = (SimpleNamespace(rows=5, cols=5),)
        return SimpleNamespace(answer=answer, case=case, provenance=SimpleNamespace(family="Qwen3-VL"), grids=grids)

    boxes = '[{"bbox_2d": [100, 100, 500, 500], "label": "cat"}, {"point_2d": [500, 500], "label": "nose"}]'
    answers = SimpleNamespace(correct=run(boxes), failing=run('{"bbox_2d": [0.1, 0.1, 0.5, 0.5]}'))
    choice = SimpleNamespace(pictures=[side.case.pictures[0] for side in vars(answers).values()], picture=0)
    job = SimpleNamespace(result=answers)
    monkeypatch.setattr(region_boxes, "worker", lambda: SimpleNamespace(find=lambda scope: job))
    monkeypatch.setattr(region_boxes, "scope_of", lambda model, choice: ())

    def offer(choice):
        from qwenvl_debug.ui import region_boxes

        region_boxes.offer("micro", choice)

    app = AppTest.from_function(offer, args=(choice,)).run()
    assert not app.exception
    (button,) = app.button
    assert button.label == "Add 1 box and 1 point of the correct answer as regions"
    (caption,) = app.caption
    assert caption.value.startswith("failing answer\\: 1 box with coordinates between 0 and 1")
