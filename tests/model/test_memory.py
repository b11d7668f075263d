"""Is the estimate of memory made from the configuration alone, exact where it counts, and true where it reckons?"""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.forecast import forecast, inspect
from qwenvl_debug.model.machine import Hardware, free_main_memory, hardware
from qwenvl_debug.model.memory import estimate, size_text
from qwenvl_debug.model.place import Wishes
from tests.model.tiny import EVERY_FAMILY, tiny_checkpoint


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_weights_are_counted_exactly_without_reading_them(family, checkpoint, tmp_path):
    stored = load_file(checkpoint(family) / "model.safetensors")
    numbers = sum(weight.numel() for weight in stored.values())
    (tmp_path / "config.json").write_bytes((checkpoint(family) / "config.json").read_bytes())
    found = inspect(tmp_path)
    assert all(weight.is_meta for weight in found.skeleton.parameters())
    needs = estimate(found.skeleton, found.family, dtype=torch.bfloat16)
    assert needs.parameters == numbers
    assert numbers * 2 <= needs.weights < numbers * 2 + 10_000, "and some small buffers"


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_what_is_captured_and_cached_is_reckoned_as_it_is(family, checkpoint, tiny, wide_case):
    model = tiny(family)
    run = model.ask(wide_case, max_new_tokens=6, vision_layers=range(3))
    cells = len(run.grids[0].positions)
    found = inspect(checkpoint(family))
    asked = len(run.trace.positions)
    needs = estimate(
        found.skeleton, found.family, vision=True, image_tokens=cells, words=len(run.tokens) - cells - 6, answer=6
    )
    text = found.skeleton.config.get_text_config()
    dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    keys = len(run.trace.layers) * (len(run.tokens) - 1) * text.num_key_value_heads * dim * 4
    queries = len(run.trace.layers) * asked * text.num_attention_heads * dim * 4
    masks = len(run.trace.layers) * asked * (len(run.tokens) - 1) * model.generation.choosing
    assert run.trace.nbytes == keys + queries + masks
    captured = queries + sum(trace.nbytes for trace in run.vision)
    assert captured <= needs.capture < captured * 2, "all words of the chat count as asked"
    assert 2 * keys <= needs.cache < 2 * keys * 1.1 + 40_000, "and the states of linear layers"


def test_weights_in_few_bits_are_reckoned_as_they_are_stored(tmp_path):
    folder = tiny_checkpoint(tmp_path, "qwen3_vl", text={"intermediate_size": 128})
    found = inspect(folder)
    for bits in (8, 4):
        network = load_model(folder, bits=bits, dtype="bfloat16", device="cpu").network
        held = sum(weight.nbytes for weight in network.parameters())
        held += sum(getattr(weight, "SCB", torch.empty(0)).nbytes for weight in network.parameters())
        held += sum(w.quant_state.absmax.nbytes for w in network.parameters() if getattr(w, "quant_state", None))
        needs = estimate(found.skeleton, found.family, dtype=torch.bfloat16, bits=bits)
        assert needs.weights == pytest.approx(held, rel=0.01)


def test_the_forecast_covers_every_mode_and_fits_into_json(checkpoint):
    report = json.loads(json.dumps(forecast(checkpoint("qwen3_vl")).to_dict()))
    assert list(report["modes"]) == ["basic", "full", "low memory"]
    basic, full, low = report["modes"].values()
    assert low["total"] < basic["total"] < full["total"]
    assert all(mode["fits"] and mode["free"] > 0 for mode in report["modes"].values())
    for mode in report["modes"].values():
        assert mode["total"] == mode["weights"] + mode["cache"] + mode["work"] + mode["capture"]


def test_what_is_too_large_is_said_to_be(checkpoint):
    nowhere = forecast(checkpoint("qwen3_vl"), there=Hardware("cpu", (), 1000))
    assert nowhere.fits == ()
    chosen = forecast(checkpoint("qwen3_vl"), wishes=Wishes(dtype=torch.bfloat16, bits=4, image_tokens=100))
    assert {(place.bits, place.needs.image_tokens) for place in chosen.places.values()} == {(4, 100)}


def test_a_checkpoint_published_in_few_bits_counts_as_it_is_stored(checkpoint, tmp_path):
    config = json.loads((checkpoint("qwen3_vl") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": "awq"}}))
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 5000)
    assert forecast(tmp_path).to_dict()["modes"]["basic"]["weights"] == 5000


def test_memory_is_told_in_units_a_person_knows():
    assert [size_text(n) for n in (17_240_000_000, 45_000_000, 1_000_000_000)] == ["17.2 GB", "45 MB", "1.0 GB"]


def test_nothing_is_promised_of_a_device_that_is_not_there():
    with pytest.raises(ModelLoadError, match="There is no device “nowhere” here"):
        forecast("micro", wishes=Wishes(device="nowhere"))


def test_a_containers_limit_counts(monkeypatch, tmp_path):
    class Files(type(tmp_path)):
        def read_text(self):
            stat = "anon 250000\ninactive_file 100000\nactive_file 50000\n"  # read before, given up when needed
            return {"memory.max": "1000000", "memory.current": "400000", "memory.stat": stat}[self.name]

    monkeypatch.setattr("qwenvl_debug.model.machine.Path", Files)
    monkeypatch.setattr("qwenvl_debug.model.machine.suppress", lambda *_: __import__("contextlib").suppress(KeyError))
    assert free_main_memory() == 700_000


def test_the_hardware_is_looked_up():
    there = hardware()
    assert there.main > 0
    assert there.free("cpu") == there.main
    assert Hardware("cuda", (5, 7), 100).free("cuda:1") == 7
    assert Hardware("cuda", (5, 7), 100).free("cuda") == 5
    assert Hardware("cuda", (5, 7), 100).free("auto") == 112
    assert Hardware("cuda", (5, 7), 100).free("cuda:9") == 0


def test_the_estimate_of_a_small_model_lies_near_what_its_process_takes(tmp_path):
    """As `python -m benchmarks.memory`, whose three sizes stand in docs/memory.md, on one that is quick."""
    from benchmarks.memory import SIZES, checkpoint

    folder = checkpoint(tmp_path / "model", SIZES["44 M"] | {"num_hidden_layers": 8})
    job = [sys.executable, "-m", "benchmarks.memory", str(folder), "{}"]
    found = json.loads(subprocess.run(job, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    assert found["estimate"] == pytest.approx(found["measured"], rel=0.15)
