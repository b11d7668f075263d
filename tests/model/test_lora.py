"""Is a LoRA applied as peft would apply it, and is every other adapter refused in one sentence?"""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt


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
