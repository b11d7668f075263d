"""Words as chips, and the short names by which they ask."""

import pytest

from qwenvl_debug.errors import QueryError
from qwenvl_debug.ui.answers import Answers, chips, default_ref, query_of
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
    ],
)
def test_a_ref_names_its_tokens(side, ref, tokens):
    assert query_of(answers(), side, ref)[1].tokens == tokens


@pytest.mark.parametrize("ref", ["", "z", "a2", "a-1", "t0x", "q99999", "a1 OR 1"])
def test_a_ref_that_names_nothing_is_refused(ref):
    with pytest.raises(QueryError):
        query_of(answers(), 0, ref)


def test_without_an_expected_answer_each_side_asks_with_its_own():
    assert (default_ref(answers()), default_ref(answers(target=False))) == ("t", "a")
    with pytest.raises(QueryError):
        query_of(answers(target=False), 0, "t")
