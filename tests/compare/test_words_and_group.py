"""Words that two questions share, and one case against a group."""

from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.compare import compare_group, shared_words
from qwenvl_debug.compare.group import stands_out
from qwenvl_debug.errors import QueryError
from qwenvl_debug.regions import Rectangle, Region

PIXELS = np.random.default_rng(1).integers(0, 256, (96, 128, 3), dtype=np.uint8)


def ask(micro, question, pixels=PIXELS):
    return micro.ask(Case(pixels, question), max_new_tokens=2)


def labels(micro, left, right):
    return [one.label for one, _ in shared_words(ask(micro, left), ask(micro, right))]


def test_words_of_both_questions_are_found_in_any_case_and_order(micro):
    assert labels(micro, "Which tower is this?", "Is the cat's tower here, or this") == ["tower", "is", "this"]


def test_a_word_that_stands_twice_is_paired_with_its_second_place(micro):
    left, right = ask(micro, "the cat and the dog"), ask(micro, "the dog, the cat")
    pairs = shared_words(left, right)
    assert [one.label for one, _ in pairs] == ["the", "cat", "the", "dog"]
    spelled = ["".join(right.tokens[token].text for token in query.tokens).strip() for _, query in pairs]
    assert spelled == ["the", "cat", "the", "dog"]
    assert pairs[0][1].tokens < pairs[2][1].tokens


def test_chinese_words_are_shared_runs_and_their_characters(micro):
    assert labels(micro, "东方明珠在哪？", "这是东方明珠 tower") == ["东方明珠", "东", "方", "明", "珠"]
    assert labels(micro, "这是哪座塔", "塔在哪座") == ["哪座", "哪", "座", "塔"]


def test_questions_without_a_common_word_share_none(micro):
    assert labels(micro, "Which tower?", "猫在哪里？") == []


def test_one_stands_out_only_beyond_the_range_and_three_usual_distances():
    others = np.array([[0.1, 0.10, 0.5], [0.2, 0.11, 0.5], [0.3, 0.12, np.nan], [0.2, 0.12, np.nan]])
    assert stands_out(np.array([0.9, 0.13, 0.9]), others).tolist() == [True, False, False]
    assert stands_out(np.array([0.31, np.nan, 0.9]), others).tolist() == [False, False, False]


def test_what_lies_within_the_range_of_the_others_does_not_stand_out_however_far_from_their_median():
    others = np.array([[0.1], [0.1], [0.1], [0.1], [0.9]])
    assert not stands_out(np.array([0.5]), others).any()
    assert stands_out(np.array([0.95]), others).all()


def test_a_group_of_the_same_case_has_no_spread_and_the_one_does_not_stand_out(micro):
    run = ask(micro, "Which tower is this?")
    region = [Region("left half", Rectangle(0, 0, 64, 96))]
    made = compare_group(run, [run] * 3, word="tower", regions=[region] * 4)
    table = made.table()
    assert set(table["figure"]) == {"share", "entropy", "mass_left half"}
    assert not table["stands_out"].any()
    assert np.allclose(table["low"], table["high"])
    assert np.allclose(table["one"], table["mean"])
    assert made.layers_out("share") == ()
    assert made.band == "from the least to the greatest of 3 cases"


def test_another_picture_stands_out_of_a_group_of_near_copies(micro):
    copies = [
        ask(micro, "Which tower is this?", np.clip(PIXELS.astype(int) + n, 0, 255).astype(np.uint8)) for n in (0, 1, 2)
    ]
    flat = ask(micro, "Which tower is this?", np.zeros_like(PIXELS))
    made = compare_group(flat, copies, target="Canton Tower")
    assert made.layers_out("entropy") or made.layers_out("share")


def test_too_small_a_group_and_contradictions_are_refused(micro):
    run = ask(micro, "Which tower is this?")
    with pytest.raises(QueryError, match="at least 3"):
        compare_group(run, [run, run])
    with pytest.raises(QueryError, match="not with both"):
        compare_group(run, [run] * 3, target="x", word="tower")
    with pytest.raises(QueryError, match="no figure"):
        compare_group(run, [run] * 3).layers_out("weight")


def test_runs_of_another_revision_or_precision_make_no_group_however_alike_their_shape(micro):
    run = ask(micro, "Which tower is this?")
    for changed in ({"revision": "abc"}, {"settings": {**run.provenance.settings, "dtype": "bfloat16"}}):
        other = replace(run, provenance=replace(run.provenance, **changed))
        with pytest.raises(QueryError, match=r"^Case 2 of the group comes from another [^\n]*\.$"):
            compare_group(run, [run, run, other])


def test_a_group_tells_forced_runs_from_what_the_model_said(micro):
    run = ask(micro, "Which tower is this?")
    made = compare_group(run, [run] * 3, target="Canton Tower")
    assert made.one is run
    assert [one.forced for one in made.asked] == [True] * 4
    assert not any(one.forced for one in compare_group(run, [run] * 3).asked)
