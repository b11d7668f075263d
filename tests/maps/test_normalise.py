"""Normalisations: what holds for any maps (properties), what a hand can check, and what is refused."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import NORMALISATIONS, Normalisation, last_prompt_query, map_stack, question_query
from qwenvl_debug.maps.normalise import LITTLE, NOTHING_ADDED, against_neutral, beyond_neutral
from tests.maps.hand_made import make_run

EVEN = np.full(6, 0.1)
FIRST = np.array([0.6, 0, 0, 0, 0, 0])
# Heads of six cells that sum to at most 0.96 of the row, with empty cells and empty heads among them.
WEIGHT = st.one_of(st.just(0.0), st.floats(1e-6, 0.16))
HEADS = arrays(np.float64, (2, 6), elements=WEIGHT)


def stack(run, normalisation, neutral=None, query=None):
    return map_stack(run, query, normalisation=normalisation, neutral=neutral)


def test_every_normalisation_is_told_in_words():
    assert tuple(NORMALISATIONS) == get_args(Normalisation)
    for text in NORMALISATIONS.values():
        assert all((text.name, text.plain, text.formula, text.source))
    assert [key for key, text in NORMALISATIONS.items() if text.needs_neutral] == ["ratio", "added"]


@settings(deadline=None, max_examples=60)
@given(HEADS, HEADS)
def test_every_map_sums_to_one_over_the_picture_or_is_not_there_at_all(heads, neutral):
    run, against = make_run(heads), make_run(neutral)
    for normalisation in set(NORMALISATIONS) - {"row"}:
        values = stack(run, normalisation, against).values.reshape(3, 2, 6)
        total = values.sum(-1)
        assert np.allclose(total[~np.isnan(total)], 1, atol=1e-5)
        assert np.isnan(values[np.isnan(total)]).all()
        assert (values[~np.isnan(values)] >= 0).all()
        assert np.isnan(values[1]).all()  # the layer without softmax attention


@settings(deadline=None, max_examples=60)
@given(HEADS, HEADS, st.permutations(range(6)))
def test_it_does_not_matter_in_which_order_the_cells_stand(heads, neutral, order):
    run, against = make_run(heads), make_run(neutral)
    moved, moved_against = make_run(heads[:, order]), make_run(neutral[:, order])
    for normalisation in NORMALISATIONS:
        here = stack(run, normalisation, against).values.reshape(3, 2, 6)[..., order]
        there = stack(moved, normalisation, moved_against).values.reshape(3, 2, 6)
        assert np.allclose(here, there, atol=1e-5, equal_nan=True)


@settings(deadline=None, max_examples=60)
@given(HEADS)
def test_held_against_itself_a_map_is_even_and_nothing_was_added(heads):
    run = make_run(heads)
    there = ~np.isnan(stack(run, "picture").values)
    ratio, added = stack(run, "ratio", run).values, stack(run, "added", run).values
    assert np.allclose(ratio[there], 1 / 6, atol=1e-6)
    assert np.isnan(ratio[~there]).all()
    assert np.isnan(added).all()


@settings(deadline=None, max_examples=60)
@given(HEADS, HEADS, st.floats(0.01, 1))
def test_how_much_of_the_row_lies_on_the_picture_does_not_change_a_share_of_it(heads, neutral, factor):
    run, paler, against = make_run(heads), make_run(heads * factor), make_run(neutral)
    for normalisation in ("picture", "ratio"):
        assert np.allclose(
            stack(run, normalisation, against).values,
            stack(paler, normalisation, against).values,
            atol=1e-4,
            equal_nan=True,
        )


def test_ratio_and_added_are_what_a_hand_computes():
    p, q = np.array([0.5, 0.5, 0, 0]), np.array([0.25, 0.5, 0.25, 0])
    e = LITTLE / 4
    ratio = np.array([(0.5 + e) / (0.25 + e), 1, e / (0.25 + e), 1])
    assert np.allclose(against_neutral(p, q), ratio / ratio.sum(), atol=1e-6)
    assert beyond_neutral(p, q).tolist() == [1, 0, 0, 0]


def test_a_place_that_hardly_anything_looks_at_can_at_most_double():
    even = 1 / 1000
    p = np.full(1000, even)
    q = p.copy()
    p[0], q[0] = LITTLE * even, 0  # a trace of attention where the neutral question has none at all
    p[1], q[1] = 4 * even, even  # a place that is really looked at four times as much
    ratio = against_neutral(p, q)
    assert ratio[0] / ratio[2] == pytest.approx(2, rel=0.01)
    assert ratio[1] > 1.8 * ratio[0]


def test_what_rounding_alone_adds_is_nothing():
    even = np.full(10, 0.1)
    moved = even.copy()
    moved[0] += 0.9 * NOTHING_ADDED
    moved[1] -= 0.9 * NOTHING_ADDED
    assert np.isnan(beyond_neutral(moved, even)).all()
    moved[0] += 0.2 * NOTHING_ADDED
    moved[1] -= 0.2 * NOTHING_ADDED
    assert beyond_neutral(moved, even)[0] == 1


def test_heads_of_which_nothing_is_left_have_no_vote_in_the_mean():
    run, neutral = make_run([FIRST, EVEN]), make_run([EVEN, EVEN])
    added = stack(run, "added", neutral)
    assert np.isnan(added.values[0, 1]).all()
    assert np.allclose(added.mean[0].ravel(), [1, 0, 0, 0, 0, 0])


def test_entropy_is_that_of_the_map_shown_and_the_image_share_that_of_the_row():
    run, neutral = make_run([FIRST, EVEN]), make_run([FIRST, FIRST])
    ratio = stack(run, "ratio", neutral)
    assert ratio.image_share[0].tolist() == pytest.approx([0.6, 0.6])
    assert ratio.entropy[0, 0] == pytest.approx(1)
    assert ratio.entropy[0, 1] == pytest.approx(np.log(5) / np.log(6), abs=0.02)  # all but the first cell


def test_every_query_is_held_against_the_end_of_the_neutral_prompt():
    run = make_run([FIRST, EVEN], question=([EVEN, EVEN], [EVEN, EVEN]))
    neutral = make_run([EVEN, EVEN], question=([FIRST, FIRST], [FIRST, FIRST]))  # its words look elsewhere
    assert np.allclose(stack(run, "ratio", neutral, question_query(run)).values[0], 1 / 6)
    assert np.isnan(stack(run, "added", neutral, question_query(run)).values[0]).all()
    assert stack(run, "added", neutral, last_prompt_query(run)).values[0, 0].argmax() == 0


def test_a_neutral_run_that_is_missing_or_of_something_else_is_refused():
    run = make_run([FIRST, EVEN])
    for normalisation in ("ratio", "added"):
        with pytest.raises(QueryError, match="needs the neutral question"):
            stack(run, normalisation)
        with pytest.raises(QueryError, match="another image"):
            stack(run, normalisation, make_run([FIRST, EVEN], rows=3, cols=2))
