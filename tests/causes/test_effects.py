"""Effects on the bundled model: the figures of an independent trial, and what must hold of any."""

import math
from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.causes import (
    AblateBlock,
    AblateHeads,
    Boost,
    Cells,
    Occlusion,
    Pair,
    block,
    boost,
    causal_grid,
    cells_of,
    dose_curve,
    drop,
    lens,
    lens_map,
    occlude,
    patch,
)
from qwenvl_debug.causes.lens import unembedded
from qwenvl_debug.causes.subject import Subject
from qwenvl_debug.errors import CauseError


@pytest.fixture(scope="module")
def fog(answered):
    return Pair(*answered("pearl-fog"))


def test_in_fog_the_towers_features_alone_bring_the_answer_back(answered, region_of):
    """An independent trial with plain hooks: 1.03 of LD from the tower's cells, -0.05 from all others, 0 at random."""
    tower = region_of("pearl-fog", "tower")
    correct, failing = answered("pearl-fog")
    inside = patch(correct, failing, right_regions=tower)
    outside = patch(correct, failing, right_regions=tower, group="other cells")
    assert inside.recovered == pytest.approx(1.0, abs=0.05)
    assert inside.flips
    assert inside.specific
    assert np.abs(inside.control_changes / inside.gap).max() < 0.02
    assert outside.recovered == pytest.approx(0.0, abs=0.05)


def test_behind_the_board_attention_alone_brings_the_answer_back(answered, region_of):
    """The trial: odds x 8 move LD from -3.15 to +0.7, x 64 to +3.3; other places leave it between -3.2 and -3.07."""
    _, failing = answered("pearl-board-zh")
    spheres = region_of("pearl-board-zh", "spheres")
    by_8, by_64 = (boost(failing, spheres, by, controls=10) for by in (8, 64))
    assert by_8.before.difference == pytest.approx(-3.15, abs=0.02)
    assert by_8.after.difference > 0.5
    assert by_64.after.difference > 3
    assert math.exp(by_64.after.expected) > 0.9
    assert by_64.specific
    elsewhere = [one.difference for one in by_64.controls]
    assert max(elsewhere) < -2.5


def test_the_residual_stream_of_the_region_hands_over_to_the_last_token(fog, region_of):
    """The trial: 0.91, 0.81, 0.54, 0.28, 0 after layers 0 to 4; of the last token 0.10, 0.35, 0.62, 0.86, 1."""
    grid = causal_grid(fog, region=region_of("pearl-fog", "tower"))
    by_name = dict(zip(grid.groups, grid.values, strict=True))
    assert by_name["region"][1:] == pytest.approx([0.91, 0.81, 0.54, 0.28, 0], abs=0.06)
    assert by_name["last prompt token"][1:] == pytest.approx([0.10, 0.35, 0.62, 0.86, 1], abs=0.02)
    assert np.abs(by_name["question"]).max() < 0.05


def test_the_grid_equals_whole_passes(fog, region_of):
    cells = cells_of(fog.failing.run, region_of("pearl-fog", "tower"))
    for direction, target in (("restore", fog.failing), ("break", fog.correct)):
        grid = causal_grid(fog, region=cells, direction=direction)
        before, sign = target.reading.difference, 1 if direction == "restore" else -1
        for number, group in enumerate(fog.groups(cells)):
            for layer in (0, 1, 3, 5):
                taps = fog.states("residual", layer, group, direction).taps(target.model, target.asked)
                after = target.contrast.read(target.pass_.whole(taps)[-1]).difference
                assert grid.values[number, layer] == pytest.approx(sign * (after - before) / fog.gap, abs=1e-5)


def test_patching_a_run_with_itself_moves_nothing(answered, region_of):
    _, failing = answered("pearl-fog")
    pair = Pair(*answered("pearl-fog"))
    pair.correct = pair.failing = Subject(failing, pair.contrast)
    for cells in (cells_of(failing, region_of("pearl-fog", "tower")), Cells.of(0, np.ones(pair.shape, bool))):
        taps = pair.features(cells).taps(failing.model, pair.failing.asked)
        after = pair.contrast.read(pair.failing.pass_.whole(taps)[-1])
        assert after.difference == pair.contrast.read(pair.failing.pass_.whole([])[-1]).difference


def test_all_image_features_bring_everything_back(fog):
    whole = Cells.of(0, np.ones(fog.shape, bool))
    assert fog.recovered(fog.failing.under(fog.features(whole)).difference) == pytest.approx(1, abs=1e-5)


def test_a_dose_curve_passes_through_the_run_itself_at_1(answered, region_of):
    _, failing = answered("pearl-board-zh")
    curve = dose_curve(failing, region_of("pearl-board-zh", "spheres"), (0, 1, 8), controls=2)
    assert curve.factors == (0, 1, 8)
    assert curve.differences[1] == pytest.approx(
        boost(failing, region_of("pearl-board-zh", "spheres"), 1.0, controls=0).before.difference, abs=1e-5
    )
    assert curve.differences[0] < curve.differences[1] < curve.differences[2]
    assert curve.control_differences.shape == (2, 3)


def test_blocking_is_boosting_by_0(answered, region_of):
    _, failing = answered("pearl-board-zh")
    spheres = region_of("pearl-board-zh", "spheres")
    assert block(failing, spheres, controls=0).after == boost(failing, spheres, 0.0, controls=0).after


def test_the_new_answer_is_what_the_model_then_says(answered, region_of):
    correct, failing = answered("pearl-board-zh")
    effect = boost(failing, region_of("pearl-board-zh", "spheres"), 16, controls=0, generate=True)
    assert effect.answer == correct.answer
    restored = patch(*answered("pearl-fog"), region_of("pearl-fog", "tower", "correct"), controls=0, generate=True)
    assert restored.answer == answered("pearl-fog")[0].answer


def test_a_repaired_run_is_a_run_like_any_other(answered, region_of, micro):
    correct, failing = answered("pearl-board-zh")
    cells = cells_of(failing, region_of("pearl-board-zh", "spheres"))
    repaired = micro.ask(failing.case, interventions=[Boost(cells, 16)])
    assert repaired.right
    assert repaired.to_dict()["interventions"] == [Boost(cells, 16).to_dict()]
    forced = repaired.force(correct.answer)
    alone = failing.force(correct.answer)
    odds = [
        run.trace.weights(0, [run.last_prompt])[..., run.grids[0].positions[list(cells.index)]].sum(-1)
        for run in (alone, forced)
    ]
    assert np.allclose(odds[1] / (1 - odds[1]), 16 * odds[0] / (1 - odds[0]), rtol=1e-3)


def test_dropped_tokens_leave_the_answer_as_if_they_were_not_there(answered, micro):
    """Independent: the sequence without those tokens, the positions of all others kept."""
    import torch

    _, failing = answered("pearl-fog")
    subject = Subject(failing, Pair(*answered("pearl-fog")).contrast)
    grid = failing.grids[0]
    cells = Cells(0, tuple(range(60)), (grid.rows, grid.cols))
    reading = subject.under(drop(cells))
    network = micro.network
    feed = subject.asked.feed(micro.device)
    gone = set(subject.positions(0, cells.index))
    kept = torch.tensor([n for n in range(subject.pass_.length) if n not in gone])
    with micro.turn(), torch.no_grad():
        positions, _ = network.model.get_rope_index(
            feed["input_ids"], feed["mm_token_type_ids"], feed["image_grid_thw"], attention_mask=feed["attention_mask"]
        )
        image = torch.tensor([n for n, token in enumerate(kept.tolist()) if subject.asked.pictures[token] is not None])
        features = subject.pass_.features.at(torch.tensor([n for n in range(len(subject.pass_.image)) if n >= 60]))
        embeds = network.model.language_model.embed_tokens(feed["input_ids"][:, kept]).clone()
        embeds[0, image] = features.merged
        mask = torch.zeros(1, len(kept), dtype=torch.bool)
        mask[0, image] = True
        hidden = network.model.language_model(
            inputs_embeds=embeds,
            position_ids=positions[..., kept],
            attention_mask=torch.ones(1, len(kept), dtype=torch.long),
            visual_pos_masks=mask,
            deepstack_visual_embeds=list(features.deepstack),
            use_cache=False,
        ).last_hidden_state
        expected = subject.contrast.read(network.lm_head(hidden[0, -1]))
    assert reading.difference == pytest.approx(expected.difference, abs=1e-4)


def test_ablating_every_head_of_a_layer_is_ablating_its_attention(answered):
    _, failing = answered("pearl-fog")
    subject = Subject(failing, Pair(*answered("pearl-fog")).contrast)
    heads = subject.under(AblateHeads(2, tuple(range(6))))
    assert heads.difference == pytest.approx(subject.under(AblateBlock("attention", 2)).difference, abs=1e-5)
    assert heads.difference != subject.reading.difference
    with pytest.raises(CauseError, match="heads 0 to 5"):
        subject.under(AblateHeads(2, (6,)))


def test_the_lens_at_the_last_layer_is_the_models_own_output(answered):
    _, failing = answered("cat-under-zh")
    subject = Subject(failing, Pair(*answered("cat-under-zh")).contrast)
    found = lens(subject)
    assert found.difference[-1] == pytest.approx(subject.reading.difference, abs=1e-5)
    assert found.expected[-1] == pytest.approx(math.exp(subject.reading.expected), abs=1e-6)
    last = unembedded(subject, subject.pass_.state(5)[-1:])
    assert np.allclose(last[0].numpy(), subject.pass_.logits[-1].numpy(), atol=1e-5)


def test_a_lens_map_is_the_probability_of_the_word_at_each_cell(fog):
    subject = fog.correct
    found = lens_map(subject, fog.contrast.expected_ids, "Oriental")
    assert found.values.shape == (6, *fog.shape)
    layer, row, col = 4, 3, 5
    position = int(subject.asked.grids[0].positions[row * fog.shape[1] + col])
    direct = unembedded(subject, subject.pass_.state(layer)[position][None]).softmax(-1)[0]
    assert found.values[layer, row, col] == pytest.approx(
        float(direct[list(fog.contrast.expected_ids)].sum()), abs=1e-6
    )


def test_occlusion_fills_in_several_ways_and_says_whether_they_agree(answered, region_of):
    correct, failing = answered("pearl-fog")
    pair = Pair(correct, failing)
    found = occlude(
        failing,
        region_of("pearl-fog", "tower"),
        ("blur", "mean", "other"),
        other=correct.case.pictures[0],
        alignment=pair.alignment,
        gap=pair.gap,
    )
    assert set(found.effects) == {"blur", "mean", "other"}
    assert found.effects["other"].flips
    effects = list(found.effects.values())
    assert found.agree == (len({(one.change > 0, one.flips) for one in effects}) == 1)
    apart = Occlusion({"blur": effects[0], "mean": replace(effects[1], after=effects[1].before)})
    assert not apart.agree


def test_images_that_are_not_aligned_are_not_patched(answered, region_of, micro):
    _, failing = answered("pearl-fog")
    correct, _ = answered("canton-dusk")
    pair = Pair(correct, failing, expected="Eiffel Tower")
    with pytest.raises(CauseError, match="not aligned"):
        pair.features(cells_of(failing, region_of("pearl-fog", "tower")))
    assert "region" not in [group.name for group in pair.groups(cells_of(failing, region_of("pearl-fog", "tower")))]
