"""Heads, curves, pruning, and asking again."""

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.causes import Cells, Pair, drop
from qwenvl_debug.causes.contrast import Contrast
from qwenvl_debug.causes.curves import faithfulness
from qwenvl_debug.causes.heads import ablate, contributions
from qwenvl_debug.causes.pruning import least_first, prune_tokens, rank_heads
from qwenvl_debug.causes.re_asking import contrastive_answer, highlight
from qwenvl_debug.causes.subject import Subject
from qwenvl_debug.errors import CauseError
from qwenvl_debug.model import load_model
from tests.model.tiny import FAMILIES, tiny_checkpoint


@pytest.fixture(scope="module")
def fog(answered):
    return Pair(*answered("pearl-fog"))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A tiny model's run made ready, of any family; its two answers are two tokens."""

    def subject(family):
        model = load_model(tiny_checkpoint(tmp_path_factory.mktemp(family) / family, family))
        pixels = np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8)
        run = model.ask(Case(pixels, "Which tower is this?"), max_new_tokens=2)
        return Subject(run, Contrast("a", "b", (), (5,), (9,)))

    return subject


@pytest.mark.parametrize("family", FAMILIES)
def test_what_the_parts_wrote_adds_up_to_the_logit_difference(small, family):
    subject = small(family)
    found = contributions(subject)
    assert found.total == pytest.approx(subject.reading.difference, abs=1e-4)
    assert found.embedding + found.attention.sum() + found.mlp.sum() == pytest.approx(found.total, abs=1e-3)
    soft = subject.model.layers_with_maps
    whole = found.heads[list(soft)].sum(-1)
    assert whole == pytest.approx(found.attention[list(soft)], abs=1e-4)  # no family has a bias there
    assert np.isnan(found.heads[[n for n in range(len(found.mlp)) if n not in soft]]).all()


def test_on_the_bundled_model_too_and_the_largest_come_first(fog):
    found = contributions(fog.failing)
    assert found.total == pytest.approx(fog.failing.reading.difference, abs=0.05)  # which counts other spellings
    table = found.table()
    assert len(table) == 30
    assert table["contribution"].abs().is_monotonic_decreasing


def test_a_head_set_to_its_mean_moves_less_than_one_set_to_zero_on_the_whole(fog):
    changes = {
        to: np.mean(
            [abs(ablate(fog.failing, layer, head, to, controls=False).change) for layer in (1, 3) for head in range(6)]
        )
        for to in ("mean", "zero")
    }
    assert changes["mean"] < changes["zero"]


def test_ablating_reports_the_other_heads_of_the_layer_as_controls(fog):
    effect = ablate(fog.failing, 3, [0, 1], "zero")
    assert len(effect.controls) == 2  # heads 2, 3 and 4, 5
    with pytest.raises(CauseError, match="heads 0 to 5"):
        ablate(fog.failing, 3, 9)


def test_the_true_region_is_more_faithful_than_chance_and_its_opposite_is_not(fog, region_of, answered):
    from qwenvl_debug.causes import cells_of

    cells = cells_of(answered("pearl-fog")[0], region_of("pearl-fog", "tower", "correct"))
    good = faithfulness(fog.correct, cells.mask.astype(float), steps=6, orders=2)
    bad = faithfulness(fog.correct, 1.0 - cells.mask, steps=6, orders=2)
    assert good.deletion.shares[0] == 0
    assert good.deletion.shares[-1] == 1
    assert good.deletion.probability[0] == pytest.approx(good.insertion.probability[-1], abs=1e-6)
    assert good.deletion.probability[-1] == pytest.approx(good.insertion.probability[0], abs=1e-6)
    assert good.gain > bad.gain
    with pytest.raises(CauseError, match="with a value in each"):
        faithfulness(fog.correct, np.full(fog.shape, np.nan))


def test_tokens_really_left_out_are_tokens_that_nothing_sees(fog):
    for cells in ((0, 1, 2), tuple(range(20, 90)), (139,)):
        gone = Cells(0, cells, fog.shape)
        blocked = fog.failing.under(drop(gone)).difference
        logits = fog.failing.pass_.without(fog.failing.positions(0, cells))
        assert fog.contrast.read(logits).difference == pytest.approx(blocked, abs=1e-4)


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_tokens_are_left_out_alike_in_every_family_without_linear_layers(small, family):
    subject = small(family)
    grid = subject.asked.grids[0]
    gone = Cells(0, (0, 3, 4, 7), (grid.rows, grid.cols))
    logits = subject.pass_.without(subject.positions(0, gone.index))
    assert subject.contrast.read(logits).difference == pytest.approx(subject.under(drop(gone)).difference, abs=1e-4)


def test_pruning_nothing_changes_nothing_and_ranks_by_what_it_says(fog):
    found = prune_tokens([fog.correct, fog.failing], shares=(0.0, 0.5, 0.9), orders=("attention", "random"))
    assert (found.same[:, 0] == 1).all()
    assert found.probability[0, 0] == pytest.approx(found.probability[1, 0])
    assert found.cases == 2
    assert list(found.table().columns) == ["order", "dropped", "same_answer", "probability", "seconds"]
    from qwenvl_debug.causes.rising import weights

    order = least_first(fog.correct, "attention", 0, np.random.default_rng(0))
    values = weights(fog.correct, 0).mean((0, 1))
    assert (np.diff(values[order]) >= 0).all()


def test_heads_are_ranked_by_what_becomes_without_them(fog):
    table = rank_heads([fog.correct, fog.failing])
    assert len(table) == 30
    assert table["effect"].is_monotonic_increasing
    assert table["image_attention"].between(0, 1).all()


def test_highlighting_keeps_what_the_map_attends_to_and_dims_the_rest(answered):
    _, failing = answered("pearl-fog")
    grid = failing.grids[0]
    values = np.zeros((grid.rows, grid.cols))
    values[2:5, 3:7] = 1
    again = highlight(failing, values)
    before, after = (run.case.pictures[0].pixels.astype(float) for run in (failing, again))
    high, wide = before.shape[0] / grid.rows, before.shape[1] / grid.cols
    inside = np.s_[int(2.5 * high) : int(4.5 * high), int(3.5 * wide) : int(6.5 * wide)]
    assert after[inside].mean() / before[inside].mean() > 0.97
    assert after[int(8 * high) :].mean() < 0.9 * before[int(8 * high) :].mean()
    with pytest.raises(CauseError, match="no map"):
        highlight(failing, np.full((3, 3), np.nan))


def test_contrastive_decoding_without_weight_is_greedy_decoding(answered):
    correct, failing = answered("cat-under-zh")
    for run in (correct, failing):
        found = contrastive_answer(run, alpha=0.0)
        assert found.answer == run.answer
        assert found.survives
    assert contrastive_answer(correct).survives
