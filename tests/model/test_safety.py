"""Does a hostile checkpoint run nothing, reach nothing outside its folder, and get one plain sentence?"""

import json
import pickle
import time
from pathlib import Path

import pytest
import torch

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.chat_template import check_chat_template
from qwenvl_debug.model.families import family_of
from qwenvl_debug.model.safety import LIMITS, check_config
from tests.model.tiny import CONFIG, TEMPLATE


class Trap:
    """What pickle would run when it reads this: it leaves a file behind."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self):
        return Path.touch, (self.sprung,)


@pytest.fixture
def sprung(tmp_path):
    """The file that exists once any code of a checkpoint was run."""
    path = tmp_path / "sprung"
    yield path
    assert not path.exists(), "code that came with a checkpoint was run"


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refused(folder, sentence, kind=ModelLoadError):
    began = time.perf_counter()
    with pytest.raises(kind, match=sentence) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    assert time.perf_counter() - began < 60


def with_code(folder, sprung):
    """A module that leaves a file behind when it is imported, in the checkpoint's folder."""
    (folder / "evil.py").write_text(f"from pathlib import Path\nPath({str(sprung)!r}).touch()\nclass Evil: pass\n")


def test_pickled_weights_are_not_read(copy, sprung):
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Trap(sprung)}))
    refused(copy, "no weights in a .safetensors file .weights in .bin files are not read, for they can hold code")


def test_code_in_the_pickle_of_a_generation_published_so_is_refused(copy, sprung, monkeypatch):
    family = family_of({"model_type": "qwen3_vl", "vision_config": {}}, "")
    monkeypatch.setattr("qwenvl_debug.model.forecast.family_of", lambda *_: _pickled(family))
    (copy / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Trap(sprung)}, copy / "pytorch_model.bin")
    refused(copy, "its .bin files hold something else than tensors, which could be code; nothing of it was run")


def _pickled(family):
    from dataclasses import replace

    return replace(family, pickled=True)


def test_tensors_in_the_pickle_of_a_generation_published_so_are_read(copy, tiny, wide_case, monkeypatch):
    from safetensors.torch import load_file

    family = family_of({"model_type": "qwen3_vl", "vision_config": {}}, "")
    monkeypatch.setattr("qwenvl_debug.model.forecast.family_of", lambda *_: _pickled(family))
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    assert load_model(copy).ask(wide_case, max_new_tokens=3).tokens == tiny().ask(wide_case, max_new_tokens=3).tokens


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "preprocessor_config.json"])
def test_a_request_for_code_of_its_own_is_refused(file, copy, sprung):
    with_code(copy, sprung)
    rewrite(copy / file, auto_map={"AutoConfig": "evil.Evil", "AutoModelForImageTextToText": "evil.Evil"})
    refused(copy, f"its {file} asks for code of its own to be run .auto_map., which this program never does")


@pytest.mark.parametrize("escape", ["../../outside.safetensors", "/etc/passwd", "..", "sub/model.safetensors", "a\\b"])
def test_an_index_that_leads_out_of_the_folder_is_refused(escape, copy):
    (copy / "model.safetensors").rename(copy / "model-00001-of-00001.safetensors")
    index = {"metadata": {}, "weight_map": {"lm_head.weight": escape}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(copy, "names a file outside the checkpoint's folder")


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        ({"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}}, "incomplete: model-00002-of-00002"),
        ({"weight_map": ["a"]}, "does not say which file holds which weight"),
        ({"weight_map": {"lm_head.weight": 7}}, "does not say which file holds which weight"),
    ],
)
def test_an_index_of_nothing_is_refused(index, sentence, copy):
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(copy, sentence)


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("text_config", "hidden_size", 10**12),
        ("text_config", "hidden_size", -64),
        ("text_config", "num_hidden_layers", 10**9),
        ("text_config", "vocab_size", 10**15),
        ("text_config", "num_attention_heads", 0),
        ("text_config", "head_dim", "16"),
        ("text_config", "num_hidden_layers", 1e308),
        ("vision_config", "depth", 10**10),
        ("vision_config", "patch_size", [16, -1]),
        ("vision_config", "spatial_merge_size", True),
    ],
)
def test_sizes_that_no_model_has_are_refused(part, key, value, copy):
    config = json.loads((copy / "config.json").read_text())
    config[part][key] = value
    (copy / "config.json").write_text(json.dumps(config))
    refused(copy, f"its config.json gives {key} as .*, which no model has")


def test_every_size_in_the_known_configurations_is_watched():
    sizes = {
        key
        for parts in CONFIG.values()
        for part in parts
        for key, value in part.items()
        if isinstance(value, int) and not isinstance(value, bool) and value > 0
    }
    assert sizes - {"mlp_ratio", "indexer_kv_heads"} <= set(LIMITS)
    for parts in CONFIG.values():
        check_config({"text_config": parts[0], "vision_config": parts[1]}, "fine")


def test_a_configuration_that_means_nothing_is_refused(copy):
    rewrite(copy / "config.json", text_config={"hidden_size": 64, "num_attention_heads": 7, "layer_types": "all"})
    refused(copy, "its config.json does not describe a model|cannot be read together|missing or misshapen")


def test_brackets_nested_without_end_are_refused(copy):
    (copy / "config.json").write_text("[" * 200_000)
    refused(copy, "config.json cannot be read")


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("tokenizer.json", "its tokenizer.json has 250 MB, and no published one comes near 200.0 MB"),
        ("preprocessor_config.json", "its preprocessor_config.json has 250 MB"),
        ("config.json", "its config.json has 250 MB"),
        ("chat_template.jinja", "its chat_template.jinja has 250 MB"),
    ],
)
def test_huge_files_are_refused_unread(file, sentence, copy):
    with (copy / file).open("r+b") as hole:  # a hole in a file takes no disk
        hole.truncate(250_000_000)
    refused(copy, sentence)


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 10 ** 11 }}",
        "{% set n = namespace(x='aaaa') %}{% for i in range(90) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    ],
)
def test_a_chat_template_that_never_ends_is_stopped_and_refused(bomb, copy):
    (copy / "chat_template.jinja").write_text(TEMPLATE + bomb)
    refused(copy, "chat template takes too long or too much memory to write out a simple question")


def test_a_chat_template_reaches_neither_python_nor_files(copy, sprung, wide_case):
    escape = (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ cycler.__init__.__globals__.os.mknod('" + f"{sprung}') }}}}"
    )
    (copy / "chat_template.jinja").write_text(escape)
    with pytest.raises(ModelLoadError, match=r"chat template of .* cannot be used"):
        load_model(copy).ask(wide_case)


def test_published_ways_of_writing_a_template_are_taken():
    marked = "{% generation %}" + TEMPLATE + "{% endgeneration %}{{ strftime_now('%Y') }}{{ messages | tojson }}"
    check_chat_template(marked, {"eos_token": "<|im_end|>"}, "fine")
    check_chat_template("{{ raise_exception('no system prompt, please') }}", {}, "fine")


def test_a_whole_model_with_a_lora_beside_it_is_refused(copy):
    (copy / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "somebody/else"}')
    refused(copy, "holds a LoRA .adapter_config.json. beside a model's config.json")
