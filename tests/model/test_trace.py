"""Are weights what the definition says, on tensors small enough to work out by hand?"""

import numpy as np
import pytest
import torch

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.trace import Trace, VisionTrace


def trace(**changes):
    """Two query heads that share one key head of width 1; keys 0, ln 2, ln 4; rows 1 and 2 kept; four tokens."""
    parts = {
        "n_layers": 3,
        "n_heads": 2,
        "layers": (1,),
        "positions": [1, 2],
        "tokens": 4,
        "queries": {1: torch.tensor([[[1.0], [1.0]], [[0.0], [2.0]]])},
        "keys": {1: torch.log(torch.tensor([[[1.0], [2.0], [4.0]]]))},
        "scaling": {1: 1.0},
    }
    return Trace(**parts | changes)


def test_weights_are_the_causal_softmax_worked_out_by_hand():
    weights = trace().weights(1)
    assert weights.dtype == np.float32
    expected = [
        [[1 / 3, 2 / 3, 0, 0], [1 / 7, 2 / 7, 4 / 7, 0]],
        [[1 / 2, 1 / 2, 0, 0], [1 / 21, 4 / 21, 16 / 21, 0]],
    ]
    assert np.allclose(weights, expected, atol=1e-7)


def test_scaling_multiplies_the_dot_products():
    halved = trace(scaling={1: 0.5}).weights(1, rows=2, heads=1)
    assert np.allclose(halved, [[[1 / 7, 2 / 7, 4 / 7, 0]]], atol=1e-7)


def test_rows_and_heads_come_in_the_order_asked_for():
    whole = trace().weights(1)
    assert np.array_equal(trace().weights(1, rows=[2, 1], heads=[1, 0]), whole[::-1, ::-1])
    assert trace().weights(1, rows=2).shape == (2, 1, 4)
    assert np.array_equal(trace().weights(1, heads=1), whole[1:])


def test_query_heads_use_the_key_head_of_their_group():
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(6, 5, 8, generator=generator)
    key = torch.randn(2, 5, 8, generator=generator)
    grouped = Trace(
        n_layers=1,
        n_heads=6,
        layers=(0,),
        positions=range(5),
        tokens=5,
        queries={0: query},
        keys={0: key},
        scaling={0: 8**-0.5},
    )
    scores = query.double() @ key.double().repeat_interleave(3, dim=0).transpose(1, 2) * 8**-0.5
    future = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected = scores.masked_fill(future, -torch.inf).softmax(-1).numpy()
    assert np.abs(grouped.weights(0) - expected).max() < 1e-6
    assert np.abs(grouped.weights(0, heads=[4, 1]) - expected[[4, 1]]).max() < 1e-6


def test_sixteen_bit_tensors_are_computed_in_float32():
    halves = {
        "queries": {1: torch.full((2, 2, 1), 60.0).bfloat16()},
        "keys": {1: torch.full((1, 3, 1), 60.0).bfloat16()},
    }
    assert np.allclose(trace(**halves).weights(1, rows=2)[0, 0], [1 / 3, 1 / 3, 1 / 3, 0], atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0,), "Layer 0 has no attention map"),
        ((7,), "no layer 7"),
        ((1, [0]), "token 0 was not kept"),
        ((1, [3]), "token 3 was not kept"),
        ((1, None, [2]), "no head 2"),
        ((1, None, [-1]), "no head -1"),
    ],
)
def test_what_a_run_does_not_hold_is_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(CaptureError, match=sentence):
        trace().weights(*arguments)


def test_bytes_are_those_of_the_queries_and_keys():
    assert trace().nbytes == (4 + 3) * 4


def test_a_patch_has_no_weight_outside_its_window():
    vision = VisionTrace(
        layers=(0,),
        grid_rows=1,
        grid_cols=3,
        queries={0: torch.ones(1, 3, 1)},
        keys={0: torch.log(torch.tensor([[[1.0], [2.0], [3.0]]]))},
        windows={0: torch.tensor([0, 1, 0])},
        scaling={0: 1.0},
    )
    expected = [[[1 / 4, 0, 3 / 4], [0, 1, 0], [1 / 4, 0, 3 / 4]]]
    assert np.allclose(vision.weights(0), expected, atol=1e-7)
