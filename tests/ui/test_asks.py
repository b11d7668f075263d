"""Words as chips, and the short names by which they ask."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import Query
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.asks import chips, default_ref, query_of, ref_of, shared_refs
from tests.ui.hand_made import make_run

PEARL = (("Pearl", None, 0.8), (" Tower", None, 0.5))
SPLIT = (("塔", None, 0.5), ("", 0, 0.5), ("。", None, 0.9))
EVEN = [0.1, 0.1, 0.1, 0.1]


def answers(target=True):
    forced = (make_run(PEARL, EVEN, "Pearl Tower"), make_run(PEARL, EVEN, "Pearl Tower")) if target else None
    return Answers(make_run(PEARL, EVEN), make_run(SPLIT, EVEN), forced)


def test_tokens_of_one_character_make_one_chip_that_is_as_likely_as_all_of_them():
    made = chips(make_run(SPLIT, EVEN), "a")
    assert [(chip["text"], chip["ref"]) for chip in made] == [("塔", "a0"), ("。", "a1")]
    assert [chip["probability"] for chip in made] == pytest.approx([0.25, 0.9])
    assert made[1]["alternatives"] == [["。", 0.9], [" Canton", 0.1]]


def test_words_of_the_question_have_no_probability():
    assert [chip["probability"] for chip in chips(make_run(PEARL, EVEN), "q")] == [None, None]


@pytest.mark.parametrize(
    ("side", "ref", "tokens"),
    [
        (0, "a", (8, 9)),
        (0, "a1", (9,)),
        (1, "a0", (8, 9)),
        (1, "a1", (10,)),
        (0, "q", (5, 6)),
        (1, "q1", (6,)),
        (1, "t", (8, 9)),
        (0, "t0-1", (8, 9)),
        (1, "a0-1", (8, 9, 10)),
        (1, "a1-1", (10,)),
        (0, "q0-1", (5, 6)),
        (0, "p", (7,)),
    ],
)
def test_a_ref_names_its_tokens(side, ref, tokens):
    assert query_of(answers(), side, ref)[1].tokens == tokens


@pytest.mark.parametrize("ref", ["", "z", "a2", "a-1", "t0x", "q99999", "a1 OR 1", "a0-2", "a1-0", "q-1", "p0", "a0-"])
def test_a_ref_that_names_nothing_is_refused(ref):
    with pytest.raises(QueryError):
        query_of(answers(), 0, ref)


def test_words_side_by_side_are_called_by_what_they_say_and_named_by_their_ref():
    run, query = query_of(answers(), 1, "a0-1")
    assert query.label == "塔。"
    assert ref_of(run, "a", query) == "a0-1"
    assert ref_of(run, "a", Query((10,), "。")) == "a1"
    assert ref_of(run, "a", Query((9,), "half a character")) is None


def test_words_that_do_not_stand_side_by_side_have_no_ref():
    run = make_run((*PEARL, (" now", None, 0.4)), EVEN)
    assert ref_of(run, "a", Query((8, 10), "Pearl now")) is None


def test_without_an_expected_answer_each_side_asks_with_its_own():
    assert (default_ref(answers()), default_ref(answers(target=False))) == ("t", "a")
    with pytest.raises(QueryError):
        query_of(answers(target=False), 0, "t")


def test_words_of_both_questions_are_offered_by_the_tokens_that_carry_them_each_once():
    def asked(*texts):
        run = make_run(PEARL, EVEN)
        tokens = list(run.tokens)
        for index, text in zip((5, 6), texts, strict=True):
            tokens[index] = SimpleNamespace(**{**vars(tokens[index]), "text": text})
        return replace(run, tokens=tuple(tokens))

    both = Answers(asked("Which", " tower"), asked("Tower", " here"), None)
    assert shared_refs(both) == [("q1", "q0", "tower")]
    chinese = Answers(asked("猫", "哪里"), asked("哪里", "猫"), None)
    assert sorted(shared_refs(chinese)) == [("q0", "q1", "猫"), ("q1", "q0", "哪里")]
