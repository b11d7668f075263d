"""Is a change of attention exactly the one that was stated, while the network runs and in the trace afterwards?"""

import numpy as np
import pytest
import torch

from qwenvl_debug.causes import Boost, Cells
from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.bias import Bias, biased, logits
from qwenvl_debug.model.taps import AttentionCall
from tests.model.tiny import FAMILIES


def softmax_call(call):
    """Attention written out in float64, grouped heads repeated; what transformers' function is held to."""
    groups = call.query.shape[1] // call.key.shape[1]
    key, value = (one.double().repeat_interleave(groups, 1) for one in (call.key, call.value))
    scores = call.query.double() @ key.mT * call.scaling
    if call.mask is None:
        rows = call.start + torch.arange(call.query.shape[2])
        scores = scores.masked_fill(torch.arange(key.shape[2]) > rows[:, None], -torch.inf)
    elif call.mask.dtype == torch.bool:
        scores = scores.masked_fill(~call.mask, -torch.inf)
    else:
        scores = scores + call.mask
    return (scores.softmax(-1) @ value).transpose(1, 2).float()


def made_call(rows=5, keys=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (
        torch.randn(1, heads, n, 8, generator=generator) for heads, n in ((4, rows), (2, keys), (2, keys))
    )
    return AttentionCall(torch.nn.Module(), query, key, value, None, 8**-0.5)


def shares(call, added=None):
    """The weights [heads, rows, keys] of a call, from its definition."""
    key = call.key.repeat_interleave(2, 1)
    scores = (call.query @ key.mT * call.scaling)[0].double()
    rows = call.start + torch.arange(call.query.shape[2])
    scores = scores.masked_fill(torch.arange(key.shape[2]) > rows[:, None], -torch.inf)
    return (scores if added is None else scores + added).softmax(-1)


@pytest.mark.parametrize("factor", [0.25, 1.0, 8.0, 64.0])
def test_the_odds_of_the_columns_together_are_multiplied_by_exactly_the_factor(factor):
    call = made_call()
    added = logits([Bias(0, (2, 3), factor, first=6)], range(4, 9), 4, 9)
    before, after = (shares(call, one)[..., [2, 3]].sum(-1) for one in (None, added))
    odds = [p / (1 - p) for p in (before, after)]
    assert torch.allclose(odds[1][:, 2:], odds[0][:, 2:] * factor, rtol=1e-6)
    assert torch.equal(before[:, :2], after[:, :2])  # rows before the first changed one


def test_a_factor_of_0_equals_attention_with_the_columns_taken_out():
    call = made_call(rows=4, keys=9)
    kept = [0, 1, 4, 5, 6, 7, 8]
    blocked = biased(call, [Bias(0, (2, 3), 0.0)], softmax_call)
    without = AttentionCall(call.module, call.query, call.key[:, :, kept], call.value[:, :, kept], None, call.scaling)
    assert torch.allclose(blocked, softmax_call(without), atol=1e-6)


def test_rows_and_heads_that_are_not_named_keep_their_output_to_the_bit():
    call = made_call()
    changed = biased(call, [Bias(0, (1,), 50.0, first=7, rows=(7,), heads=(1, 2))], softmax_call)
    plain = softmax_call(call)
    same = torch.ones(4, dtype=torch.bool)
    same[[1, 2]] = False
    assert torch.equal(changed[:, [0, 1, 2, 4]], plain[:, [0, 1, 2, 4]])  # row 7 is the fourth
    assert torch.allclose(changed[:, 3, same], plain[:, 3, same], atol=1e-6)
    assert (changed[:, 3, ~same] - plain[:, 3, ~same]).abs().min() > 1e-4


def test_only_the_changed_rows_are_computed_with_a_mask_of_numbers():
    masks = []

    def watched(call):
        masks.append(call.mask)
        return softmax_call(call)

    biased(made_call(), [Bias(0, (1,), 2.0, first=8)], watched)
    assert [None if mask is None else mask.shape[2] for mask in masks] == [None, 1]


def test_blocking_everything_a_row_sees_is_refused():
    with pytest.raises(CaptureError, match="nothing to attend to"):
        biased(made_call(rows=9), [Bias(0, tuple(range(9)), 0.0)], softmax_call)


@pytest.mark.parametrize("factor", [-1.0, float("nan"), float("inf")])
def test_a_factor_that_multiplies_no_odds_is_refused(factor):
    with pytest.raises(CaptureError, match="0 or more"):
        Bias(0, (1,), factor)


def test_a_bias_comes_back_from_its_record():
    bias = Bias(3, (1, 2), 0.5, first=4, rows=(4, 6), heads=(0,), image=1)
    assert Bias.from_dict(bias.to_dict()) == bias


@pytest.mark.parametrize("family", FAMILIES)
def test_the_trace_of_a_boosted_run_holds_the_weights_that_the_run_had(tiny, wide_case, family):
    model = tiny(family)
    grid = model.ask(wide_case, max_new_tokens=1).grids[0]
    cells = Cells(0, (1, 2, 5), (grid.rows, grid.cols))
    seen = {}
    plain = model.ask(wide_case, max_new_tokens=4, rows="all")
    forced = [token.id for token in plain.tokens if token.kind == "answer"]
    boosted = model.ask(wide_case, target=forced, rows="all", interventions=[Boost(cells, 8.0)])
    with model.turn(), model.attention("eager"):  # the same change, made by hooks on transformers' eager function
        for layer, module in model.generation.language_attention(model.network).items():
            seen[layer] = eager_weights(model, module, boosted, grid.positions[[1, 2, 5]], 8.0, layer)
    layer = min(seen)  # later layers read what the boost changed before them
    assert np.abs(boosted.trace.weights(layer) - seen[layer]).max() < 1e-5
    columns = list(grid.positions[[1, 2, 5]])
    row = boosted.last_prompt
    before, after = (run.trace.weights(layer, [row])[:, 0, columns].sum(-1) for run in (plain, boosted))
    assert np.allclose(after / (1 - after), 8 * before / (1 - before), rtol=1e-3)


def eager_weights(model, module, run, columns, factor, layer):
    """Weights of one layer by its definition, from the unbiased trace: softmax of log-weights plus ln k."""
    first = int(run.grids[0].positions[-1]) + 1
    tensors, facts = run.trace.to_tensors()
    facts = {**facts, "biases": []}
    plain = type(run.trace).from_tensors(tensors, facts).weights(layer).astype(np.float64)
    rows = run.trace.positions >= first
    changed = plain.copy()
    changed[:, rows[:, None] & np.isin(np.arange(plain.shape[-1]), columns)[None]] *= factor
    return changed / changed.sum(-1, keepdims=True)
