"""Are the published files read as they are, by transformers' own door, without running code or changing a weight?"""

import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from tests.model.qwen_vl_1.small import small_checkpoint, small_config, small_weights


@pytest.fixture(scope="module")
def weights():
    return small_weights(small_config())


@pytest.fixture
def copy(published, tmp_path):
    return shutil.copytree(published, tmp_path / "copy")


def differs(network, weights):
    ours = network.state_dict()
    return [name for name in weights if not torch.equal(ours[name], weights[name])] + sorted(set(ours) ^ set(weights))


@pytest.mark.parametrize("pickled", [True, False])
def test_every_weight_is_the_one_in_the_files(pickled, published, weights, tmp_path):
    folder = published if pickled else small_checkpoint(tmp_path / "safe", pickled=False)
    network, found = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert differs(network, weights) == []
    assert not list(network.buffers())


def test_what_the_files_lack_leaves_what_they_have_as_it_is(weights, tmp_path):
    """Random numbers fill the gaps only, though others of the same module stand beside them."""
    visual = "transformer.visual."
    gaps = {visual + "positional_embedding", visual + "attn_pool.pos_embed", visual + "attn_pool.attn.in_proj_bias"}
    folder = small_checkpoint(tmp_path, pickled=False)
    save_file({n: w for n, w in weights.items() if n not in gaps}, folder / "model.safetensors", {"format": "pt"})
    network, found = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    assert found["missing_keys"] == gaps
    assert set(differs(network, weights)) == gaps
    assert all(torch.isfinite(network.state_dict()[name]).all() for name in gaps)


def test_saving_and_loading_changes_nothing(published, weights, tmp_path, recorded):
    network = AutoModelForCausalLM.from_pretrained(published, dtype=torch.float32)
    network.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == weights.keys()
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert differs(again, weights) == []
    before, after = network.config.to_dict(), again.config.to_dict()
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} <= {"_name_or_path"}
    saved = json.loads((tmp_path / "config.json").read_text())
    assert (saved["architectures"], saved["model_type"]) == (["QWenLMHeadModel"], "qwen")
    start = network.config.image_start_id
    ids = torch.tensor([[5, start, *[start + 2] * 256, start + 1, 9, 10]])
    with torch.no_grad():
        feed = {"input_ids": ids, "pixel_values": recorded["pixel_values"]}
        assert torch.equal(network(**feed).logits, again(**feed).logits)


def test_every_door_of_transformers_gives_the_native_classes(published):
    assert type(AutoConfig.from_pretrained(published)).__module__ == "qwenvl_debug.model.qwen_vl_1.configuration"
    assert type(AutoTokenizer.from_pretrained(published)).__module__ == "qwenvl_debug.model.qwen_vl_1.tokenizer"
    network = AutoModelForCausalLM.from_pretrained(published)
    assert type(network).__module__ == "qwenvl_debug.model.qwen_vl_1.modelling"


ORDERS = [
    # The last of these imports transformers' models from within a module that is itself half imported.
    "import qwenvl_debug; assert 'torch' not in sys.modules; import transformers.modeling_layers; "
    "from transformers import AutoModelForCausalLM",
    "from transformers import AutoModelForCausalLM; import qwenvl_debug",
]


@pytest.mark.parametrize("imports", ORDERS)
def test_importing_the_package_is_enough_in_any_order(imports, published):
    code = f"import sys; {imports}; network = AutoModelForCausalLM.from_pretrained({str(published)!r}); "
    code += "from transformers import AutoTokenizer; tokenizer = AutoTokenizer.from_pretrained(network.name_or_path); "
    code += "print(type(network).__module__, type(tokenizer).__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == [f"qwenvl_debug.model.qwen_vl_1.{part}" for part in ("modelling", "tokenizer")], (
        done.stderr
    )


def test_a_bin_file_that_holds_code_runs_nothing(copy):
    class Code:
        def __reduce__(self):
            return exec, ("import pathlib; pathlib.Path('ran').touch()",)

    shard = copy / "pytorch_model-00001-of-00003.bin"
    torch.save(torch.load(shard, weights_only=True) | {"transformer.ln_f.weight": Code()}, shard)
    with pytest.raises(ModelLoadError, match="could be code"):
        load_model(copy)
    assert not (copy / "ran").exists()


def without_visual(folder):
    config = json.loads((folder / "config.json").read_text())
    del config["visual"]
    (folder / "config.json").write_text(json.dumps(config))


def without_a_shard(folder):
    (folder / "pytorch_model-00002-of-00003.bin").unlink()


def without_a_weight(folder):
    shard = folder / "pytorch_model-00001-of-00003.bin"
    weights = torch.load(shard, weights_only=True)
    del weights["transformer.h.1.attn.c_attn.bias"]
    torch.save(weights, shard)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (without_visual, "text-only model .*cannot see a picture"),
        (without_a_shard, "cannot be read together|missing"),
        (without_a_weight, "1 weight is missing .*c_attn.bias"),
        (lambda f: (f / "qwen.tiktoken").unlink(), "no tokenizer .*qwen.tiktoken"),
        (lambda f: (f / "qwen.tiktoken").write_text("?"), "tokenizer cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(damage, sentence, copy):
    damage(copy)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_model(copy)
    assert "\n" not in str(caught.value)
