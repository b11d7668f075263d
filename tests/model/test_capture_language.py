"""Are the captured rows of the language model those of transformers' own eager attention?"""

from functools import cache

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, GenerationConfig

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.trace_file import pack, unpack
from tests.model.tiny import EVERY_FAMILY, FAMILIES


@cache
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


SHAPES = {
    "landscape": [(150, 90)],
    "portrait": [(70, 160)],
    "tiny": [(3, 5)],
    "several": [(150, 90), (60, 130), (20, 20)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_every_kept_row_of_every_layer_and_head_equals_eager_attention(family, shape, checkpoint, tiny, noise):
    model = tiny(family)
    case = Case([noise(*size, seed) for seed, size in enumerate(SHAPES[shape])], "Which tower is this? 这是哪座塔？")
    run = model.ask(case, max_new_tokens=5, rows="all" if shape == "landscape" else "asked")
    answer = generated(untouched(checkpoint(family), "eager"), model, case, 5, output_attentions=True)
    assert [token.id for token in run.tokens] == answer.sequences[0].tolist()
    for grid, (width, height) in zip(run.grids, SHAPES[shape], strict=True):
        assert np.sign(grid.cols - grid.rows) == np.sign(width - height)
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
    assert len(set(ids)) > 3, "an answer of one repeated token would prove little"


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


def test_a_layer_that_chooses_tokens_has_no_weight_on_the_others(tiny, wide_case):
    model = tiny("qwen4_exp")
    assert (model.n_layers, model.layers_with_maps) == (5, (1, 4))
    run = model.ask(wide_case, max_new_tokens=3)
    looked = (run.trace.weights(1) > 0).sum(-1)
    assert set(looked.ravel()) <= {8, 9}, "four blocks of two tokens, and at most one token of an unfinished block"
    assert len(run.tokens) > 80
    back, _ = unpack(pack(run.trace))
    assert back.weights(1).tobytes() == run.trace.weights(1).tobytes()


def test_chosen_layers_alone_are_kept(tiny, wide_case):
    model = tiny()
    run, everything = model.ask(wide_case, max_new_tokens=3, layers=(2, 0)), model.ask(wide_case, max_new_tokens=3)
    assert (run.trace.layers, run.trace.n_layers) == ((0, 2), 3)
    assert run.trace.nbytes < everything.trace.nbytes * 0.7
    assert np.array_equal(run.trace.weights(2), everything.trace.weights(2))
    assert run.provenance.settings["layers"] == [0, 2]
    assert everything.provenance.settings == model.settings(max_new_tokens=3, layers=(0, 1, 2))
    assert run.force("cat").trace.layers == (0, 2)
    with pytest.raises(CaptureError, match="Layer 0 cannot be kept, for it has no attention map: use some of 1, 4"):
        tiny("qwen3_5").ask(wide_case, layers=(0,))
    with pytest.raises(CaptureError, match="No layer was chosen"):
        model.ask(wide_case, layers=())


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
