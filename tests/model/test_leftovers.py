"""Is every weight of a checkpoint used or accounted for, and is each odd form of a checkpoint called by its name?"""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt
from tests.model.tiny import tiny_checkpoint


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def with_weights(folder, more=None, without=(), metadata=None):
    """Write a checkpoint's weights again, with more of them, and without those whose name holds one of some words."""
    path = folder / "model.safetensors"
    weights = {name: w for name, w in load_file(path).items() if not any(part in name for part in without)}
    save_file(weights | (more or {}), path, metadata or {"format": "pt"})


def copied(weights, old, new):
    return {name.replace(old, new): w.clone() for name, w in weights.items() if old in name}


LORA = "model.language_model.layers.0.self_attn.q_proj.lora_A.weight"


def a_layer_more(folder):
    weights = load_file(folder / "model.safetensors")
    with_weights(folder, copied(weights, "language_model.layers.2.", "language_model.layers.3."))


def a_vision_block_more(folder):
    weights = load_file(folder / "model.safetensors")
    with_weights(folder, copied(weights, "visual.blocks.2.", "visual.blocks.3."))


def a_head_for_scores(folder):
    with_weights(folder, {"score.weight": torch.randn(1, 64)})
    rewrite(folder / "config.json", architectures=["Qwen3VLForSequenceClassification"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda f: with_weights(f, {LORA: torch.randn(4, 64)}),
            r"matrices of a LoRA that was never merged .* \(1 weights such as .*lora_A.weight\)",
        ),
        (a_layer_more, "hold 4 layers, and config.json describes 3 .*layers.3"),
        (a_vision_block_more, "hold 4 blocks of the vision tower, and config.json describes 3 .*blocks.3"),
        (
            a_head_for_scores,
            "parts that this network does not have .*score.weight.*names the architecture Qwen3VLForSequenceClassifi",
        ),
        (
            lambda f: with_weights(f, {"model.language_model.layers.1.mlp.up_proj.scales": torch.ones(4)}),
            "scales of quantised weights",
        ),
        (
            lambda f: with_weights(f, {"model.language_model.layers.1.self_attn.q_proj.bias": torch.ones(64)}),
            "parts that this network does not have .*q_proj.bias",
        ),
        (lambda f: with_weights(f, without=["visual"]), "its files hold no vision tower"),
        (lambda f: with_weights(f, without=["lm_head"]), "1 weight is missing .lm_head.weight"),
    ],
)
def test_a_weight_that_was_learned_must_have_its_place(change, sentence, copy):
    change(copy)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_model(copy)
    assert "\n" not in str(caught.value)


def test_what_can_be_computed_again_is_listed_as_harmless(copy, tiny, wide_case):
    more = {
        "model.language_model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8),
        "model.visual.rotary_pos_emb.inv_freq": torch.ones(8),
        "model.language_model.position_ids": torch.arange(8),
        "model.language_model.layers.0.self_attn.k_scale": torch.ones(1),
    }
    with_weights(copy, more)
    model = load_model(copy)
    kinds = {what: set(names) for what, names in model.loading.unused.items()}
    assert set().union(*kinds.values()) == set(more)
    assert len(kinds["tables of rotary positions, which are computed again"]) == 2
    assert model.ask(wide_case, max_new_tokens=2).answer == tiny().ask(wide_case, max_new_tokens=2).answer


@pytest.mark.parametrize("family", ["qwen3_5", "qwen3_5_moe"])
def test_layers_that_guess_tokens_ahead_are_listed_as_harmless(family, checkpoint, tmp_path):
    folder = tiny_checkpoint(tmp_path, family)
    with_weights(folder, {"mtp.layers.0.mlp.up_proj.weight": torch.randn(4, 4), "mtp.fc.weight": torch.randn(4, 4)})
    (names,) = load_model(folder).loading.unused.values()
    assert names == ("mtp.fc.weight", "mtp.layers.0.mlp.up_proj.weight")


def test_nothing_is_listed_where_all_fits(tiny):
    for family in ("qwen2_vl", "qwen3_vl", "qwen3_5"):
        found = tiny(family).loading
        assert (found.unused, found.filled, found.notes, found.precision) == ({}, (), (), "float32")


def tied(folder):
    config = json.loads((folder / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (folder / "config.json").write_text(json.dumps(config))


def test_a_shared_output_layer_may_be_left_out(copy):
    tied(copy)
    with_weights(copy, without=["lm_head"])
    model = load_model(copy)
    assert model.network.lm_head.weight is model.network.model.language_model.embed_tokens.weight
    assert model.loading.filled == ("lm_head.weight",)
    assert model.loading.notes == ()


def test_two_weights_that_are_said_to_be_one_and_differ_are_told(copy, tiny, wide_case):
    tied(copy)
    model = load_model(copy)
    assert "the output layer shares the word embeddings, but the files hold two that differ" in model.loading.notes[0]
    feed = prompt(model, wide_case).feed("cpu")
    with torch.no_grad():
        assert torch.equal(model.network(**feed).logits, tiny().network(**feed).logits)


def test_safetensors_are_read_where_a_bin_file_lies_beside_them(copy, tiny, wide_case):
    (copy / "pytorch_model.bin").write_bytes(b"not read")
    assert load_model(copy).ask(wide_case, max_new_tokens=2).answer == tiny().ask(wide_case, max_new_tokens=2).answer


def test_a_type_of_its_own_beside_a_known_architecture_is_read_as_that(copy, tiny, wide_case):
    rewrite(copy / "config.json", model_type="our_inspector")
    model = load_model(copy)
    assert "'our_inspector'; it was read as qwen3_vl" in model.loading.notes[0]
    assert model.ask(wide_case, max_new_tokens=3).tokens == tiny().ask(wide_case, max_new_tokens=3).tokens


@pytest.mark.parametrize("said", ["float8", "float8_e4m3fn", "int8"])
def test_a_precision_that_nothing_is_computed_in_is_told_and_left_aside(said, copy, tiny, wide_case):
    config = json.loads((copy / "config.json").read_text())
    config["torch_dtype"] = config["text_config"]["dtype"] = said
    config.pop("dtype", None)
    (copy / "config.json").write_text(json.dumps(config))
    model = load_model(copy)
    assert f"'{said}', which nothing is computed in" in model.loading.notes[0]
    assert model.ask(wide_case, max_new_tokens=2).answer == tiny().ask(wide_case, max_new_tokens=2).answer


def only(name):
    def change(folder):
        (folder / "model.safetensors").unlink()
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")

    return change


def for_mlx(folder):
    with_weights(folder, metadata={"format": "mlx"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (only("model-q4.gguf"), "only weights for llama.cpp .GGUF.: choose the checkpoint it was made from"),
        (only("onnx/model.onnx"), "only weights for ONNX"),
        (only("openvino_language_model.xml"), "only weights for OpenVINO"),
        (only("model-00001-of-00002.safetensors"), "model.safetensors.index.json, which says which file holds what"),
        (for_mlx, "was written for MLX, Apple's own framework"),
        (lambda f: rewrite(f / "config.json", quantization={"group_size": 64, "bits": 4}), "is quantised for MLX"),
    ],
)
def test_a_checkpoint_of_another_program_is_called_by_its_name(change, sentence, copy):
    change(copy)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_model(copy)
    assert "broken" not in str(caught.value)


def test_quantised_weights_without_a_word_of_it_are_called_so(copy):
    path = copy / "model.safetensors"
    weights = load_file(path)
    for name in [name for name in weights if name.endswith("q_proj.weight")]:
        shape = weights.pop(name).shape
        weights[name.replace("weight", "qweight")] = torch.zeros(shape[1], shape[0] // 8, dtype=torch.int32)
        weights[name.replace("weight", "scales")] = torch.ones(1, shape[0]).half()
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ModelLoadError, match="hold scales of quantised weights, for which"):
        load_model(copy)


def test_another_file_of_weights_that_config_json_names_is_not_read(copy, tiny, wide_case):
    weights = load_file(copy / "model.safetensors")
    save_file({name: w * 0 for name, w in weights.items()}, copy.parent / "other.safetensors", {"format": "pt"})
    rewrite(copy / "config.json", transformers_weights="../other.safetensors")
    assert load_model(copy).ask(wide_case, max_new_tokens=2).answer == tiny().ask(wide_case, max_new_tokens=2).answer


def test_the_folder_of_a_training_says_which_of_its_folders_to_give(copy):
    copy.rename(copy.parent / "checkpoint-500")
    with pytest.raises(ModelLoadError, match=r"holds no config\.json, but its folder checkpoint-500 does"):
        load_model(copy.parent)


def test_a_folder_of_another_program_without_a_config_is_called_by_its_name(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ModelLoadError, match="holds weights for ONNX"):
        load_model(tmp_path)
