"""Are weights that were published quantised read as what they stand for, and all others refused by name?"""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.forecast import forecast, inspect
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.quantisation import check_quantised, quantised
from qwenvl_debug.model.selfcheck import check
from tests.model.tiny import tiny_checkpoint

BLOCK = 32
FP8 = {
    "quant_method": "fp8",
    "activation_scheme": "dynamic",
    "fmt": "e4m3",
    "weight_block_size": [BLOCK, BLOCK],
    "modules_to_not_convert": ["lm_head", "model.visual"],
}


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def in_blocks(weight, block=BLOCK):
    """float8 numbers and the scale of each block, as the published FP8 checkpoints hold them."""
    *lead, rows, cols = weight.shape
    blocks = weight.reshape(*lead, rows // block, block, cols // block, block)
    scales = blocks.abs().amax((-3, -1)) / 448
    codes = (blocks / scales[..., :, None, :, None]).to(torch.float8_e4m3fn)
    return codes.reshape(weight.shape), scales


def as_fp8(folder, settings=FP8, scale_dtype=torch.float32):
    """Turn a checkpoint's language matrices into FP8; what each of them then stands for."""
    weights, meant = load_file(folder / "model.safetensors"), {}
    for name, weight in list(weights.items()):
        if name.endswith("_proj.weight") and "visual" not in name:
            codes, scales = in_blocks(weight)
            weights[name], weights[name + "_scale_inv"] = codes, scales.to(scale_dtype)
            spread = scales.to(scale_dtype).float().repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
            meant[name] = codes.float() * spread
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    rewrite(folder / "config.json", quantization_config=settings)
    return meant


def logits(model, case):
    with torch.no_grad():
        return model.network(**prompt(model, case).feed("cpu")).logits


@pytest.mark.parametrize("scale_dtype", [torch.float32, torch.bfloat16])
def test_fp8_weights_are_their_codes_times_the_scale_of_their_block(scale_dtype, copy, wide_case, tiny):
    meant = as_fp8(copy, scale_dtype=scale_dtype)
    model = load_model(copy)
    assert len(meant) == 21
    for name, weight in meant.items():
        assert torch.equal(model.network.get_parameter(name), weight)
    alone = AutoModelForImageTextToText.from_pretrained(copy, dtype=torch.float32).eval()
    with torch.no_grad():
        theirs = alone(**prompt(model, wide_case).feed("cpu")).logits
    assert torch.allclose(logits(model, wide_case), theirs, atol=1e-4)
    assert 0 < (logits(model, wide_case) - logits(tiny(), wide_case)).abs().max() < 0.5, "FP8 rounds"


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_5", "qwen3_5_moe"])
def test_fp8_of_every_generation_gives_what_the_expanded_numbers_give(family, checkpoint, tmp_path, wide_case):
    """Also where experts, each stored by itself, are joined, and where names of an older version are read."""
    eight, whole = (shutil.copytree(checkpoint(family), tmp_path / name) for name in ("eight", "whole"))
    meant = as_fp8(eight)
    assert len(meant) >= 20
    weights = load_file(whole / "model.safetensors")
    save_file(weights | meant, whole / "model.safetensors", {"format": "pt"})
    ours, theirs = (logits(load_model(folder), wide_case) for folder in (eight, whole))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_is_not_fp8_is_read_in_the_precision_that_was_asked_for(copy, wide_case):
    """Published FP8 checkpoints hold the rest in bfloat16, which transformers leaves so beside float32."""
    as_fp8(copy)
    weights = load_file(copy / "model.safetensors")
    for name, weight in weights.items():
        if weight.dtype == torch.float32 and not name.endswith("_scale_inv"):
            weights[name] = weight.bfloat16()
    save_file(weights, copy / "model.safetensors", {"format": "pt"})
    for dtype in (torch.float32, torch.bfloat16):
        model = load_model(copy, dtype=dtype)
        assert {weight.dtype for weight in model.network.parameters()} == {dtype}
        assert model.ask(wide_case, max_new_tokens=2).tokens


def test_an_fp8_model_that_waits_on_disk_answers_as_one_in_memory(copy, wide_case):
    as_fp8(copy)
    spread, held = load_model(copy, max_memory={"cpu": "300KB"}), load_model(copy)
    assert "disk" in spread.network.hf_device_map.values()
    runs = [model.ask(wide_case, max_new_tokens=3) for model in (spread, held)]
    assert [token.id for token in runs[0].tokens] == [token.id for token in runs[1].tokens]


def test_what_is_told_of_an_fp8_model_is_true(copy, wide_case):
    as_fp8(copy)
    model = load_model(copy)
    assert model.precision == "FP8 in blocks of 32 x 32 expanded to float32"
    assert model.ask(wide_case, max_new_tokens=1).provenance.settings["stored"] == "FP8 in blocks of 32 x 32"
    found = check(model, wide_case, max_new_tokens=4)
    assert found.ok
    assert max(found.max_error_language, found.max_error_vision) < 1e-5


def test_an_fp8_model_is_reckoned_as_what_it_is_expanded_to(copy, checkpoint):
    whole = forecast(checkpoint("qwen3_vl")).to_dict()["modes"]["basic"]["weights"]
    as_fp8(copy)
    report = forecast(copy).to_dict()
    assert report["modes"]["basic"]["weights"] == whole
    assert report["stored"] == "FP8 in blocks of 32 x 32"
    model = load_model(copy, mode="low memory")
    assert model.dtype == torch.bfloat16
    assert "“low memory” reduces pictures only" in model.loading.notes[0]


def test_a_matrix_that_ends_within_an_fp8_block_is_refused(copy):
    as_fp8(copy, settings=FP8 | {"weight_block_size": [48, 48]})
    with pytest.raises(ModelLoadError, match="no whole number of FP8 blocks of 48 x 48"):
        load_model(copy)


def test_scales_without_a_quantisation_are_refused(copy):
    as_fp8(copy)
    rewrite(copy / "config.json", quantization_config=None)
    with pytest.raises(ModelLoadError, match=r"hold scales of quantised weights, for which config\.json names no"):
        load_model(copy)


def test_fp8_experts_that_transformers_does_not_expand_are_refused(tmp_path):
    folder = tiny_checkpoint(tmp_path, "qwen3_vl_moe")
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if name.endswith("experts.gate_up_proj")]:
        weights[name], weights[name + "_scale_inv"] = in_blocks(weights[name])
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    rewrite(folder / "config.json", quantization_config=FP8)
    with pytest.raises(ModelLoadError, match="scales of quantised weights"):
        load_model(folder)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_checkpoint_saved_by_bitsandbytes_gives_the_logits_of_transformers(bits, tmp_path, wide_case):
    plain = tiny_checkpoint(tmp_path / "plain", "qwen3_vl", text={"intermediate_size": 128})
    how = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"} if bits == 4 else {"load_in_8bit": True}
    settings = BitsAndBytesConfig(**how, llm_int8_skip_modules=["model.visual", "lm_head"])
    folder = tmp_path / "few"
    AutoModelForImageTextToText.from_pretrained(
        plain, dtype=torch.float32, device_map="cpu", quantization_config=settings
    ).save_pretrained(folder)
    for file in plain.iterdir():
        if not (folder / file.name).exists():
            (folder / file.name).write_bytes(file.read_bytes())
    model = load_model(folder, device="cpu")
    kind = {4: "Linear4bit", 8: "Linear8bitLt"}[bits]
    assert type(model.network.model.language_model.layers[0].self_attn.q_proj).__name__ == kind
    few_round = 0.01  # products of few bits round their inputs, which differ by the patch embedding's own rounding
    alone = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, device_map="cpu").eval()
    with torch.no_grad():
        theirs = alone(**prompt(model, wide_case).feed("cpu")).logits
    assert torch.allclose(logits(model, wide_case), theirs, atol=few_round)
    assert (model.bits, model.precision) == (bits, f"bitsandbytes in {bits} bits with float32")
    assert check(model, wide_case, max_new_tokens=4).ok
    assert model.loading.unused == {}
    held = sum(weight.nbytes for weight in model.network.parameters())
    needs = forecast(folder).to_dict()["modes"]["basic"]
    assert needs["weights"] == pytest.approx(held, rel=0.1)
    assert needs["bits"] == bits
    with pytest.raises(
        ModelLoadError, match=r"is published quantised \(bitsandbytes in . bits\) and cannot be stored in 8 bits"
    ):
        load_model(folder, bits=8)
    assert load_model(folder, mode="low memory", device="cpu").bits == bits


def test_matrices_that_bitsandbytes_cannot_use_on_a_cpu_are_expanded(checkpoint, tmp_path, wide_case):
    """As in the vision towers of published checkpoints: transformers alone fails at the first question."""
    from bitsandbytes.functional import dequantize_4bit

    settings = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=["lm_head"])
    few = AutoModelForImageTextToText.from_pretrained(
        checkpoint("qwen3_vl"), dtype=torch.float32, device_map="cpu", quantization_config=settings
    )
    stored = few.model.visual.blocks[0].attn.qkv.weight
    meant = dequantize_4bit(stored.data, stored.quant_state)
    few.save_pretrained(tmp_path)
    for file in checkpoint("qwen3_vl").iterdir():
        if not (tmp_path / file.name).exists():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    model = load_model(tmp_path, device="cpu")
    qkv = model.network.model.visual.blocks[0].attn.qkv
    assert type(qkv) is torch.nn.Linear
    assert torch.allclose(qkv.weight, meant.float(), atol=1e-6)
    assert check(model, wide_case, max_new_tokens=3).ok


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"quant_method": "awq", "bits": 4}, "AWQ and needs a package that is not installed: pip install 'gptqmodel'"),
        ({"quant_method": "gptq", "bits": 4}, "GPTQ and needs .* pip install 'optimum' 'gptqmodel'"),
        ({"quant_method": "compressed-tensors", "config_groups": {}}, "pip install 'compressed-tensors'"),
        ({"quant_method": "aqlm"}, "AQLM and needs .*'aqlm"),
        ({"quant_method": "hqq"}, "HQQ and needs .*'hqq'"),
        ({"quant_method": "eetq"}, "EETQ and needs .*'kernels'"),
        ({"quant_method": "torchao"}, "torchao and needs .*'torchao'"),
        ({"quant_method": "quanto"}, "Quanto and needs .*'optimum-quanto'"),
        ({"quant_method": "mxfp4"}, "MXFP4 and needs .*'kernels'"),
        ({"quant_method": "auto-round"}, "AutoRound and needs .*'auto-round'"),
        ({"quant_method": "modelopt"}, "by the method “modelopt”, which transformers cannot read"),
        ({"bits": 4}, "in a way that its config.json does not name, which transformers cannot read"),
        ([1], "quantization_config is not an object"),
        ({"quant_method": "fp8", "activation_scheme": "guessed"}, "FP8 and cannot be read here: .*guessed"),
    ],
)
def test_a_quantisation_that_cannot_be_read_here_is_refused_by_name(settings, sentence, copy):
    rewrite(copy / "config.json", quantization_config=settings)
    with pytest.raises(ModelLoadError, match=sentence) as caught:
        load_model(copy)
    assert "\n" not in str(caught.value)
    assert "broken" not in str(caught.value) or isinstance(settings, list)


def test_other_places_where_a_quantisation_is_written_are_seen():
    for config in (
        {"text_config": {"quantization_config": {"quant_method": "awq"}}},
        {"compression_config": {"config_groups": {"group_0": {"weights": {"num_bits": 8}}}}},
    ):
        stored = quantised(config, "it")
        assert stored.method in ("awq", "compressed-tensors")
        assert stored.bits in (None, 8)
    with pytest.raises(ModelLoadError, match="quantised for MLX"):
        quantised({"quantization": {"group_size": 64, "bits": 4}}, "it")


def test_without_a_gpu_a_method_that_needs_one_is_refused(monkeypatch):
    monkeypatch.setattr("qwenvl_debug.model.quantisation._installed", lambda _: True)
    with pytest.raises(ModelLoadError, match="HIGGS, which runs on a GPU only, and there is none here"):
        check_quantised(quantised({"quantization_config": {"quant_method": "higgs"}}, "it"), "it", gpu=False)


def test_what_is_not_fetched_yet_is_reckoned_from_its_bits(copy):
    rewrite(copy / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    (copy / "model.safetensors").unlink()
    whole = inspect(copy).skeleton.num_parameters() * 4
    assert 0.3 * whole < forecast(copy).to_dict()["modes"]["basic"]["weights"] < 0.9 * whole
