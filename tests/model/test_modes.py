"""Do the modes do what they say, do their rows stay true, and is a model put where it fits?"""

import gc
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.forecast import inspect
from qwenvl_debug.model.machine import Hardware
from qwenvl_debug.model.memory import estimate
from qwenvl_debug.model.modes import BASIC, FULL, LOW_MEMORY, mode_of
from qwenvl_debug.model.place import Wishes, choose
from qwenvl_debug.model.selfcheck import check
from tests.model.qwen_vl_1.small import small_checkpoint
from tests.model.test_capture_language import eager_rows, generated, untouched
from tests.model.tiny import tiny_checkpoint

LARGE = 10**12


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """Tiny checkpoints whose matrices are as wide as a block of 4-bit numbers needs, by family."""
    root = tmp_path_factory.mktemp("wide")
    return {
        family: tiny_checkpoint(root / family, family, text={"intermediate_size": 128})
        for family in ("qwen2_5_vl", "qwen3_vl")
    }


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("bits", [8, 4])
def test_maps_of_weights_in_few_bits_are_those_of_the_eager_function(family, bits, wide, wide_case):
    model = load_model(wide[family], bits=bits)
    names = {type(module).__name__ for module in model.network.model.language_model.modules()}
    assert {8: "Linear8bitLt", 4: "Linear4bit"}[bits] in names
    assert type(model.network.lm_head) is torch.nn.Linear
    assert {type(m).__name__ for m in model.network.model.visual.modules() if "inear" in type(m).__name__} == {"Linear"}
    found = check(model, wide_case, max_new_tokens=4)
    assert found.ok, "greedy answer the same with and without capture, every row within 1e-4 of eager"
    assert max(found.max_error_language, found.max_error_vision) < 1e-5
    assert model.precision == f"{bits}-bit with float32"
    assert model.ask(wide_case, max_new_tokens=1).provenance.settings["bits"] == bits


@pytest.mark.parametrize(
    "options", [{"mode": "low memory"}, {"bits": 4}, {"dtype": "bfloat16"}, {"max_memory": {"cpu": "1MB"}}]
)
def test_the_first_generation_can_be_small_too(options, tmp_path, wide_case):
    model = load_model(small_checkpoint(tmp_path / "chat"), **options)
    found = check(model, wide_case, max_new_tokens=4)
    assert found.ok
    assert max(found.max_error_language, found.max_error_vision) < 1e-5


def test_weights_in_few_bits_stay_near_the_whole_ones(wide, wide_case):
    whole = load_model(wide["qwen3_vl"]).ask(wide_case, target="cat")
    for bits, allowed in ((8, 0.03), (4, 0.3)):
        few = load_model(wide["qwen3_vl"], bits=bits).ask(wide_case, target="cat")
        difference = np.abs(few.trace.weights(0) - whole.trace.weights(0)).max()
        assert 0 < difference < allowed


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_5", "qwen3_vl_moe"])
def test_a_model_in_brain_floats_passes_its_check(family, checkpoint, wide_case):
    model = load_model(checkpoint(family), dtype="bfloat16")
    found = check(model, wide_case, max_new_tokens=4)
    assert found.ok
    assert max(found.max_error_language, found.max_error_vision) < 1e-5
    assert model.precision == "bfloat16"


def test_the_full_mode_keeps_the_tower_unless_told_otherwise(checkpoint, wide_case):
    model = load_model(checkpoint("qwen3_vl"), mode="full")
    (trace,) = model.ask(wide_case, max_new_tokens=1).vision
    assert trace.layers == (0, 1, 2)
    assert model.ask(wide_case, max_new_tokens=1, vision_layers=()).vision == ()
    assert model.ask(wide_case, max_new_tokens=1, vision_layers=(1,)).vision[0].layers == (1,)


def test_low_memory_stores_few_bits_and_reduces_pictures(checkpoint, wide_case):
    model = load_model(checkpoint("qwen3_vl"), mode="low-memory", device="cpu", max_image_tokens=40)
    assert (model.mode, model.bits, model.dtype) == (LOW_MEMORY, 8, torch.bfloat16)
    model = load_model(checkpoint("qwen3_vl"), mode="low-memory", device="cpu", max_image_tokens=40, bits=4)
    layer = model.network.model.language_model.layers[0].mlp
    kinds = [type(one).__name__ for one in (layer.up_proj, layer.down_proj)]
    assert kinds == ["Linear4bit", "Linear"], "rows of 96 numbers are no whole blocks of 64"
    run = model.ask(wide_case, max_new_tokens=3)
    assert len(run.grids[0].positions) <= 40
    assert np.allclose(run.trace.weights(0).sum(-1), 1, atol=1e-5)
    roomy = load_model(
        tiny_checkpoint(Path(checkpoint("qwen3_vl")).parent / "roomy", "qwen3_vl", most_cells=5000), mode="low memory"
    )
    size = roomy.image_processor.size["longest_edge"] // (roomy.image_processor.patch_size * 2) ** 2
    assert size == LOW_MEMORY.max_image_tokens


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_a_model_that_waits_on_disk_gives_the_rows_of_eager_attention(family, checkpoint, wide_case):
    model = load_model(checkpoint(family), max_memory={"cpu": "300KB"})
    places = set(model.network.hf_device_map.values())
    assert places == {"cpu", "disk"}
    assert next(model.network.model.language_model.parameters()).is_meta, "its weights are not in memory"
    run = model.ask(wide_case, max_new_tokens=5, vision_layers=(1,))
    answer = generated(untouched(checkpoint(family), "eager"), model, wide_case, 5, output_attentions=True)
    assert [token.id for token in run.tokens] == answer.sequences[0].tolist()
    for layer, eager in zip(run.trace.layers, eager_rows(answer), strict=True):
        assert np.abs(run.trace.weights(layer)[..., :-1] - eager[:, run.trace.positions]).max() <= 1e-5
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)


def test_a_model_that_waits_on_disk_as_a_whole_answers_too(checkpoint, tiny, wide_case):
    model = load_model(checkpoint("qwen2_vl"), max_memory={"cpu": "10KB"})
    assert set(model.network.hf_device_map.values()) == {"disk"}
    runs = [one.ask(wide_case, max_new_tokens=3) for one in (model, tiny("qwen2_vl"))]
    assert [token.id for token in runs[0].tokens] == [token.id for token in runs[1].tokens]
    assert np.abs(runs[0].trace.weights(2) - runs[1].trace.weights(2)).max() <= 1e-5


def test_what_waited_on_disk_goes_with_the_model(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = load_model(checkpoint("qwen3_vl"), max_memory={"cpu": "300KB"})
    assert [path.name.startswith("qwenvl-debug-weights-") for path in tmp_path.iterdir()] == [True]
    del model
    gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"mode": "turbo"}, "There is no mode “turbo”: use basic, full, low memory"),
        ({"dtype": "float128"}, "There is no precision “float128”"),
        ({"bits": 3}, "in 8 or 4 bits, not in 3"),
    ],
)
def test_a_wrong_wish_is_refused_in_one_sentence(wrong, sentence):
    with pytest.raises(ModelLoadError, match=sentence):
        load_model("micro", **wrong)


def test_without_bitsandbytes_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr("qwenvl_debug.model.few_bits.find_spec", lambda _: None)
    with pytest.raises(ModelLoadError, match=r"take the package bitsandbytes: pip install 'qwenvl-debug\[models\]'"):
        load_model("micro", bits=8)
    assert load_model("micro", mode="low memory").precision == "bfloat16", "half is what can be done then"


def test_names_of_modes_are_taken_in_every_spelling():
    assert mode_of("Low-Memory") == mode_of("low_memory") == LOW_MEMORY


@pytest.fixture(scope="module")
def found(checkpoint, tmp_path_factory):
    """A model large enough that its weights decide, as a configuration alone."""
    folder = tmp_path_factory.mktemp("larger")
    config = json.loads((checkpoint("qwen3_vl") / "config.json").read_text())
    config["text_config"] |= {"hidden_size": 1024, "intermediate_size": 2048, "num_hidden_layers": 12}
    config["vision_config"]["out_hidden_size"] = 1024
    (folder / "config.json").write_text(json.dumps(config))
    return inspect(folder)


def needs(found, dtype, bits=None, mode=BASIC):
    most = mode.max_image_tokens or 1024
    return estimate(found.skeleton, found.family, dtype=dtype, bits=bits, vision=mode.vision, image_tokens=most).total


def placed(found, mode, there, **wishes):
    chosen = choose(found.skeleton, found.family, "it", mode, there, Wishes(**wishes))
    return chosen.device, chosen.dtype, chosen.bits


def test_a_place_is_chosen_from_the_hardware(found):
    cpu, gpu = Hardware("cpu", (), LARGE), Hardware("cuda", (LARGE,), LARGE)
    old_gpu, two = Hardware("cuda", (LARGE,), LARGE, brain_floats=False), Hardware("cuda", (1, LARGE), LARGE)
    brain, half, whole = torch.bfloat16, torch.float16, torch.float32
    assert placed(found, BASIC, cpu) == ("cpu", whole, None)
    assert placed(found, BASIC, gpu) == ("cuda:0", whole, None), "the tiny checkpoint's own precision"
    assert placed(found, BASIC, two) == ("auto", whole, None)
    assert placed(found, BASIC, two, device="cuda:1") == ("cuda:1", whole, None)
    assert placed(found, LOW_MEMORY, gpu) == ("cuda:0", brain, 8)
    assert placed(found, LOW_MEMORY, old_gpu) == ("cuda:0", half, 8)
    assert placed(found, BASIC, cpu, dtype=brain) == ("cpu", brain, None)
    assert placed(found, FULL, Hardware("mps", (), LARGE)) == ("mps", whole, None)


def test_what_does_not_fit_is_stored_in_fewer_bits_and_then_moved_away(found):
    steps = [needs(found, torch.float32), needs(found, torch.bfloat16)]
    assert placed(found, BASIC, Hardware("cpu", (), steps[0])) == ("cpu", torch.float32, None)
    assert placed(found, BASIC, Hardware("cpu", (), steps[1])) == ("cpu", torch.bfloat16, None)
    eight, four = (needs(found, torch.bfloat16, bits, LOW_MEMORY) for bits in (8, 4))
    assert four < eight < steps[1]
    assert placed(found, LOW_MEMORY, Hardware("cpu", (), eight)) == ("cpu", torch.bfloat16, 8)
    assert placed(found, LOW_MEMORY, Hardware("cuda", (four,), 0)) == ("cuda:0", torch.bfloat16, 4)
    assert placed(found, LOW_MEMORY, Hardware("cpu", (), four - 1)) == ("auto", torch.bfloat16, None)


def test_what_cannot_fit_is_refused_with_what_would(found):
    small = Hardware("cpu", (), needs(found, torch.bfloat16, 4, LOW_MEMORY))
    with pytest.raises(
        ModelLoadError,
        match=r"“it” needs about \d+ MB in the mode “full”, and \d+ MB are free on cpu: use mode='low memory' .about",
    ):
        placed(found, FULL, small)
    with pytest.raises(ModelLoadError, match="choose a smaller checkpoint, or close other programs"):
        placed(found, LOW_MEMORY, Hardware("cpu", (), 1))
    assert choose(found.skeleton, found.family, "it", FULL, small, Wishes(), anyway=True).device == "cpu"


def test_load_model_refuses_before_a_weight_is_read_unless_told_otherwise(checkpoint, monkeypatch):
    monkeypatch.setattr("qwenvl_debug.model.load.hardware", lambda: Hardware("cpu", (), 1000))
    with monkeypatch.context() as patch:
        patch.setattr("qwenvl_debug.model.load.read_network", lambda *_, **__: pytest.fail("weights were read"))
        with pytest.raises(ModelLoadError, match="are free on cpu"):
            load_model(checkpoint("qwen3_vl"))
    assert load_model(checkpoint("qwen3_vl"), check_memory=False).n_layers == 3
