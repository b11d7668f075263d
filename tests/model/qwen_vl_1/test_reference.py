"""Does the native model compute what the original code computed, at every place that was recorded?"""

import numpy as np
import pytest
import torch

from qwenvl_debug.model.qwen_vl_1.preprocessing import DEVIATION, MEAN, prepare

TOLERANCE = 1e-5


def farthest(ours, theirs):
    return float((ours - theirs).abs().max())


@pytest.fixture(scope="module")
def passed(original, recorded):
    """One pass over the recorded prompt under eager attention."""
    with torch.no_grad():
        return original()(
            input_ids=recorded["input_ids"],
            pixel_values=recorded["pixel_values"],
            attention_mask=torch.ones_like(recorded["input_ids"]),
            output_attentions=True,
            output_hidden_states=True,
        )


@pytest.fixture(scope="module")
def seen(original, recorded):
    """What the tower makes of the recorded picture under eager attention."""
    with torch.no_grad():
        return original().transformer.visual(recorded["pixel_values"], output_attentions=True)


def test_pixels_are_equal_to_the_last_bit(recorded):
    expected = recorded["pixel_values"][0].numpy()
    scale = np.array([MEAN, DEVIATION])[:, :, None, None]
    picture = np.rint((expected * scale[1] + scale[0]) * 255).astype(np.uint8).transpose(1, 2, 0)
    assert np.array_equal(prepare(picture).numpy(), expected)


def test_the_tower_attends_as_recorded(seen, recorded):
    assert len(seen.attentions) == 2
    for layer, weights in enumerate(seen.attentions):
        assert farthest(weights[:, :, recorded["vit_rows"]], recorded[f"vit_attention_{layer}_rows"]) < TOLERANCE


def test_the_resampler_attends_and_gathers_as_recorded(seen, recorded):
    (weights,) = seen.cross_attentions
    assert farthest(weights, recorded["resampler_attention"]) < TOLERANCE
    assert farthest(seen.last_hidden_state, recorded["image_features"]) < TOLERANCE


def test_every_language_layer_attends_as_recorded(passed, recorded):
    assert len(passed.attentions) == 3
    for layer, weights in enumerate(passed.attentions):
        recorded_rows = recorded[f"language_attention_{layer}_rows"]
        assert farthest(weights[:, :, recorded["language_rows"]], recorded_rows) < TOLERANCE


@pytest.mark.parametrize("attention", ["eager", "sdpa", "qwenvl_debug"])
def test_logits_are_as_recorded_under_every_attention(attention, original, recorded):
    feed = {"input_ids": recorded["input_ids"], "pixel_values": recorded["pixel_values"]}
    with torch.no_grad():
        logits = original(attention)(**feed).logits
        last = original(attention)(**feed, logits_to_keep=1).logits
    assert farthest(logits[:, recorded["language_rows"]], recorded["logits_rows"]) < 1e-4
    assert last.shape == (1, 1, 512)
    assert farthest(last[:, 0], logits[:, -1]) < 1e-4


def test_the_last_hidden_states_are_as_recorded(passed, recorded):
    ours = passed.hidden_states[-1][:, recorded["language_rows"]]
    assert farthest(ours, recorded["last_hidden_rows"]) < TOLERANCE


@pytest.mark.parametrize("attention", ["eager", "sdpa", "qwenvl_debug"])
def test_greedy_tokens_are_as_recorded(attention, original, recorded):
    with torch.no_grad():
        tokens = original(attention).generate(
            input_ids=recorded["input_ids"],
            pixel_values=recorded["pixel_values"],
            attention_mask=torch.ones_like(recorded["input_ids"]),
            max_new_tokens=8,
            do_sample=False,
        )
    assert torch.equal(tokens, recorded["greedy"])


@pytest.mark.parametrize("adjustment", ["use_dynamic_ntk", "use_logn_attn"])
def test_both_adjustments_to_long_prompts_are_at_work_in_what_was_recorded(adjustment, original, recorded):
    network = original()
    setattr(network.config, adjustment, False)
    try:
        with torch.no_grad():
            feed = {"input_ids": recorded["input_ids"], "pixel_values": recorded["pixel_values"]}
            weights = network(**feed, output_attentions=True).attentions[0]
    finally:
        setattr(network.config, adjustment, True)
    assert farthest(weights[:, :, recorded["language_rows"]], recorded["language_attention_0_rows"]) > 0.01
