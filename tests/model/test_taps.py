"""Does an intervention change exactly what it says, in every generation, and never silently nothing?"""

import threading
from contextlib import suppress

import pytest
import torch

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.bias import Bias
from qwenvl_debug.model.tapping import tapping
from qwenvl_debug.model.taps import BiasTap, HeadTap, Observer, Place, Replace, ReplaceFeatures, ReplacePatches, Scale
from tests.model.places import FIRST, GENERATIONS, models, passes


@pytest.fixture(scope="session")
def model_of(tiny, tmp_path_factory):
    return models(tiny, tmp_path_factory)


def all_states(source, layer):
    """Everything that a pass had before a layer, put in place of another's."""
    whole = [Replace(Place("residual", layer), range(source.length), source.state(layer))]
    image = ReplaceFeatures(range(len(source.image)), source.features, int(source.image[0]), after=layer)
    return [*whole, image] if source.features.deepstack else whole


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_pass_patched_with_its_own_values_is_the_same_to_the_bit(model_of, noise, generation):
    mine, _ = passes(model_of(generation), noise)
    plain = mine.whole([])
    for layer in range(mine.layers + 1):
        assert torch.equal(mine.whole(all_states(mine, layer)), plain)
    features = ReplaceFeatures(range(len(mine.image)), mine.features, int(mine.image[0]))
    assert torch.equal(mine.whole([features]), plain)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_patching_everything_gives_the_other_run(model_of, noise, generation):
    mine, other = passes(model_of(generation), noise)
    assert (mine.logits - other.logits).abs().max() > 1e-3
    for layer in range(mine.layers + 1):
        assert (mine.whole(all_states(other, layer)) - other.logits).abs().max() < 1e-5


@pytest.mark.parametrize("generation", GENERATIONS)
def test_patching_merged_features_alone_leaks_where_there_is_deepstack(model_of, noise, generation):
    mine, other = passes(model_of(generation), noise)
    merged = [Replace(Place("residual", 0), mine.image.tolist(), other.state(0)[mine.image])]
    leak = (mine.whole(merged) - other.logits).abs().max()
    if mine.features.deepstack:
        assert leak > 1e-4
    else:
        assert leak < 1e-5


@pytest.mark.parametrize("generation", GENERATIONS)
def test_patches_agree_with_plain_pytorch_hooks(model_of, noise, generation):
    """The same patches written independently, by hooks on transformers' own modules."""
    model = model_of(generation)
    mine, other = passes(model, noise)
    places = model.generation.places(model.network)
    positions = mine.image[2:7].tolist()
    layer = mine.layers - 1
    kept = {}

    def keep(name):
        def hook(_module, _args, output):
            kept[name] = output[0] if isinstance(output, tuple) else output

        return hook

    def put(name):
        def hook(_module, _args, output):
            value = (output[0] if isinstance(output, tuple) else output).clone()
            value[:, positions] = kept[name][:, positions]
            return (value, *output[1:]) if isinstance(output, tuple) else value

        return hook

    modules = {"attention_output": places.mixers[layer], "mlp_output": places.mlps[layer], "norm": places.norm}
    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    other.whole([])
    [hook.remove() for hook in hooks]
    for name, module in modules.items():
        hook = module.register_forward_hook(put(name))
        expected = mine.whole([])
        hook.remove()
        place = Place(name, None if name == "norm" else layer)
        changed = mine.whole([Replace(place, positions, kept[name][0, positions])])
        assert torch.equal(changed, expected)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_an_observer_changes_nothing(model_of, noise, generation):
    mine, _ = passes(model_of(generation), noise)
    seen = []
    soft = min(mine._places.softmax)
    watchers = [
        Observer(place, lambda value, rows: seen.append(rows))
        for place in (Place("residual", 1), Place("attention", soft), Place("mlp_output", 0), Place("encoder"))
    ]
    assert torch.equal(mine.whole(watchers), mine.whole([]))
    assert len(seen) == 4
    assert all(tap.acted == 1 for tap in watchers)


def test_patch_features_of_a_resampler_are_patched_where_it_reads_them(model_of, noise):
    mine, other = passes(model_of(FIRST), noise)
    kept = []
    other.whole([Observer(Place("patches"), lambda value, rows: kept.append(value))])
    everything = range(kept[0].shape[1])
    changed = mine.whole([ReplacePatches(0, everything, kept[0][0])])
    assert (changed - other.logits).abs().max() < 1e-5
    some = mine.whole([ReplacePatches(0, [5, 6, 7], kept[0][0, 5:8])])
    assert 1e-6 < (some - mine.logits).abs().max() < (other.logits - mine.logits).abs().max()


@pytest.mark.parametrize(
    ("place", "words"),
    [(Place("residual", 99), "residual 99"), (Place("resampler"), "resampler"), (Place("attention", 0), "attention 0")],
)
def test_a_place_that_does_not_exist_is_refused(tiny, noise, place, words):
    mine, _ = passes(tiny("qwen3_5"), noise)  # whose layer 0 is linear
    with pytest.raises(CaptureError, match=f"no place “{words}”"):
        mine.whole([Observer(place, lambda value, rows: None)])


def test_a_tap_that_acts_on_less_than_it_must_fails_loudly(tiny, noise):
    mine, _ = passes(tiny(), noise)
    beyond = Replace(Place("residual", 1), [mine.length - 1, mine.length + 3], mine.state(1)[-2:])
    with pytest.raises(CaptureError, match="acted on 1 of 2 positions"):
        mine.whole([beyond])
    with pytest.raises(CaptureError, match="acted on 1 of 2 positions"):
        mine.run([Replace(Place("residual", 1), [mine.length - 1, mine.length + 3], mine.state(1)[-2:])])


def test_an_intervention_reaches_the_tokens_that_are_generated(tiny, wide_case):
    """While it generates, the network is fed one token at a time; a change of all rows must meet each of them."""
    model = tiny()
    plain = model.ask(wide_case, max_new_tokens=6)

    class Off:
        def taps(self, model, asked):
            return [HeadTap(1, (0, 1)), Scale(Place("mlp_output", 2), 0.0)]

        def to_dict(self):
            return {"kind": "off"}

    changed = model.ask(wide_case, max_new_tokens=6, interventions=[Off()])
    assert changed.interventions
    ids = [token.id for token in changed.tokens if token.kind in ("answer", "end")]
    again = changed.force(changed.answer)
    assert again.interventions == changed.interventions
    fed = model.ask(wide_case, target=ids[:-1] if changed.tokens[-1].kind == "end" else ids, interventions=[Off()])
    assert [token.probability for token in fed.tokens if token.kind == "answer"] == pytest.approx(
        [token.probability for token in changed.tokens if token.kind == "answer"], abs=1e-5
    )
    assert [token.id for token in plain.tokens] == [token.id for token in model.ask(wide_case, max_new_tokens=6).tokens]


def test_nothing_is_left_behind_after_an_error(tiny, noise):
    model = tiny()
    mine, _ = passes(model, noise)

    def fail(value, rows):
        raise RuntimeError("planned")

    with pytest.raises(RuntimeError, match="planned"):
        mine.whole([Observer(Place("residual", 1), fail)])
    modules = list(model.network.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in modules)
    assert torch.equal(mine.whole([]), mine.whole([]))


def test_another_thread_does_not_see_the_taps_of_this_one(tiny, noise):
    model = tiny()
    mine, _ = passes(model, noise)
    plain, found = mine.whole([]), []

    def ask():
        feed = mine.asked.feed(model.device, more=mine.fed)
        with torch.no_grad():  # past the turn that all of this program's passes take
            found.append(model.network(**feed, use_cache=False, logits_to_keep=1).logits[0])

    with tapping(model.network, model.generation, []) as active:
        assert active.attention == {}
    zero = [BiasTap(Bias(1, tuple(mine.image.tolist()), 0.0, mine.length - 1)), Scale(Place("mlp_output", 1), 0.0)]
    thread = threading.Thread(target=ask)
    with suppress(CaptureError), tapping(model.network, model.generation, zero):  # they never act, and say so
        thread.start()
        thread.join()
    assert torch.equal(found[0], plain)
