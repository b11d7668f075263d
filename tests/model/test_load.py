"""Does every way a checkpoint can be wrong get one plain sentence, and does loading change nothing it should not?"""

import json
from threading import Event, Thread

import numpy as np
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, LocalEntryNotFoundError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers.utils.logging import tqdm as transformers_tqdm

from qwenvl_debug.case import Case
from qwenvl_debug.errors import Cancelled, ModelLoadError, QwenVLDebugError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.families import FAMILIES
from qwenvl_debug.model.source import fingerprint
from qwenvl_debug.model.weights import PatchProduct
from tests.model.tiny import EVERY_FAMILY


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without_a_weight(folder):
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if "q_proj" in name)]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def with_a_misshapen_weight(folder):
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if "q_proj" in name)
    weights[name] = weights[name][:-1].clone()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def cut_in_half(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def only_pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "config.json cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), "config.json cannot be read"),
        (
            lambda f: rewrite(f / "config.json", model_type="llava"),
            "is not a Qwen model .its type is 'llava'.*Qwen3-VL",
        ),
        (lambda f: (f / "config.json").write_text('{"model_type": "qwen3"}'), "text-only model .qwen3. and cannot see"),
        (lambda f: (f / "config.json").write_text('{"model_type": "qwen"}'), "text-only model .qwen. and cannot see"),
        (lambda f: rewrite(f / "config.json", model_type="qwen2_5_omni"), "also listens or speaks .qwen2_5_omni"),
        (
            lambda f: rewrite(
                f / "config.json", model_type="qwen9_vl", architectures=["Qwen9VLForConditionalGeneration"]
            ),
            "a type that this version does not know .qwen9_vl",
        ),
        (lambda f: (f / "config.json").rename(f / "model-q4.gguf"), "is in GGUF, the format of llama.cpp"),
        (lambda f: (f / "config.json").write_text("{}"), "does not say what kind of model"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
        (only_pickled, "no weights.*can hold code"),
        (cut_in_half, "cannot be read together"),
        (without_a_weight, "1 weight is missing .*q_proj"),
        (with_a_misshapen_weight, "another shape.*q_proj.weight is 63 x 64 in the files and 64 x 64 by config.json"),
        (lambda f: (f / "tokenizer.json").unlink(), "holds no tokenizer"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer cannot be read"),
        (lambda f: (f / "chat_template.jinja").unlink(), "no chat template"),
        (lambda f: (f / "preprocessor_config.json").unlink(), "no preprocessor_config.json"),
        (lambda f: (f / "preprocessor_config.json").write_text("no"), "preprocessor_config.json cannot be used"),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_sentence(damage, sentence, copy):
    damage(copy)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_model(copy)
    assert isinstance(caught.value, QwenVLDebugError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("/no/such/folder", "There is no folder"),
        ("./nowhere", "There is no folder"),
        ("", "no config.json"),
        (__file__, "is a file"),
        ("model-q4_k_m.gguf", "is in GGUF.*choose the checkpoint it was made from"),
        ("not a name!", "possible name on the hub"),
        ("somebody/never-downloaded-this", "not downloaded before"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_in_one_sentence(name, sentence, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelLoadError, match=sentence):
        load_model(name, local_files_only=True)


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (LocalEntryNotFoundError("offline"), "hub cannot be reached"),
        (ConnectionError("reset"), "could not be fetched from the hub .ConnectionError"),
        (GatedRepoError.__new__(GatedRepoError), "accept them there"),
        (EntryNotFoundError("neither file is there"), "holds no config.json .repositories of GGUF files"),
    ],
)
def test_a_hub_that_does_not_answer_is_reported_in_one_sentence(failure, sentence, monkeypatch):
    def unreachable(*_, **__):
        raise failure

    monkeypatch.setattr("qwenvl_debug.model.source.hf_hub_download", unreachable)
    with pytest.raises(ModelLoadError, match=sentence):
        load_model("Qwen/Qwen2.5-VL-3B-Instruct")


def test_a_checkpoint_of_the_hub_goes_through_the_same_door(copy, monkeypatch, wide_case, tiny):
    snapshot = copy.rename(copy.parent / "0123456789abcdef")
    asked = {}

    def download(name, revision, allow_patterns, local_files_only):
        asked.update(name=name, revision=revision)
        return str(snapshot)

    monkeypatch.setattr("qwenvl_debug.model.source.hf_hub_download", lambda *_, **__: str(snapshot / "config.json"))
    monkeypatch.setattr("qwenvl_debug.model.source.snapshot_download", download)
    model = load_model("somebody/tiny-qwen3-vl")
    assert asked == {"name": "somebody/tiny-qwen3-vl", "revision": "0123456789abcdef"}
    assert (model.name, model.revision) == ("somebody/tiny-qwen3-vl", "0123456789abcdef")
    assert model.ask(wide_case, max_new_tokens=3).tokens == tiny().ask(wide_case, max_new_tokens=3).tokens


def test_a_device_that_is_not_there_is_refused(checkpoint):
    with pytest.raises(ModelLoadError, match="no device “abacus”"):
        load_model(checkpoint("qwen3_vl"), device="abacus")


def test_the_revision_of_a_folder_changes_with_its_tokenizer_and_its_chat_template(copy):
    """Or an answer to the words as they were would be given out for the words as they are."""
    seen = {load_model(copy).revision}
    for name in ("tokenizer_config.json", "chat_template.jinja"):
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write("\n")
        seen.add(fingerprint(copy))
    assert len(seen) == 3


def test_the_revision_of_a_folder_changes_with_its_weights(copy):
    before = load_model(copy).revision
    assert load_model(copy).revision == before
    weights = load_file(copy / "model.safetensors")
    next(iter(weights.values())).flatten()[0] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert load_model(copy).revision != before


def test_every_model_type_belongs_to_one_family():
    types = [model_type for family in FAMILIES for model_type in family.model_types]
    assert len(types) == len(set(types))
    assert set(EVERY_FAMILY) <= set(types)


@pytest.mark.parametrize("bias", [True, False])
def test_the_patch_product_is_the_convolution(bias):
    torch.manual_seed(0)
    convolution = nn.Conv3d(3, 20, kernel_size=(2, 8, 8), stride=(2, 8, 8), bias=bias).double()
    patches = torch.randn(7, 3, 2, 8, 8, dtype=torch.float64)
    product = PatchProduct(convolution)
    with torch.no_grad():
        assert torch.allclose(product(patches), convolution(patches).view(7, 20), atol=1e-12, rtol=0)
    assert set(product.state_dict()) == set(convolution.state_dict())
    assert product.weight is convolution.weight


def test_the_patch_product_is_in_use(tiny):
    assert all(
        isinstance(tiny(f).network.model.visual.patch_embed.proj, PatchProduct) for f in ("qwen2_vl", "qwen3_vl")
    )


def test_decoding_is_greedy_whatever_the_checkpoint_says(checkpoint, tiny):
    published = json.loads((checkpoint("qwen3_vl") / "generation_config.json").read_text())
    assert published["do_sample"]
    assert published["repetition_penalty"] > 1
    config = tiny().network.generation_config
    assert not config.do_sample
    assert config.repetition_penalty in (None, 1.0)
    assert config.temperature in (None, 1.0)


def test_pictures_can_be_held_to_a_number_of_tokens(checkpoint, noise):
    case = Case(noise(400, 300), "Which?")
    free = load_model(checkpoint("qwen3_vl")).ask(case, max_new_tokens=1)
    held = load_model(checkpoint("qwen3_vl"), max_image_tokens=30).ask(case, max_new_tokens=1)
    assert len(free.grids[0].positions) > 100
    assert 15 < len(held.grids[0].positions) <= 30


@pytest.mark.parametrize("stop_at", ["reckoning the memory", "reading the weights"])
def test_loading_can_be_stopped_before_and_between_weights(stop_at, checkpoint):
    cancel, told = Event(), []

    def progress(done, of, text):
        told.append(text)
        if text == stop_at and told.count(text) >= 5 * (stop_at == "reading the weights"):
            cancel.set()

    with pytest.raises(Cancelled, match="Loading was stopped"):
        load_model(checkpoint("qwen3_vl"), progress=progress, cancel=cancel)
    assert told[-1] == stop_at
    assert load_model(checkpoint("qwen3_vl")).n_layers == 3, "nothing of it is left in the way"


def test_other_progress_bars_stay_what_they_are(checkpoint):
    seen = []

    def progress(*_):
        thread = Thread(
            target=lambda: seen.append(list(transformers_tqdm([1, 2], desc="Loading weights", disable=True)))
        )
        thread.start()
        thread.join()

    load_model(checkpoint("qwen3_vl"), progress=progress)
    assert seen[0] == seen[-1] == [1, 2]


def test_precision_can_be_chosen_and_progress_is_told(checkpoint, wide_case):
    told = []
    model = load_model(checkpoint("qwen3_vl"), dtype="bfloat16", progress=lambda *step: told.append(step))
    assert model.dtype == torch.bfloat16
    done = [step[0] for step in told]
    assert (done[0], done[-1], {step[1] for step in told}) == (0, 100, {100})
    assert done == sorted(done)
    assert sum(step[2] == "reading the weights" for step in told) > 20, "each weight is told"
    weights = model.ask(wide_case, max_new_tokens=2).trace.weights(0)
    assert weights.dtype == np.float32
    assert np.allclose(weights.sum(-1), 1, atol=1e-5)
