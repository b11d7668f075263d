"""Is a pass that is run again from the middle the pass that is run whole?"""

from threading import Event

import pytest
import torch

from qwenvl_debug.errors import Cancelled, CaptureError
from qwenvl_debug.model.bias import Bias
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.replay import Replay
from qwenvl_debug.model.taps import BiasTap, HeadTap, Place, Replace, ReplaceFeatures, Scale
from tests.model.places import FED, GENERATIONS, models, passes

CLOSE = 1e-5


@pytest.fixture(scope="session")
def model_of(tiny, tmp_path_factory):
    return models(tiny, tmp_path_factory)


def changes(mine, other):
    """Interventions at every kind of place, each made anew for every pass, for they count."""
    image, last, soft = mine.image[3:9].tolist(), mine.length - 1, sorted(mine._places.softmax)[-1]
    yield lambda: [ReplaceFeatures(range(3, 9), other.features.at(torch.arange(3, 9)), image[0])]
    for layer in range(mine.layers + 1):
        yield lambda layer=layer: [Replace(Place("residual", layer), image, other.state(layer)[image])]
        yield lambda layer=layer: [Replace(Place("residual", layer), [last], other.state(layer)[-1:])]
    yield lambda: [BiasTap(Bias(soft, tuple(image), 8.0, last))]
    yield lambda: [BiasTap(Bias(soft, tuple(image), 0.0, image[-1] + 1, heads=(0, 2)))]
    yield lambda: [HeadTap(soft, [1], first=last)]
    yield lambda: [Scale(Place("attention_output", 1), 0.0), Scale(Place("mlp_output", 0), 0.5)]
    yield lambda: [Replace(Place("mlp_output", 1), image, other.output(Place("mlp_output", 1))[image])]
    yield lambda: [
        Replace(Place("residual", 1), image, other.state(1)[image]),
        BiasTap(Bias(soft, tuple(image), 4.0, last)),
    ]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_intervention_run_again_equals_it_in_a_whole_pass(model_of, noise, generation):
    mine, other = passes(model_of(generation), noise)
    for change in changes(mine, other):
        assert (mine.run(change()) - mine.whole(change())).abs().max() < CLOSE


@pytest.mark.parametrize("generation", GENERATIONS)
def test_patches_made_together_equal_patches_made_one_by_one(model_of, noise, generation):
    mine, other = passes(model_of(generation), noise)
    image, last = mine.image[3:9].tolist(), [mine.length - 1]
    inside = other.features.at(torch.arange(3, 9))
    for layer in range(mine.layers + 1):
        both = mine.patched(layer, [(image, other.state(layer)[image], inside), (last, other.state(layer)[last], None)])
        first = [Replace(Place("residual", layer), image, other.state(layer)[image])]
        if layer < len(inside.deepstack):
            first.append(ReplaceFeatures(range(3, 9), inside, image[0], after=layer))
        second = [Replace(Place("residual", layer), last, other.state(layer)[last])]
        for found, taps in zip(both, (first, second), strict=True):
            assert (found - mine.whole(taps)[-1]).abs().max() < CLOSE


@pytest.mark.parametrize("generation", ["qwen2_5_vl", "qwen3_vl", "qwen3_5"])
def test_what_belongs_to_the_pass_itself_stays_when_it_is_run_again(model_of, noise, generation):
    model = model_of(generation)
    plain, other = passes(model, noise)
    image, last, soft = plain.image[3:9].tolist(), plain.length - 1, sorted(plain._places.softmax)[-1]

    def base():
        return [
            BiasTap(Bias(soft, tuple(image), 16.0, last)),
            ReplaceFeatures(range(2), other.features.at(torch.arange(2)), int(plain.image[0])),
        ]

    sabotaged = Replay(model, plain.asked, FED, base=base())
    assert (sabotaged.logits - plain.whole(base())).abs().max() < CLOSE
    for layer in range(plain.layers + 1):
        change = [Replace(Place("residual", layer), image, other.state(layer)[image])]
        expected = plain.whole([*base(), Replace(Place("residual", layer), image, other.state(layer)[image])])
        assert (sabotaged.run(change) - expected).abs().max() < CLOSE


def test_a_change_at_the_last_token_computes_one_row_a_layer(tiny, noise):
    mine, other = passes(tiny("qwen3_vl"), noise)
    rows = []
    hooks = [
        layer.register_forward_pre_hook(lambda _module, args: rows.append(args[0].shape[1]))
        for layer in mine._places.layers
    ]
    mine.run([Replace(Place("residual", 1), [mine.length - 1], other.state(1)[-1:])])
    [hook.remove() for hook in hooks]
    assert rows == [1] * (mine.layers - 1)


def test_a_pass_can_be_run_again_only_from_layers_whose_input_was_kept(tiny, wide_case):
    model = tiny()
    some = Replay(model, prompt(model, wide_case), FED, states=(2,))
    some.run([Replace(Place("residual", 2), [0], some.state(2)[:1])])
    with pytest.raises(CaptureError, match="before layer 1 was not kept"):
        some.run([Replace(Place("residual", 1), [0], some.state(2)[:1])])


@pytest.mark.parametrize("generation", ["qwen2_vl", "qwen3_vl", "qwen4_exp"])
def test_the_memory_of_a_kept_pass_is_what_was_stated(model_of, noise, generation):
    mine, _ = passes(model_of(generation), noise)
    kept = sum(state.nbytes for state in mine._states.values())
    if mine._cache is not None:
        kept += sum(layer.keys.nbytes + layer.values.nbytes for layer in mine._cache.layers)
    stated = Replay.nbytes_of(mine.model, mine.length, mine.layers + 1)
    assert kept <= stated <= 2 * kept


def test_a_pass_stops_when_it_is_cancelled(tiny, wide_case):
    model, stop = tiny(), Event()
    kept = Replay(model, prompt(model, wide_case), FED, cancel=stop)
    stop.set()
    with pytest.raises(Cancelled):
        kept.run([Replace(Place("residual", 0), [0], kept.state(0)[:1])])
