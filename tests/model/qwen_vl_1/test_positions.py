"""Do positions beyond the trained length count as the original's do, in a prompt and in what follows it?"""

import math

import pytest
import torch

from qwenvl_debug.model.qwen_vl_1 import modelling
from qwenvl_debug.model.qwen_vl_1.language import logn, ntk_alpha, rotary

PROMPT = 130  # of tokens; with a seq_length of 64 this is beyond the second doubling


@pytest.mark.parametrize(("length", "alpha"), [(1, 1), (64, 1), (65, 3), (128, 3), (129, 7), (257, 15), (513, 31)])
def test_the_rotary_base_widens_at_each_doubling(length, alpha):
    assert ntk_alpha(length, 64) == alpha


def test_angles_follow_the_published_formula():
    cos, sin = rotary(torch.tensor([0, 5]), head_dim=8, base=10_000, alpha=3.0)
    base = 10_000 * 3 ** (8 / 6)
    for channel in range(8):
        angle = 5 / base ** (2 * (channel % 4) / 8)
        assert float(cos[1, channel]) == pytest.approx(math.cos(angle), abs=1e-6)
        assert float(sin[1, channel]) == pytest.approx(math.sin(angle), abs=1e-6)
    assert torch.equal(cos[0], torch.ones(8))


def test_a_query_grows_only_beyond_the_trained_length():
    factor = logn(torch.tensor([0, 63, 64, 4095]), 64)[:, 0]
    assert factor.tolist() == pytest.approx([1, 1, math.log(65) / math.log(64), 2], abs=1e-6)


@pytest.fixture
def text():
    return torch.randint(3, 390, (1, PROMPT), generator=torch.Generator().manual_seed(0))


def test_what_is_generated_keeps_the_base_of_the_prompt(original, text, monkeypatch):
    used = []
    monkeypatch.setattr(modelling, "rotary", lambda *args: used.append(args[3]) or rotary(*args))
    generated = original("sdpa").generate(input_ids=text[:, :64], max_new_tokens=4, do_sample=False)
    assert generated.shape == (1, 68)
    assert used == [1.0] * 4  # the sequence passes seq_length, the base stays
    used.clear()
    original("sdpa").generate(input_ids=text, max_new_tokens=3, do_sample=False)
    assert used == [7.0] * 3


def test_two_generations_at_once_do_not_share_a_base(original, text):
    network = original("sdpa")
    with torch.no_grad():
        alone = network(input_ids=text[:, :60], use_cache=True).past_key_values
        network(input_ids=text, use_cache=True)  # a longer prompt in between
        after = network(input_ids=text[:, 60:61], past_key_values=alone).logits
        alone = network(input_ids=text[:, :60], use_cache=True).past_key_values
        expected = network(input_ids=text[:, 60:61], past_key_values=alone).logits
    assert torch.equal(after, expected)


def test_step_by_step_gives_what_one_pass_over_prompt_and_answer_gives(original, text):
    network = original("sdpa")
    with torch.no_grad():
        cache = network(input_ids=text[:, :64], use_cache=True).past_key_values
        steps = [network(input_ids=text[:, n : n + 1], past_key_values=cache).logits[0, 0] for n in range(64, 68)]
        whole = network(input_ids=text[:, :68], prefill_length=64).logits[0, 64:]
        wider = network(input_ids=text[:, :68]).logits[0, 64:]
    assert torch.allclose(torch.stack(steps), whole, atol=1e-5)
    assert not torch.allclose(whole, wider, atol=1e-3)


def test_nothing_is_adjusted_while_training(original, text):
    network = original("sdpa")
    with torch.no_grad():
        adjusted = network(input_ids=text).logits
        network.train()
        try:
            trained = network(input_ids=text).logits
            network.config.use_dynamic_ntk = network.config.use_logn_attn = False
            plain = network(input_ids=text).logits
        finally:
            network.config.use_dynamic_ntk = network.config.use_logn_attn = True
            network.eval()
    assert torch.equal(trained, plain)
    assert not torch.allclose(trained, adjusted, atol=1e-3)
