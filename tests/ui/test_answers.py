"""A pair of cases is answered from the store where the same was asked before, and by the model where that is wanted."""

import threading
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.compare import Alignment
from qwenvl_debug.store import load_comparison, save_comparison
from qwenvl_debug.ui import archive
from qwenvl_debug.ui.answers import answer_pair
from qwenvl_debug.ui.compare_view import _compared
from qwenvl_debug.ui.explore_view import _explored
from qwenvl_debug.ui.work import when
from tests.store.hand_made import hand_made_run


class Model:
    """It counts what it is asked, and says when it answered."""

    revision = "1"

    def __init__(self):
        self.asked = []

    def settings(self, **_):
        return {}

    def ask(self, case, target=None, **_):
        self.asked.append((case, target))
        run = hand_made_run(case.pictures[0], np.random.default_rng(len(self.asked)))
        made = replace(run.provenance, created=f"2026-11-12T14:0{len(self.asked)}:00+00:00")
        return replace(run, case=case, target=target, provenance=made)


def ask(model, cases, **settings):
    worker = SimpleNamespace(model=lambda name, progress: model)
    answers = answer_pair("hand", *cases, worker, lambda *_: None, threading.Event(), **settings)
    archive.settle()
    return answers


@pytest.fixture
def cases():
    pixels = np.random.default_rng(5).integers(0, 256, (2, 20, 30, 3), dtype=np.uint8)
    return [Case(one, "Which tower?", expected="Pearl Tower") for one in pixels]


def test_a_pair_that_was_answered_before_is_answered_from_the_store(cases):
    model = Model()
    first = ask(model, cases)
    assert (first.stored, first.made, len(model.asked)) == (False, "2026-11-12T14:01:00+00:00", 4)
    again = ask(model, cases)
    assert (again.stored, again.made, len(model.asked)) == (True, first.made, 4)
    for run, before in zip((again.correct, *again.forced), (first.correct, *first.forced), strict=True):
        assert (run.target, run.case) == (before.target, before.case)
        np.testing.assert_array_equal(run.trace.weights(1), before.trace.weights(1))


def test_a_fresh_run_is_made_on_request_and_is_what_is_found_from_then_on(cases):
    model = Model()
    ask(model, cases)
    fresh = ask(model, cases, fresh=True)
    assert (fresh.stored, len(model.asked)) == (False, 8)
    assert ask(model, cases).made == "2026-11-12T14:05:00+00:00"


def test_only_what_was_never_asked_is_asked(cases):
    model = Model()
    ask(model, cases)
    other = [cases[0], replace(cases[1], question="Which city?")]
    answers = ask(model, other)
    assert (answers.stored, answers.made) == (True, "2026-11-12T14:01:00+00:00")
    assert [case.question for case, _ in model.asked[4:]] == ["Which city?"] * 2


def test_the_moment_is_said_in_the_persons_own_time():
    moment, today = "2026-11-12T23:30:00+00:00", datetime(2026, 11, 20, tzinfo=UTC)
    assert when(moment, UTC, today) == "12 Nov, 23:30"
    assert when(moment, ZoneInfo("Asia/Shanghai"), today) == "13 Nov, 07:30"
    assert when("2025-12-31T23:30:00+00:00", ZoneInfo("UTC"), today) == "31 Dec 2025, 23:30"


def test_a_comparison_on_the_expected_answer_keeps_what_the_model_said(cases):
    """As Compare and Explore make it: the forced runs ask, and are not taken for the answers, in the store neither."""
    answers = ask(Model(), cases)
    query = {"left": "t", "right": "t", "shows": "picture", "align": ""}
    made, _ = _compared(query, 0, None, Alignment("same frame", np.eye(3), 0, 0, 0.0, "Equal."), answers)
    explored = _explored(("hand",), query, 0, answers)[0]
    for one in (made, explored):
        assert (one.correct, one.failing) == (answers.correct, answers.failing)
        assert one.asked == answers.forced
        assert one.target == "Pearl Tower"
    archive.keep_comparison(made)
    archive.settle()
    store = archive.store()
    back = load_comparison(store, save_comparison(store, made))
    printed = back.to_dict()
    assert printed["failing"]["answer"] == answers.failing.answer == "Pearl"
    assert printed["failing"]["right"] is False
    assert printed["asked"]["failing"]["forced"] is True
    assert printed["asked"]["failing"]["answer"] is None
