"""Do traces that were written to a file come back exactly, and is anything else refused?"""

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.trace import Trace
from qwenvl_debug.model.trace_file import pack, unpack


@pytest.fixture(scope="module")
def run(tiny, wide_case):
    return tiny("qwen3_5").ask(wide_case, max_new_tokens=3, vision_layers=(0, 1), rows="all")


def test_every_weight_comes_back_bit_for_bit(run):
    trace, vision = unpack(pack(run.trace, run.vision))
    assert (trace.n_layers, trace.n_heads, trace.layers) == (run.trace.n_layers, run.trace.n_heads, run.trace.layers)
    assert np.array_equal(trace.positions, run.trace.positions)
    assert trace.nbytes == run.trace.nbytes
    for layer in run.trace.layers:
        assert trace.weights(layer).tobytes() == run.trace.weights(layer).tobytes()
    assert len(vision) == 1
    for layer in (0, 1):
        assert vision[0].weights(layer).tobytes() == run.vision[0].weights(layer).tobytes()


def test_the_same_traces_give_the_same_bytes(run):
    data = pack(run.trace, run.vision)
    assert pack(run.trace, run.vision) == data
    assert pack(*unpack(data)) == data


def test_sixteen_bit_tensors_and_views_into_one_memory_are_kept_as_they_are():
    memory = torch.randn(4, 6, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    trace = Trace(
        n_layers=2,
        n_heads=2,
        layers=(0, 1),
        positions=[3, 5],
        tokens=6,
        queries={0: memory[:2, 2:4], 1: memory[2:, 2:4]},
        keys={0: memory[:1], 1: memory[:1]},
        scaling={0: 0.3, 1: 0.3},
    )
    data = pack(trace)
    assert load(data)["language.keys.1"].dtype == torch.bfloat16
    assert unpack(data)[0].weights(1).tobytes() == trace.weights(1).tobytes()


@pytest.mark.parametrize("data", [b"", b"\x00" * 40, b"\x80\x04K\x01.", save({"a": torch.ones(2)})])
def test_other_bytes_are_refused_in_one_sentence(data):
    with pytest.raises(CaptureError, match="not a file of traces, or it is damaged"):
        unpack(data)


def test_a_file_that_was_cut_short_is_refused(run):
    with pytest.raises(CaptureError, match="damaged"):
        unpack(pack(run.trace)[:-1])


def test_settings_tell_before_asking_what_the_run_will_say(tiny, wide_case):
    model = tiny("qwen3_vl")
    run = model.ask(wide_case, max_new_tokens=2, vision_layers=(1, 0), top=3)
    assert run.provenance.settings == model.settings(max_new_tokens=2, vision_layers=(0, 1), top=3)
    assert run.provenance.settings != model.settings(max_new_tokens=2)
