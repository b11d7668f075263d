"""Settings that mean nothing are refused in one sentence before the model works, whether asked, stored or looked up."""

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.model import load_model

CASE = Case(np.zeros((32, 32, 3), np.uint8), "Which tower is this?")
NONSENSE = [
    {"top": -1},
    {"top": 2.5},
    {"top": True},
    {"top": "5"},
    {"top": None},
    {"max_new_tokens": 0},
    {"max_new_tokens": -4},
    {"max_new_tokens": 3.0},
    {"max_new_tokens": True},
    {"thinking": "yes"},
    {"thinking": 1},
    {"rows": "some"},
    {"rows": ["asked"]},
    {"layers": 1},
    {"layers": ()},
    {"layers": [99]},
    {"layers": [-1]},
    {"layers": [True]},
    {"layers": ["1"]},
    {"layers": [1.0]},
    {"layers": "12"},
    {"vision_layers": [99]},
    {"vision_layers": [-1]},
    {"vision_layers": [None]},
    {"vision_layers": 0},
]


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_model(checkpoint("qwen3_vl"))


@pytest.mark.parametrize("wish", NONSENSE, ids=str)
def test_nonsense_is_refused_in_one_sentence(model, wish):
    for ask in (lambda: model.ask(CASE, **wish), lambda: model.settings(**wish)):
        with pytest.raises(QwenVLDebugError, match=r"\A[A-Za-z_][^\n]*\.\Z"):
            ask()


@pytest.mark.parametrize("target", [[10**9], [-1], [1.5], [True], 7, b"cat", ["cat"], [], "  "], ids=str)
def test_a_target_that_is_no_answer_is_refused_in_one_sentence(model, target):
    with pytest.raises(QwenVLDebugError, match=r"\A[A-Z][^\n]*\.\Z"):
        model.ask(CASE, target=target)


@pytest.mark.parametrize("case", ["Which tower?", None, b"x"])
def test_what_is_no_case_is_refused_in_one_sentence(model, case):
    with pytest.raises(QwenVLDebugError, match=r"\A[A-Z][^\n]*\.\Z"):
        model.ask(case)


def test_numbers_of_other_libraries_are_numbers(model):
    wish = {"top": np.int64(0), "max_new_tokens": np.int32(2), "layers": np.array([1]), "vision_layers": (np.int8(0),)}
    run = model.ask(CASE, **wish)
    assert run.trace.layers == (1,)
    assert run.vision[0].layers == (0,)
    assert all(token.alternatives == () for token in run.tokens)
    assert run.provenance.settings == model.settings(top=0, max_new_tokens=2, layers=[1], vision_layers=[0])


def test_a_forced_run_keeps_what_its_run_was_asked_to_keep(model):
    wish = {"rows": "all", "layers": [1], "vision_layers": [0, 1], "top": 2, "max_new_tokens": 3}
    run = model.ask(CASE, **wish)
    forced = run.force("a cat")
    assert forced.forced
    assert not run.forced
    assert forced.provenance.settings == run.provenance.settings == model.settings(**wish)
    assert len(forced.trace.positions) == len(forced.tokens) - 1
    assert forced.vision[0].layers == (0, 1)
    assert {len(token.alternatives) for token in forced.tokens if token.kind in ("answer", "end")} == {2}


def test_the_answer_that_was_fed_in_is_not_what_the_model_said(model):
    case = Case(np.zeros((32, 32, 3), np.uint8), "Which tower is this?", expected="Canton Tower")
    forced = model.ask(case, max_new_tokens=2).force("Canton Tower")
    printed = forced.to_dict()
    assert forced.forced
    assert printed["right"] is None
    assert printed["answer"] is None
    assert (printed["forced"], printed["target"]) == (True, "Canton Tower")
