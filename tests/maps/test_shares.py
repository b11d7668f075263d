"""What rows are spent on, by kind of token."""

import numpy as np
import pytest

from qwenvl_debug.maps import KINDS, map_stack, question_query, row_shares
from tests.maps.hand_made import ANSWER_ROW, make_run, row
from tests.maps.planted import plant

EVEN = np.full(6, 0.1)
FIRST = np.array([0.56, 0.01, 0.01, 0.01, 0.01, 0.0])


def test_a_row_is_divided_among_kinds_of_token():
    run = make_run([EVEN, EVEN])
    run.trace.rows[0, ANSWER_ROW][:, 7] += 0.15  # a word of the question
    run.trace.rows[0, ANSWER_ROW][:, 0] -= 0.15
    shares = row_shares(run)
    assert shares.kinds == tuple(KINDS)
    at = dict(zip(shares.kinds, shares.values[0, 0], strict=True))
    assert {kind: share for kind, share in at.items() if share > 1e-6} == pytest.approx(
        {"picture": 0.6, "question": 0.15, "template": 0.25}, abs=1e-6
    )


def test_sinks_are_taken_out_of_the_picture():
    shares = row_shares(make_run([FIRST, FIRST]))
    at = dict(zip(shares.kinds, shares.mean[0], strict=True))
    assert at["sinks"] == pytest.approx(0.56)
    assert at["picture"] == pytest.approx(0.04)


def test_shares_sum_to_one_and_are_not_there_without_a_map():
    shares = row_shares(make_run([FIRST, EVEN]))
    assert np.allclose(shares.values[[0, 2]].sum(-1), 1)
    assert np.isnan(shares.values[1]).all()
    assert np.isnan(shares.mean[1]).all()


def test_words_already_written_are_the_answer_so_far():
    run = make_run([EVEN, EVEN])
    run.trace.rows[0, ANSWER_ROW][:] = row(EVEN, elsewhere=10)
    shares = row_shares(run)
    assert shares.values[0, 0, shares.kinds.index("answer")] == pytest.approx(0.4)


def test_picture_and_sinks_together_are_the_image_share():
    run = make_run([FIRST, EVEN], question=([FIRST, EVEN], [EVEN, FIRST]))
    for query in (None, question_query(run)):
        shares = row_shares(run, query)
        assert np.allclose(shares.values[..., :2].sum(-1), map_stack(run, query).image_share, atol=1e-6, equal_nan=True)


def test_planted_sinks_take_their_constant_from_the_row():
    run = plant(make_run([EVEN, EVEN], question=([EVEN, EVEN], [EVEN, EVEN])), [2], constant=5)
    shares = row_shares(run)
    assert shares.values[0, 0, shares.kinds.index("sinks")] == pytest.approx((0.1 + 5) / (1 + 5))
