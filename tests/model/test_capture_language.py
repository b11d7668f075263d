"""Are the captured rows of the language model those of transformers' own eager attention?"""

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, GenerationConfig

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.inputs import prompt
from tests.model.tiny import FAMILIES

EVERY_FAMILY = (*FAMILIES, "qwen3_vl_moe")


def untouched(folder, implementation):
    """The checkpoint as transformers loads it, set to greedy decoding: nothing of ours in it."""
    network = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation=implementation).eval()
    ends = network.generation_config
    network.generation_config = GenerationConfig(eos_token_id=ends.eos_token_id, pad_token_id=ends.pad_token_id)
    return network


def generated(network, model, case, max_new_tokens, **options):
    with torch.no_grad():
        return network.generate(
            **prompt(model, case).feed("cpu"),
            max_new_tokens=max_new_tokens,
            return_dict_in_generate=True,
            **options,
        )


def eager_rows(answer):
    """From generate's output to, per layer that has a softmax, float32 [heads, fed tokens, fed tokens]."""
    fed = answer.sequences.shape[1] - 1
    layers = []
    for n in range(len(answer.attentions[0])):
        steps = [step[n][0] for step in answer.attentions]
        layers.append(torch.cat([torch.nn.functional.pad(s, (0, fed - s.shape[-1])) for s in steps], dim=1).numpy())
    return layers


@pytest.mark.parametrize("family", EVERY_FAMILY)
@pytest.mark.parametrize("rows", ["asked", "all"])
def test_every_kept_row_of_every_layer_and_head_equals_eager_attention(family, rows, checkpoint, tiny, wide_case):
    model = tiny(family)
    run = model.ask(wide_case, max_new_tokens=8, rows=rows)
    answer = generated(untouched(checkpoint(family), "eager"), model, wide_case, 8, output_attentions=True)
    assert [token.id for token in run.tokens] == answer.sequences[0].tolist()
    assert run.grids[0].rows != run.grids[0].cols
    expected = eager_rows(answer)
    assert len(expected) == len(run.trace.layers) == len(model.layers_with_maps)
    for layer, eager in zip(run.trace.layers, expected, strict=True):
        ours = run.trace.weights(layer)
        assert ours.shape == (4, len(run.trace.positions), len(run.tokens))
        assert ours.dtype == np.float32
        assert eager.max(-1).mean() > 0.1, "nearly uniform attention would prove little"
        assert np.abs(ours[..., :-1] - eager[:, run.trace.positions]).max() <= 1e-5
        assert (ours[..., -1] == 0).all()


def test_asked_rows_are_the_question_the_last_prompt_token_and_the_answer(tiny, wide_case):
    run = tiny().ask(wide_case, max_new_tokens=5)
    chose = [run.row_of(token) for token in run.answer_tokens]
    assert chose[0] == run.last_prompt
    assert set(run.trace.positions) == {*run.question_tokens, run.last_prompt, *chose}
    everything = tiny().ask(wide_case, max_new_tokens=5, rows="all")
    assert everything.trace.positions.tolist() == list(range(len(everything.tokens) - 1))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_forced_answer_leaves_the_rows_of_eager_attention(family, checkpoint, tiny, wide_case):
    model = tiny(family)
    run = model.ask(wide_case, target="东方明珠 tower")
    fed = torch.tensor([[token.id for token in run.tokens[:-1]]])
    feed = prompt(model, wide_case).feed("cpu", more=fed[0, run.last_prompt + 1 :].tolist())
    assert torch.equal(feed["input_ids"], fed)
    with torch.no_grad():
        output = untouched(checkpoint(family), "eager")(**feed, output_attentions=True)
    for layer, eager in zip(run.trace.layers, output.attentions, strict=True):
        ours = run.trace.weights(layer)
        assert np.abs(ours[..., :-1] - eager[0, :, run.trace.positions.copy()].numpy()).max() <= 1e-5


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_answer_with_capture_is_the_answer_without(family, checkpoint, tiny, wide_case):
    model = tiny(family)
    run = model.ask(wide_case, max_new_tokens=12, rows="all", vision_layers=range(model.vision_depth))
    ids = [token.id for token in run.tokens[run.last_prompt + 1 :]]
    assert ids == model.plain(wide_case, 12)
    assert [token.id for token in run.tokens] == generated(
        untouched(checkpoint(family), "sdpa"), model, wide_case, 12
    ).sequences[0].tolist()
    assert len(set(ids)) > 4, "an answer of one repeated token would prove little"


def test_the_attention_mask_arrives_as_it_does_without_capture(tiny):
    model = tiny()
    ids = torch.arange(20, 32)[None]
    padded = torch.tensor([[0, 0, 0, *[1] * 9]])
    with torch.no_grad():
        ours = model.network(input_ids=ids, attention_mask=padded).logits[:, 3:]
        unpadded = model.network(input_ids=ids).logits[:, 3:]
        with model.attention("sdpa"):
            theirs = model.network(input_ids=ids, attention_mask=padded).logits[:, 3:]
    assert torch.equal(ours, theirs)
    assert not torch.allclose(ours, unpadded, atol=1e-3)


def test_layers_of_linear_attention_are_said_to_have_no_map(tiny, wide_case):
    model = tiny("qwen3_5")
    assert (model.n_layers, model.layers_with_maps) == (5, (1, 4))
    run = model.ask(wide_case, max_new_tokens=2)
    assert run.trace.layers == (1, 4)
    with pytest.raises(CaptureError, match="Layer 2 has no attention map"):
        run.trace.weights(2)


def test_the_trace_stays_small_beside_full_maps(tiny, noise):
    run = tiny().ask(Case(noise(190, 190), "Which?"), max_new_tokens=4)
    full = run.trace.n_layers * run.trace.n_heads * len(run.tokens) ** 2 * 4
    assert run.trace.nbytes < full / 4
