"""Does the self-check pass for a sound model, and fail when what is captured is wrong?"""

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.model import Trace, VisionTrace, load_model
from qwenvl_debug.model.capture import ATTENTION
from qwenvl_debug.model.run_checks import Check
from qwenvl_debug.model.selfcheck import check
from tests.model.tiny import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_sound_model_passes(family, tiny, noise):
    model = tiny(family)
    found = check(model, Case([noise(150, 90), noise(60, 60)], "Which tower?"), max_new_tokens=5)
    assert found.ok
    assert found.same_answer
    assert found.max_error_language < 1e-5
    assert found.max_error_vision < 1e-5
    assert (found.layers, found.vision_layers) == (len(model.layers_with_maps), 3)
    assert model.network.config.get_text_config()._attn_implementation == ATTENTION
    assert model.network.config.vision_config._attn_implementation == ATTENTION


def test_a_model_in_sixteen_bits_passes(checkpoint, wide_case):
    found = check(load_model(checkpoint("qwen2_5_vl"), dtype="bfloat16"), wide_case, max_new_tokens=5)
    assert found.ok
    assert found.max_error_language < 1e-5


@pytest.mark.parametrize("kind", [Trace, VisionTrace])
def test_wrong_weights_fail(kind, tiny, wide_case, monkeypatch):
    right = kind.weights
    monkeypatch.setattr(kind, "weights", lambda *args, **kwargs: np.roll(right(*args, **kwargs), 1, axis=-1))
    found = check(tiny(), wide_case, max_new_tokens=3)
    assert not found.ok
    assert found.same_answer


@pytest.mark.parametrize("kind", [Trace, VisionTrace])
def test_weights_that_are_not_numbers_fail(kind, tiny, wide_case, monkeypatch):
    """A tower that overflows in 16 bits leaves such: they are not passed over for the numbers beside them."""
    right = kind.weights

    def broken(self, layer, *args, **kwargs):
        return right(self, layer, *args, **kwargs) * (np.nan if layer == 1 else 1)

    monkeypatch.setattr(kind, "weights", broken)
    monkeypatch.setattr("qwenvl_debug.model.selfcheck.run_checks", lambda _: ())
    found = check(tiny(), wide_case, max_new_tokens=3)
    assert np.isnan(found.max_error_language if kind is Trace else found.max_error_vision)
    assert not found.ok


def test_another_answer_fails(tiny, wide_case, monkeypatch):
    monkeypatch.setattr(type(tiny()), "plain", lambda *_: [1, 2, 3])
    assert not check(tiny(), wide_case, max_new_tokens=3).ok


def test_a_run_that_cannot_be_right_fails(tiny, wide_case, monkeypatch):
    wrong = (Check("pictures", False, "picture 0 has 3 tokens for 2 x 2 cells"),)
    monkeypatch.setattr("qwenvl_debug.model.selfcheck.run_checks", lambda _: wrong)
    found = check(tiny(), wide_case, max_new_tokens=2)
    assert not found.ok
    assert found.checks == wrong


def test_the_bundled_model_passes(noise):
    model = load_model("micro")
    found = check(model, Case(noise(190, 130), "Which tower is this? 这是哪座塔？"), max_new_tokens=5)
    assert found.ok
    assert max(found.max_error_language, found.max_error_vision) < 1e-5
    assert (found.layers, found.vision_layers) == (model.n_layers, model.vision_depth)
