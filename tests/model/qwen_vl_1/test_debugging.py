"""Can the first generation be asked and looked into like any other, down to the patches its tokens are made of?"""

import json

import numpy as np
import pytest
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.cli import main
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import map_stack, question_query, tokens_on_patches, words_on_tokens
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.selfcheck import check
from qwenvl_debug.model.trace_file import pack, unpack
from qwenvl_debug.settings import Settings
from qwenvl_debug.store import answer, open_store
from tests.model.qwen_vl_1.small import small_checkpoint


@pytest.fixture(scope="module")
def case(noise):
    return Case([noise(150, 90, 1), noise(40, 200, 2)], "Which tower? 这是哪座塔？", system="Be brief.")


@pytest.fixture(scope="module")
def run(small, case):
    return small.ask(case, max_new_tokens=12, vision_layers=(0, 1), rows="all")


@pytest.fixture(scope="module")
def eager(small, case, run):
    """transformers' own eager attention over the same sequence: of the language, the tower and the resampler."""
    asked = prompt(small, case)
    feed = asked.feed(torch.device("cpu"), more=[token.id for token in run.tokens[len(asked.ids) : -1]])
    with small.turn(), small.attention("eager"), torch.no_grad():
        language = small.network(**feed, output_attentions=True).attentions
        tower = small.network.transformer.visual(feed["pixel_values"], output_attentions=True)
    return language, tower.attentions, tower.cross_attentions[0]


def test_the_prompt_is_the_conversation_with_256_tokens_for_each_picture(small, run):
    text = "".join(token.text for token in run.tokens if token.kind not in ("picture", "answer", "end"))
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nPicture 1: <img></img>\nPicture 2: <img></img>\n"
        "Which tower? 这是哪座塔？<|im_end|>\n<|im_start|>assistant\n"
    )
    start = small.config.image_start_id
    for picture, grid in enumerate(run.grids):
        assert (grid.rows, grid.cols, len(grid.positions)) == (32, 32, 256)
        around = [run.tokens[grid.positions[0] - 1].id, run.tokens[grid.positions[-1] + 1].id]
        assert around == [start, start + 1]
        assert all(run.tokens[n].picture == picture for n in grid.positions)


def test_the_answer_with_capture_is_the_answer_without(small, case, run):
    assert [token.id for token in run.tokens if token.kind in ("answer", "end")] == small.plain(case, 12)
    assert len(run.answer_tokens) == 12


def test_every_row_of_every_layer_and_head_equals_eager_attention(run, eager):
    for layer, weights in enumerate(eager[0]):
        ours = run.trace.weights(layer)[..., : weights.shape[-1]]
        assert ours.shape == weights[0].shape
        assert np.abs(ours - weights[0].numpy()).max() < 1e-5
        assert weights.std() > 1e-4


def test_the_tower_and_the_resampler_equal_eager_attention_for_each_picture(run, eager):
    _, tower, resampler = eager
    assert len(run.vision) == len(run.trace.resampled) == 2
    for picture in range(2):
        assert (run.vision[picture].grid_rows, run.vision[picture].grid_cols) == (32, 32)
        for layer in range(2):
            assert np.abs(run.vision[picture].weights(layer) - tower[layer][picture].numpy()).max() < 1e-5
        trace = run.trace.resampled[picture]
        assert (trace.n_heads, trace.n_tokens, trace.grid_rows, trace.grid_cols) == (2, 256, 32, 32)
        assert np.abs(trace.weights() - resampler[picture].numpy()).max() < 1e-5
        assert np.allclose(trace.weights([7, 3], heads=1)[0], trace.weights()[1, [7, 3]], atol=1e-7)
    assert not np.allclose(run.trace.resampled[0].mix, run.trace.resampled[1].mix, atol=1e-3)


@pytest.mark.parametrize("normalisation", ["row", "picture"])
def test_a_map_is_the_words_look_at_the_tokens_times_the_tokens_look_at_the_patches(normalisation, run, eager):
    language, _, resampler = eager
    query = question_query(run)
    for picture, grid in enumerate(run.grids):
        stack = map_stack(run, query, picture, normalisation)
        mix = resampler[picture].double().mean(0).numpy()
        for layer in range(3):
            rows = language[layer][0][:, list(query.tokens)].double().mean(1).numpy()[:, grid.positions]
            expected = rows @ mix
            share = expected.sum(-1, keepdims=True)
            assert np.allclose(share[:, 0], rows.sum(-1), atol=1e-6)  # nothing is lost on the way
            assert np.allclose(stack.image_share[layer], share[:, 0], atol=1e-5)
            expected = expected / share if normalisation == "picture" else expected
            assert np.allclose(stack.values[layer].reshape(4, -1), expected, atol=1e-6)


def test_either_step_can_be_looked_at_by_itself(run, eager, tiny, wide_case):
    language, _, resampler = eager
    query = question_query(run)
    words = words_on_tokens(run, query, picture=1)
    assert words.shape == (3, 4, 256)
    rows = language[1][0][:, list(query.tokens)].mean(1).numpy()
    assert np.allclose(words[1], rows[:, run.grids[1].positions], atol=1e-6)
    patches = tokens_on_patches(run, picture=1)
    assert patches.shape == (2, 256, 32, 32)
    assert np.allclose(patches.reshape(2, 256, -1), resampler[1].numpy(), atol=1e-6)
    together = np.einsum("lht,tp->lhp", words, patches.mean(0).reshape(256, -1)).reshape(3, 4, 32, 32)
    assert np.allclose(map_stack(run, query, 1, "row").values, together, atol=1e-6)
    with pytest.raises(QueryError, match="no picture 2"):
        words_on_tokens(run, query, picture=2)
    with pytest.raises(QueryError, match="no second step"):
        tokens_on_patches(tiny().ask(wide_case, max_new_tokens=1))


def test_a_run_comes_back_from_the_store_with_the_same_maps(small, case, tmp_path):
    store = open_store(Settings(tmp_path))
    fresh, stored = (answer(store, small, case, max_new_tokens=4) for _ in range(2))
    store.close()
    assert (fresh.stored, stored.stored) == (False, True)
    for picture in range(2):
        before, after = (map_stack(one.run, picture=picture).values for one in (fresh, stored))
        assert before.tobytes() == after.tobytes()


def test_a_bright_patch_is_found_where_it_lies_in_the_picture(tmp_path):
    """Weights set by hand: brightness draws the tower's output, and the resampler looks at what is bright."""
    model = load_model(small_checkpoint(tmp_path / "hand"))
    visual = model.network.transformer.visual
    with torch.no_grad():
        visual.conv1.weight.zero_()
        visual.conv1.weight[0] = 1.0  # channel 0 of a patch is its brightness
        visual.positional_embedding.zero_()
        for block in visual.transformer.resblocks:
            for last in (block.attn.out_proj, block.mlp.c_proj):
                last.weight.zero_()
                last.bias.zero_()
        pool = visual.attn_pool
        pool.pos_embed.zero_()
        pool.kv_proj.weight.zero_()
        pool.kv_proj.weight[0, 0] = 1.0
        for norm in (pool.ln_q, pool.ln_kv):
            norm.weight.fill_(1.0)
            norm.bias.zero_()
        pool.query.zero_()
        pool.query[:, 0] = 1.0
        pool.attn.in_proj_weight.zero_()
        pool.attn.in_proj_bias.zero_()
        for head in range(2):
            pool.attn.in_proj_weight[head * 128, 0] = 1.0
            pool.attn.in_proj_weight[256 + head * 128, 0] = 1.0
    picture = np.zeros((320, 640, 3), np.uint8)  # twice as wide as high, 10 x 20 pixels a patch
    picture[70:80, 500:520] = 255
    stack = map_stack(model.ask(Case(picture, "Where?"), max_new_tokens=2), picture=0)
    for layer in range(3):
        row, col = np.unravel_index(stack.mean[layer].argmax(), (32, 32))
        assert (row, col) == (7, 25)


def test_traces_come_back_from_a_file_bit_for_bit(run):
    data = pack(run.trace, run.vision)
    trace, vision = unpack(data)
    assert pack(trace, vision) == data
    assert trace.nbytes == run.trace.nbytes
    for before, after in zip(run.trace.resampled, trace.resampled, strict=True):
        assert after.weights().tobytes() == before.weights().tobytes()
        assert after.mix.tobytes() == before.mix.tobytes()
    assert trace.weights(2).tobytes() == run.trace.weights(2).tobytes()


def test_an_answer_that_is_fed_in_is_looked_at_as_when_it_was_given(small, noise):
    """Beyond seq_length the rotary base is that of the prompt, though the fed sequence is longer."""
    case = Case(noise(60, 60), "x" * 212)
    asked = prompt(small, case)
    assert len(asked.ids) <= 512 < len(asked.ids) + 12  # the answer crosses the second doubling
    given = small.ask(case, max_new_tokens=12)
    assert len(given.answer_tokens) == 12
    forced = small.ask(case, target=[token.id for token in given.tokens if token.kind == "answer"])
    row = given.row_of(given.answer_tokens[-1])
    for layer in range(3):
        assert np.allclose(
            forced.trace.weights(layer, [row])[..., : row + 1],
            given.trace.weights(layer, [row])[..., : row + 1],
            atol=1e-5,
        )
    assert [token.probability for token in forced.tokens if token.kind == "answer"] == pytest.approx(
        [token.probability for token in given.tokens if token.kind == "answer"], abs=1e-5
    )


def test_the_self_check_passes_and_sees_a_wrong_resampler(small, case, monkeypatch):
    found = check(small, case, max_new_tokens=4)
    assert found.ok
    assert (found.layers, found.vision_layers) == (3, 2)
    assert max(found.max_error_language, found.max_error_vision) < 1e-5
    from qwenvl_debug.model.resampler_trace import ResamplerTrace

    right = ResamplerTrace.weights
    monkeypatch.setattr(ResamplerTrace, "weights", lambda *args, **kwargs: np.roll(right(*args, **kwargs), 1, -1))
    assert not check(small, case, max_new_tokens=2).ok


def test_an_answer_ends_with_either_marker_of_the_chat(small):
    assert small.tokenizer.convert_ids_to_tokens(list(small.stop_ids)) == ["<|im_end|>", "<|im_start|>"]


def test_grounding_is_read_as_text_in_the_answer(small, noise):
    text = "<ref>the tower</ref><box>(120,40),(380,900)</box>"
    run = small.ask(Case(noise(60, 60), "Where is the tower?"), target=text)
    assert run.answer == text
    assert "".join(token.text for token in run.tokens if token.kind == "answer") == text


def test_qwen_vl_which_was_not_tuned_to_converse_is_given_text_to_go_on_with(tmp_path, noise):
    model = load_model(small_checkpoint(tmp_path / "raw", chat_format="raw"))
    run = model.ask(Case(noise(60, 60), "This is"), max_new_tokens=2)
    text = "".join(token.text for token in run.tokens if token.kind not in ("picture", "answer", "end"))
    assert text == "Picture 1: <img></img>\nThis is"
    assert model.tokenizer.convert_ids_to_tokens(model.stop_ids[0]) == "<|endoftext|>"


@pytest.mark.parametrize("dtype", ["bfloat16"])
def test_sixteen_bits_work_too(dtype, published, case):
    model = load_model(published, dtype=dtype)
    assert check(model, case, max_new_tokens=4).ok


def test_doctor_looks_into_it(published, capsys):
    assert main(["doctor", "--model", str(published), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)
