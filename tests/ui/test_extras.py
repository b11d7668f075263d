"""What the viewer knows beside the maps: alignment in words, pieces of unequal grids, regions, sinks, who asks."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.compare import Alignment, compare, overlap
from qwenvl_debug.maps import Sinks
from qwenvl_debug.regions import Rectangle, Region
from qwenvl_debug.ui import compare_view, drawings, extras, state, viewer_data
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.measured import uniquely_named
from qwenvl_debug.ui.payload import maps_payload
from qwenvl_debug.ui.reading import reading
from tests.ui.hand_made import PICTURE, make_run

WORD = (("Pearl", None, 0.8),)
LEFT, RIGHT = make_run(WORD, [0.4, 0.1, 0.05, 0.05]), make_run(WORD, [0.02, 0.08, 0.3, 0.2])


def aligned(kind, **facts):
    return Alignment(
        kind, np.eye(3) if kind != "by region" else None, **{"inliers": 0, "matches": 0, "error": 0.0} | facts
    )


def test_the_alignment_is_stated_in_one_line():
    same = aligned("same frame", reason="Equal.")
    assert extras.statement(same, overlap(((2, 3), (2, 3)))) == "Same frame: cells are compared one to one."
    assert "by the area they share" in extras.statement(same, overlap(((2, 3), (4, 3))))
    found = extras.statement(
        aligned("registered", inliers=212, matches=260, error=0.84, reason="Points."), overlap(((2, 3), (2, 3)))
    )
    assert found == "Registered: 212 of 260 points found on both pictures agree to 0.8 px."
    apart = extras.statement(aligned("by region", error=np.nan, reason="They share too little."), None)
    assert apart == "Not aligned: They share too little. Compared through regions and layer figures only."


def test_an_alignment_that_cannot_be_had_is_refused_with_its_reason_and_what_is_found_out_stands():
    draw = np.random.default_rng(3)
    one, other = (Picture.open(draw.integers(0, 256, (90, 120, 3), dtype=np.uint8)) for _ in range(2))
    laid, refused = compare_view.alignment_of(one, other, "registered")
    assert (laid.kind, laid.stated) == ("by region", False)
    assert refused.endswith(".")
    laid, refused = compare_view.alignment_of(one, other, "same frame")
    assert (laid.kind, laid.stated, refused) == ("same frame", True, "")


@pytest.mark.parametrize(("align", "kept"), [("by region", "by region"), ("", ""), ("upside down", "same frame")])
def test_only_an_alignment_that_there_is_is_taken_over_from_the_browser(monkeypatch, align, kept):
    monkeypatch.setattr(state.st, "session_state", {"queries": {"pair": {"align": "same frame"}}})
    state.choose_query("pair", {"left": "a", "right": "a", "shows": "picture", "align": align})
    assert state.st.session_state["queries"]["pair"]["align"] == kept


def test_pictures_that_are_not_aligned_have_no_difference_and_it_is_said_why(session):
    made = compare(LEFT, RIGHT, alignment=aligned("by region", error=np.nan, reason="They share too little."))
    sent = extras.extras_data("id", made, (PICTURE, PICTURE), None)
    assert sent["difference"] == {"possible": False, "why": f"{extras.NOT_ALIGNED}: They share too little."}
    assert sent["alignment"]["matrix"] is None


def test_pictures_without_a_common_area_have_no_difference_and_it_is_said_why():
    apart = replace(
        aligned("registered", reason="Points."), homography=np.array([[0, -1, 900], [1, 0, 900], [0, 0, 1.0]])
    )
    made = compare(LEFT, RIGHT, alignment=apart)
    sent = extras.extras_data("id", made, (PICTURE, PICTURE), None)
    assert sent["difference"] == {"possible": False, "why": extras.APART}
    assert sent["alignment"]["text"] == f"{extras.APART}."
    assert sent["pieces"] is None
    assert "share no area" in reading(made)


@pytest.fixture
def session(monkeypatch):
    """Drawings by picture, in place of a session and a store."""
    kept = {}
    monkeypatch.setattr(drawings, "load", kept.get)
    return kept


def test_of_two_regions_of_one_name_in_an_old_drawing_both_count():
    here, there = Region("cat", [Rectangle(0, 0, 5, 5)]), Region("cat", [Rectangle(5, 5, 5, 5)])
    assert [one.name for one in uniquely_named([here, there])] == ["cat", "cat 2"]


def test_sinks_are_sent_as_cells_by_layer():
    cells = np.zeros((2, 2, 3), bool)
    cells[1, 0, 2] = cells[1, 1, 0] = True
    sent = extras.sinks_payload((Sinks(cells, cells.astype(np.float32)), Sinks(~cells, cells.astype(np.float32))))
    assert sent["sides"][0] == [[], [2, 3]]
    assert sent["sides"][1][1] == [0, 1, 4, 5]
    assert "more than" in sent["rule"]


def test_who_asks_is_said_with_how_many_tokens_are_averaged():
    split = (("塔", None, 0.5), ("", 0, 0.5), ("。", None, 0.9))
    sides = make_run(WORD, [0.1] * 4), make_run(split, [0.1] * 4)
    made = compare(*sides, alignment=aligned("by region", error=np.nan, reason="No."))
    assert viewer_data._asked(made) == "Asked with “Pearl”, one token, and “塔。”, the average of 3 tokens."
    assert (
        viewer_data._asked(compare(LEFT, RIGHT, alignment=made.alignment))
        == "Asked with “Pearl”, one token on each side."
    )


def test_the_words_that_may_ask_are_offered_with_those_of_both_questions():
    made = compare(LEFT, RIGHT, alignment=aligned("by region", error=np.nan, reason="No."))
    answers = Answers(LEFT, RIGHT, None)
    options = viewer_data._asks(answers, made, {"left": "q1", "right": "q0"}, [("q1", "q1", "tower")])
    assert [option[0] for option in options] == ["a", "q", "p", "q1", "q1|q0"]
    assert options[3][1:] == ["“tower”", "The same word of both questions.", "a word of both questions"]


def test_every_data_that_is_sent_can_be_written_as_json(session):
    made = compare(LEFT, RIGHT, alignment=aligned("same frame", reason="Equal."))
    assert json.loads(json.dumps(extras.extras_data("id", made, (PICTURE, PICTURE), None), allow_nan=False))
    assert base64.b64decode(maps_payload(made.left)["cells"])
