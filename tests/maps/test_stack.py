"""Maps of a run that is small enough to check by hand, and who asks."""

from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import (
    Query,
    answer_query,
    default_query,
    last_prompt_query,
    map_stack,
    question_query,
    rows_of,
    token_query,
)
from tests.maps.hand_made import ANSWER, ANSWER_ROW, QUESTION_ROWS, make_run

HEAD_0 = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.1])  # 20 % of its row on the picture
HEAD_1 = np.array([0.0, 0.2, 0.2, 0.2, 0.2, 0.0])  # 80 %


@pytest.fixture
def run():
    return make_run([HEAD_0, HEAD_1])


def test_row_normalisation_is_the_weights_themselves_on_the_grid(run):
    stack = map_stack(run, normalisation="row")
    assert np.allclose(stack.values[0, 0], [[0.1, 0, 0], [0, 0, 0.1]])
    assert np.allclose(stack.mean[0], (HEAD_0 + HEAD_1).reshape(2, 3) / 2)


def test_picture_normalisation_sums_to_one_over_the_picture(run):
    stack = map_stack(run)
    assert np.allclose(stack.values[[0, 2]].sum(axis=(2, 3)), 1)
    assert np.allclose(stack.values[0, 0], [[0.5, 0, 0], [0, 0, 0.5]])


def test_in_picture_normalisation_every_head_has_one_vote_in_the_mean(run):
    assert np.allclose(map_stack(run).mean[0], [[0.25, 0.125, 0.125], [0.125, 0.125, 0.25]])


def test_image_share_and_entropy_belong_to_the_head_in_either_normalisation(run):
    for normalisation in ("row", "picture"):
        stack = map_stack(run, normalisation=normalisation)
        assert stack.image_share[0].tolist() == pytest.approx([0.2, 0.8])
        assert stack.entropy[0].tolist() == pytest.approx([np.log(2) / np.log(6), np.log(4) / np.log(6)])


def test_share_and_entropy_of_all_heads_are_those_of_the_mean(run):
    stack = map_stack(run)
    p = stack.mean[0].ravel()
    assert stack.image_share_mean[0] == pytest.approx(0.5)
    assert stack.entropy_mean[0] == pytest.approx(-(p * np.log(p)).sum() / np.log(6))


def test_a_layer_without_a_map_stays_nan(run):
    stack = map_stack(run)
    assert stack.layers_with_maps == (0, 2)
    for part in (stack.values[1], stack.image_share[1], stack.entropy[1], stack.mean[1], stack.entropy_mean[1]):
        assert np.isnan(part).all()


def test_a_head_that_sees_nothing_of_the_picture_has_no_map_and_no_vote():
    stack = map_stack(make_run([np.zeros(6), HEAD_1]))
    assert stack.image_share[0].tolist() == pytest.approx([0, 0.8])
    assert np.isnan(stack.values[0, 0]).all()
    assert np.isnan(stack.entropy[0, 0])
    assert np.allclose(stack.mean[0], [[0, 0.25, 0.25], [0.25, 0.25, 0]])


def test_as_a_share_of_the_row_a_head_that_sees_nothing_counts_as_zero():
    stack = map_stack(make_run([np.zeros(6), HEAD_1]), normalisation="row")
    assert (stack.values[0, 0] == 0).all()
    assert np.allclose(stack.mean[0].ravel(), HEAD_1 / 2)


def test_several_tokens_have_an_equal_say_before_the_map_is_normalised():
    first, second = [HEAD_0, HEAD_0], [HEAD_1, HEAD_1]
    run = make_run([HEAD_0, HEAD_0], question=(first, second))
    stack = map_stack(run, question_query(run))
    assert np.allclose(stack.values[0, 0].ravel(), (HEAD_0 + HEAD_1) / 1.0)  # both sum to 1.0 together
    assert stack.image_share[0, 0] == pytest.approx(0.5)


def test_an_answer_token_asks_with_the_row_that_chose_it(run):
    assert rows_of(run, answer_query(run)) == [ANSWER_ROW]
    assert rows_of(run, answer_query(run, 0)) == [ANSWER_ROW]
    assert rows_of(run, question_query(run)) == list(QUESTION_ROWS)
    assert rows_of(run, last_prompt_query(run)) == [run.last_prompt]


def test_queries_are_called_by_their_words(run):
    assert answer_query(run).label == "cat"
    assert answer_query(run, 0).label == f"t{ANSWER}"
    assert question_query(run).label == "Which animal?"


def test_the_tokens_of_one_split_character_ask_together(run):
    tokens = list(run.tokens)
    for index in QUESTION_ROWS:
        tokens[index].group = QUESTION_ROWS[0]
    tokens[QUESTION_ROWS[0]].text, tokens[QUESTION_ROWS[1]].text = "塔", ""
    for index in QUESTION_ROWS:
        assert token_query(run, index) == Query(QUESTION_ROWS, "塔")


def test_an_empty_answer_asks_with_the_end_of_the_prompt(run):
    silent = replace(run, answer="", answer_tokens=())
    assert default_query(silent) == last_prompt_query(silent)
    assert np.allclose(map_stack(silent).values, map_stack(run).values, equal_nan=True)
    with pytest.raises(QueryError, match="no words"):
        answer_query(silent)


def test_one_map_knows_where_it_came_from(run):
    stack = map_stack(run)
    one, mean = stack.map(2, 1), stack.map(2)
    assert (one.layer, one.head, one.picture, one.query, one.normalisation) == (2, 1, 0, stack.query, "picture")
    assert np.array_equal(one.values, stack.values[2, 1])
    assert mean.head == -1
    assert np.array_equal(mean.values, stack.mean[2])


@pytest.mark.parametrize(("layer", "head"), [(3, 0), (-1, 0), (0, 2), (0, -2)])
def test_layers_and_heads_that_do_not_exist_are_refused(run, layer, head):
    with pytest.raises(QueryError, match="there is no"):
        map_stack(run).map(layer, head)


@pytest.mark.parametrize("tokens", [(), (12,), (-1,)])
def test_tokens_that_do_not_exist_are_refused(run, tokens):
    with pytest.raises(QueryError):
        map_stack(run, Query(tokens, "nothing"))


def test_wrong_picture_normalisation_and_answer_token_are_refused(run):
    with pytest.raises(QueryError, match="picture 1"):
        map_stack(run, picture=1)
    with pytest.raises(QueryError, match="softmax"):
        map_stack(run, normalisation="softmax")
    for which in (1, -1, "first"):
        with pytest.raises(QueryError, match="answer has tokens 0 to 0"):
            answer_query(run, which)
    with pytest.raises(QueryError, match="no token 99"):
        token_query(run, 99)
