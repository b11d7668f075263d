"""Is a LoRA applied as peft would apply it, and is every other adapter refused in one sentence?"""

import json
import os

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer, BitsAndBytesConfig

from qwenvl_debug.case import Case
from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.forecast import inspect
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.selfcheck import check
from tests.model.tiny import tiny_checkpoint


@pytest.fixture(scope="module")
def trained(checkpoint, tmp_path_factory):
    """A LoRA of the tiny model, far from zero, saved by peft; and the model with it, unmerged, as peft runs it."""
    folder = tmp_path_factory.mktemp("lora")
    network = AutoModelForImageTextToText.from_pretrained(checkpoint("qwen3_vl"), attn_implementation="sdpa").eval()
    adapted = get_peft_model(network, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"]))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(std=0.2)
    adapted.save_pretrained(folder)
    return folder, adapted.eval()


def settings_of(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture
def lora(trained, tmp_path):
    """The LoRA's folder, to be changed."""
    for file in trained[0].iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def test_a_lora_is_applied_to_the_model_it_names(trained, wide_case, tiny, checkpoint):
    folder, adapted = trained
    model = load_model(folder)
    feed = prompt(model, wide_case).feed("cpu")
    with torch.no_grad():
        ours, theirs = model.network(**feed).logits, adapted(**feed).logits
        base = tiny().network(**feed).logits
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert not torch.allclose(ours, base, atol=0.1)
    assert model.name == str(folder)
    assert model.layers_with_maps == (0, 1, 2)
    run = model.ask(wide_case, max_new_tokens=3)
    assert [token.id for token in run.tokens[run.last_prompt + 1 :]] == model.plain(wide_case, 3)


def test_a_lora_is_told_from_its_base_and_from_its_later_training(lora, checkpoint):
    first = load_model(lora).revision
    assert first.startswith(f"{load_model(checkpoint('qwen3_vl')).revision}+")
    assert load_model(lora).revision == first
    path = lora / "adapter_model.safetensors"
    save_file({name: weight * 2 for name, weight in load_file(path).items()}, path, {"format": "pt"})
    assert load_model(lora).revision != first


def test_what_the_configuration_asks_peft_to_import_is_not_imported(lora, wide_case):
    settings_of(lora, megatron_config={"a": 1}, megatron_core="no_such_module_to_import")
    assert load_model(lora).ask(wide_case, max_new_tokens=1).tokens


def network_of(folder):
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, device_map="cpu").eval()


def save_trained(folder, base, network=None, by=0.1, **settings):
    """Save a LoRA with peft as training leaves it, far from where it began; what peft itself reads from the folder."""
    settings = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]} | settings
    adapted = get_peft_model(network or network_of(base), LoraConfig(**settings)).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        for _, weight in adapted.named_parameters():
            if weight.requires_grad:
                weight += torch.randn_like(weight) * by
    adapted.save_pretrained(folder)
    return adapted


def off(model, adapted, case):
    """By how much logits differ from those of the model as it was trained."""
    feed = prompt(model, case).feed("cpu")
    with torch.no_grad():
        return float((model.network(**feed).logits - adapted(**feed).logits).abs().max())


SETTINGS = {
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
    "eva": {"init_lora_weights": "eva"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "biases": {"bias": "lora_only", "target_modules": ["qkv"]},
    "a bias of its own": {"lora_bias": True, "target_modules": ["qkv"]},
    "embeddings and output": {"modules_to_save": ["lm_head", "embed_tokens"]},
    "single tokens": {"trainable_token_indices": [1, 2, 3]},
    "one layer": {"layers_to_transform": [1], "layers_pattern": "layers"},
    "ranks": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 16}},
    "an embedding": {"target_modules": ["embed_tokens", "q_proj"]},
    "the convolution": {"target_modules": ["proj"]},
    "all linear": {"target_modules": "all-linear"},
    "a regular expression": {"target_modules": r".*language_model.*\.(q_proj|up_proj)"},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_kind_of_lora_gives_the_model_that_was_trained(kind, checkpoint, tmp_path, wide_case, tiny):
    adapted = save_trained(tmp_path, checkpoint("qwen3_vl"), **SETTINGS[kind])
    assert off(tiny(), adapted, wide_case) > 0.01, "training changed something"
    assert off(load_model(tmp_path), adapted, wide_case) < 1e-4


@pytest.mark.parametrize(
    "parameters", [["mlp.experts.gate_up_proj", "mlp.experts.down_proj"], ["mlp.experts.down_proj"]]
)
def test_a_lora_of_experts_gives_the_model_that_was_trained(parameters, checkpoint, tmp_path, wide_case):
    adapted = save_trained(tmp_path, checkpoint("qwen3_vl_moe"), target_parameters=parameters)
    assert off(load_model(tmp_path), adapted, wide_case) < 1e-4


def test_a_lora_that_shares_embedding_and_output_gives_the_model_that_was_trained(tmp_path, wide_case):
    base = tiny_checkpoint(tmp_path / "base", "qwen3_vl")
    config = json.loads((base / "config.json").read_text())
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"] = True
    (base / "config.json").write_text(json.dumps(config))
    weights = load_file(base / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    adapted = save_trained(tmp_path / "lora", base, modules_to_save=["embed_tokens", "lm_head"])
    assert off(load_model(tmp_path / "lora"), adapted, wide_case) < 1e-4


@pytest.mark.parametrize("begin", ["pissa_niter_4", "corda", "lora_ga", "loftq", "something_new"])
def test_a_beginning_that_cannot_be_repeated_is_refused_by_name(begin, lora):
    settings_of(lora, init_lora_weights=begin)
    with pytest.raises(ModelLoadError, match=f"init_lora_weights='{begin}'.*merge_and_unload.*path_initial_model_for"):
        load_model(lora)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("layer_replication", [[0, 2], [1, 3]]), ("alora_invocation_tokens", [1]), ("use_bdlora", {"a": 1}), ("new", 1)],
)
def test_a_setting_that_is_not_applied_is_refused_by_name(setting, value, lora):
    settings_of(lora, **{setting: value})
    with pytest.raises(ModelLoadError, match=f"with the setting {setting}, which this program does not apply"):
        load_model(lora)


OLD_NAMES = {
    "the language model": ("model.model.language_model.layers", "model.model.layers"),
    "a language model within": ("model.model.language_model.layers", "model.language_model.model.layers"),
    "the tower": ("model.model.visual.", "model.visual."),
}
TARGETS = {
    "suffixes": {"target_modules": ["q_proj", "v_proj", "qkv"]},
    "a regular expression": {"target_modules": r"(LAYERS\.\d+\.self_attn|VISUAL\.blocks\.\d+\.attn)\.(q_proj|qkv)"},
    "ranks by path": {
        "target_modules": ["q_proj", "v_proj", "qkv"],
        "rank_pattern": {"LAYERS.0.self_attn.q_proj": 2, "VISUAL.blocks.1.attn.qkv": 3},
        "alpha_pattern": {r"LAYERS\.1\.self_attn\..*": 16},
    },
    "directions": {"target_modules": ["q_proj", "qkv"], "use_dora": True},
}


def spelled(settings, layers, visual):
    """Settings with the paths of a version of transformers; in regular expressions a dot is any character."""
    return json.loads(json.dumps(settings).replace("LAYERS", layers).replace("VISUAL", visual))


def renamed_as_old(folder, new, old):
    path = folder / "adapter_model.safetensors"
    save_file({key.replace(new, old): w for key, w in load_file(path).items()}, path, {"format": "pt"})


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("names", OLD_NAMES)
def test_a_lora_with_the_names_of_an_older_version_is_applied_where_they_are_now(
    family, names, checkpoint, tmp_path, wide_case
):
    adapted = save_trained(tmp_path, checkpoint(family), target_modules=["q_proj", "v_proj", "qkv"])
    renamed_as_old(tmp_path, *OLD_NAMES[names])
    model = load_model(tmp_path)
    assert off(model, adapted, wide_case) < 1e-4
    assert "names its weights as another version of transformers does" in model.loading.notes[0]


@pytest.mark.parametrize("targets", TARGETS)
def test_targets_and_ranks_that_are_paths_of_an_older_version_are_understood(targets, checkpoint, tmp_path, wide_case):
    today = spelled(TARGETS[targets], "model.language_model.layers", "model.visual")
    adapted = save_trained(tmp_path, checkpoint("qwen3_vl"), **today)
    parts = {key.split(".lora_")[0] for key in load_file(tmp_path / "adapter_model.safetensors") if ".lora_" in key}
    assert {"language_model" in part for part in parts} == {True, False}, "both the layers and the tower"
    for new, old in (OLD_NAMES["the language model"], OLD_NAMES["the tower"]):
        renamed_as_old(tmp_path, new, old)
    settings_of(tmp_path, **spelled(TARGETS[targets], "model.layers", "visual"))
    assert off(load_model(tmp_path), adapted, wide_case) < 1e-4


@pytest.mark.parametrize(("new", "old"), [(".lora_A.", ".lora_A.default."), ("base_model.model.", "")])
def test_other_ways_to_write_the_names_are_understood(new, old, trained, lora, wide_case):
    renamed_as_old(lora, new, old)
    assert off(load_model(lora), trained[1], wide_case) < 1e-3


def test_a_layer_that_the_base_does_not_have_is_named(lora):
    renamed_as_old(lora, "layers.2.", "layers.7.")
    with pytest.raises(ModelLoadError, match=r"3 of its weights have no place in it \(model.*layers\.7\."):
        load_model(lora)


def test_a_lora_of_which_weights_are_missing_is_called_incomplete(lora):
    path = lora / "adapter_model.safetensors"
    save_file({key: w for key, w in load_file(path).items() if "layers.1." not in key}, path, {"format": "pt"})
    with pytest.raises(
        ModelLoadError, match=r"6 weights that its adapter_config\.json asks for are not in .*layers\.1\."
    ):
        load_model(lora)


def test_a_lora_of_numbers_that_are_none_is_called_broken(lora):
    path = lora / "adapter_model.safetensors"
    save_file({key: w * float("nan") for key, w in load_file(path).items()}, path, {"format": "pt"})
    with pytest.raises(ModelLoadError, match="weights that are no numbers"):
        load_model(lora)


def bitsandbytes_of(folder, to):
    few = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=["model.visual", "lm_head"]
    )
    AutoModelForImageTextToText.from_pretrained(
        folder, dtype=torch.float32, device_map="cpu", quantization_config=few
    ).save_pretrained(to)
    for file in folder.iterdir():
        if not (to / file.name).exists():
            (to / file.name).write_bytes(file.read_bytes())
    return to


def test_on_a_quantised_base_the_matrices_stay_beside_the_weights(tmp_path, wide_case):
    whole = tiny_checkpoint(tmp_path / "whole", "qwen3_vl", text={"intermediate_size": 128})
    base = bitsandbytes_of(whole, tmp_path / "few")
    adapted = save_trained(tmp_path / "lora", base)
    model = load_model(tmp_path / "lora", device="cpu")
    assert off(model, adapted, wide_case) < 0.02, "products in 4 bits round their inputs"
    assert "stays beside the quantised weights" in model.loading.notes[-1]
    run = model.ask(wide_case, max_new_tokens=3)
    assert [token.id for token in run.tokens[run.last_prompt + 1 :]] == model.plain(wide_case, 3)
    assert check(model, wide_case, max_new_tokens=2).ok
    settings_of(tmp_path / "lora", init_lora_weights="olora")
    with pytest.raises(ModelLoadError, match=r"init_lora_weights='olora'.*are quantised"):
        load_model(tmp_path / "lora", device="cpu")


def test_a_lora_of_weights_that_wait_on_disk_is_refused_with_the_reason(trained):
    with pytest.raises(ModelLoadError, match=r"cannot be applied to weights that wait in main memory or on disk"):
        load_model(trained[0], max_memory={"cpu": "300KB"})


def test_the_base_is_found_beside_the_lora_in_the_cache_and_where_one_says(lora, checkpoint, monkeypatch, trained):
    base = str(checkpoint("qwen3_vl"))
    relative = os.path.relpath(base, lora)
    settings_of(lora, base_model_name_or_path=relative)
    assert load_model(lora).n_layers == 3
    settings_of(lora, base_model_name_or_path="/root/models/gone")
    with pytest.raises(ModelLoadError, match=r"There is no folder “/root/models/gone”.*--base"):
        load_model(lora)
    assert load_model(lora, base=base).n_layers == 3
    with pytest.raises(ModelLoadError, match="is a whole model and no LoRA"):
        load_model(base, base=base)
    asked = []

    def download(name, file, *, revision, local_files_only):
        asked.append((name, revision))
        return str(checkpoint("qwen3_vl") / file)

    monkeypatch.setattr("qwenvl_debug.model.source.hf_hub_download", download)
    settings_of(
        lora, base_model_name_or_path="/root/.cache/huggingface/hub/models--Qwen--Tiny-VL/snapshots/0123456789ab"
    )
    assert inspect(lora).base == "Qwen/Tiny-VL"
    settings_of(lora, base_model_name_or_path="Qwen/Tiny-VL", revision="v2")
    assert inspect(lora).base == "Qwen/Tiny-VL"
    assert asked == [("Qwen/Tiny-VL", "0123456789ab"), ("Qwen/Tiny-VL", "v2")]


def test_a_lora_on_the_hub_with_a_copy_of_its_bases_config_is_applied(
    lora, trained, checkpoint, monkeypatch, wide_case
):
    (lora / "config.json").write_bytes((checkpoint("qwen3_vl") / "config.json").read_bytes())
    monkeypatch.setattr("qwenvl_debug.model.source.hf_hub_download", lambda name, file, **_: str(lora / file))
    monkeypatch.setattr("qwenvl_debug.model.source.snapshot_download", lambda *_, **__: str(lora))
    assert off(load_model("somebody/towers-lora"), trained[1], wide_case) < 1e-3


def tokenizer_files(base, lora):
    for file in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        (lora / file).write_bytes((base / file).read_bytes())


def test_what_the_folder_of_a_lora_brings_is_used_and_said(lora, checkpoint, wide_case, noise):
    base = checkpoint("qwen3_vl")
    tokenizer_files(base, lora)
    template = (base / "chat_template.jinja").read_text().replace("You are a helpful assistant.", "You inspect towers.")
    (lora / "chat_template.jinja").write_text(template)
    limits = {"size": {"shortest_edge": 1024, "longest_edge": 16 * 16 * 12}}
    path = lora / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | limits))
    model = load_model(lora)
    run = model.ask(Case(noise(300, 200), "Which?"), max_new_tokens=1)
    fed = "".join(token.text for token in run.tokens)
    assert "You inspect towers." in fed
    assert len(run.grids[0].positions) <= 12
    brought = ["tokenizer", "chat template", "image processor"]
    assert run.provenance.settings["from_adapter"] == brought
    assert list(model.loading.from_adapter) == brought


def test_a_tokenizer_without_a_template_leaves_the_template_of_the_base(lora, checkpoint, wide_case):
    tokenizer_files(checkpoint("qwen3_vl"), lora)
    model = load_model(lora)
    assert "helpful assistant" in "".join(token.text for token in model.ask(wide_case, max_new_tokens=1).tokens)
    assert model.loading.from_adapter == ("tokenizer", "image processor")


def test_tokens_added_in_training_have_the_embeddings_they_were_trained_with(checkpoint, tmp_path, wide_case):
    base, folder = checkpoint("qwen3_vl"), tmp_path / "lora"
    network = network_of(base)
    before = network.get_input_embeddings().weight.shape[0]
    network.resize_token_embeddings(before + 3)
    adapted = save_trained(folder, base, network=network, modules_to_save=["embed_tokens", "lm_head"])
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens(["<defect>", "<scratch>", "<dent>"], special_tokens=True)
    tokenizer.save_pretrained(folder)
    model = load_model(folder)
    assert model.network.get_input_embeddings().weight.shape[0] == before + 3
    assert off(model, adapted, wide_case) < 1e-4
    assert model.ask(wide_case, target="<defect>").tokens[-2].id != before, "what a person types is only text"
    assert model.tokenizer.convert_tokens_to_ids("<defect>") == before


def test_a_tokenizer_with_more_tokens_than_the_model_has_is_refused(lora, checkpoint):
    tokenizer = AutoTokenizer.from_pretrained(checkpoint("qwen3_vl"))
    tokenizer.add_tokens(["<defect>"], special_tokens=True)
    tokenizer.save_pretrained(lora)
    with pytest.raises(ModelLoadError, match="its tokenizer knows 449 tokens, and the model has embeddings of 448"):
        load_model(lora)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: settings_of(f, peft_type="PREFIX_TUNING"), "an adapter of the kind 'PREFIX_TUNING'"),
        (lambda f: settings_of(f, base_model_name_or_path=None), "does not name the model it was made for"),
        (lambda f: settings_of(f, base_model_name_or_path="/gone"), "There is no folder “/gone”"),
        (lambda f: settings_of(f, target_modules=["nothing"]), "does not belong to"),
        (lambda f: settings_of(f, r=5), "does not belong to"),
        (lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin"), ".bin files are not read"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json cannot be read"),
    ],
)
def test_another_adapter_is_refused_in_one_sentence(damage, sentence, lora):
    damage(lora)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_model(lora)
    assert "\n" not in str(caught.value)


def test_without_peft_one_sentence_says_what_to_install(trained, monkeypatch):
    monkeypatch.setattr("qwenvl_debug.model.lora.find_spec", lambda _: None)
    with pytest.raises(ModelLoadError, match="takes the package peft: pip install"):
        load_model(trained[0])
