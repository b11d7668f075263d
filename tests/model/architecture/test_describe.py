"""A description holds against closed forms, against loaded models, and against what a run captures."""

import json

import numpy as np
import pytest
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.architecture import Architecture, describe, described, flow, record, token_budget
from qwenvl_debug.model.inputs import prompt
from tests.model.qwen_vl_1.small import small_checkpoint
from tests.model.tiny import EVERY_FAMILY

SEES = {"model_type": "qwen3_vl", "vision_config": {}}


def test_each_component_of_a_published_model_has_the_weights_of_its_closed_form(recounted):
    one = recounted["Qwen/Qwen2.5-VL-3B-Instruct"]
    wide, inner, keys, tower, mlp = 2048, 11008, 2 * 128, 1280, 3420
    expected = {
        "vision.patches": tower * 3 * 2 * 14 * 14,
        "vision.attention": 32 * (tower * 3 * tower + 3 * tower + tower * tower + tower),
        "vision.mlp": 32 * (2 * (tower * mlp + mlp) + mlp * tower + tower),
        "vision.norms": 32 * 2 * tower,
        "connector.merger": tower + (4 * tower) ** 2 + 4 * tower + 4 * tower * wide + wide,
        "language.embedding": 151936 * wide,
        "language.attention": 36 * (wide * wide + wide + 2 * (wide * keys + keys) + wide * wide),
        "language.mlp": 36 * 3 * wide * inner,
        "language.norms": 36 * 2 * wide + wide,
        "language.head": 0,
    }
    assert {component.key: component.parameters for component in one.components} == expected
    assert one.tied


def test_a_token_of_a_mixture_goes_through_its_chosen_experts_only(recounted):
    one = recounted["Qwen/Qwen3-VL-30B-A3B-Instruct"]
    expert = 3 * 2048 * 768
    assert one.component("language.experts").parameters == 48 * 128 * expert
    assert one.active == one.total - 48 * (128 - 8) * expert
    dense = recounted["Qwen/Qwen3-VL-8B-Instruct"]
    assert dense.active == dense.total


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_a_loaded_model_is_counted_as_its_configuration_alone_is(family, checkpoint, tiny, tmp_path):
    folder = tmp_path / "only_config"
    folder.mkdir()
    for file in ("config.json", "preprocessor_config.json"):
        (folder / file).write_bytes((checkpoint(family) / file).read_bytes())
    bare, loaded = describe(folder, name="x"), describe(tiny(family), name="x")
    weights = {weight.data_ptr(): weight.numel() for weight in tiny(family).network.parameters()}
    assert bare.total == loaded.total == sum(weights.values())
    assert bare.components == loaded.components
    assert (bare.origin, loaded.origin) == ("config", "loaded model")
    assert (bare.rules.least, bare.rules.most) == (loaded.rules.least, loaded.rules.most)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_the_listed_attention_has_the_maps_and_the_shapes_that_a_run_captures(family, tiny, noise):
    model = tiny(family)
    one = describe(model)
    case = Case(noise(150, 90), "Which tower is this?")
    blocks = range(model.vision_depth)
    run = model.ask(case, max_new_tokens=1, vision_layers=tuple(blocks))
    budget = token_budget(one.rules, 150, 90)
    assert (budget.rows, budget.cols) == (run.grids[0].rows, run.grids[0].cols)
    prompt = run.last_prompt + 1
    modules = one.modules(budget, prompt - budget.tokens)

    language = [module for module in modules if module.part == "language"]
    assert [module.layer for module in language if module.has_map] == list(run.trace.layers)
    assert len(language) == run.trace.n_layers
    for module in language:
        assert module.weights == ((module.heads, prompt, prompt) if module.has_map else None)
        assert model.network.get_submodule(module.name) is not None

    vision = {module.layer: module for module in modules if module.part == "vision"}
    for block in blocks:
        weights = run.vision[0].weights(block)
        assert weights.shape[0] == vision[block].heads
        seen = np.unique(weights[0] > 0, axis=0)  # patches of one window see the same patches
        if vision[block].kind == "vision windowed":
            assert vision[block].weights == (len(seen), vision[block].heads, *(int(seen.sum(axis=1).max()),) * 2)
        else:
            assert len(seen) == 1
            assert vision[block].weights == weights.shape


def test_the_first_generation_has_the_parts_that_were_counted_on_the_original(recounted):
    one = recounted["Qwen/Qwen-VL"]
    assert one.part_parameters("vision") == 1_842_770_688
    assert one.component("connector.resampler").parameters == 76_054_528
    assert one.component("connector.projection").parameters == 16_785_408
    assert one.part_parameters("language") == 7_721_324_544
    resampler = [group for group in one.attention if group.part == "connector"]
    assert [(group.kind, group.heads, group.head_width) for group in resampler] == [
        ("resampler cross-attention", 32, 128)
    ]
    budget = token_budget(one.rules, 1920, 1080)
    assert resampler[0].weights(budget, 32) == (32, 256, 1024)


def test_the_first_generation_lists_the_weights_that_its_eager_attention_returns(tmp_path, noise):
    model = load_model(small_checkpoint(tmp_path / "chat"))
    one = describe(model)
    budget = token_budget(one.rules, 150, 90)
    asked = prompt(model, Case(noise(150, 90), "Which tower is this?"))
    feed = asked.feed(torch.device("cpu"))
    with model.turn(), model.attention("eager"), torch.no_grad():
        language = model.network(**feed, output_attentions=True).attentions
        tower = model.network.transformer.visual(feed["pixel_values"], output_attentions=True)
    returned = [*tower.attentions, tower.cross_attentions[0], *language]
    modules = one.modules(budget, len(asked.ids) - budget.tokens)
    assert [module.weights for module in modules] == [tuple(weights.shape[1:]) for weights in returned]
    assert all(module.has_map for module in modules)


def test_each_language_layer_has_the_heads_that_eager_attention_returns(tiny):
    model = tiny("qwen3_5")
    one = describe(model)
    full = [group for group in one.attention if group.kind == "language full"]
    linear = [group for group in one.attention if group.kind == "linear"]
    assert [group.layers for group in full] == [(1, 4)]
    assert [group.layers for group in linear] == [(0, 2, 3)]
    assert not linear[0].has_map
    assert one.layer_kinds("language") == ("linear", "language full", "linear", "linear", "language full")
    assert full[0].kv_heads == 2


def test_the_flow_has_the_shortcut_of_deepstack_only_where_its_weights_are(recounted):
    for name, one in recounted.items():
        drawn = flow(one, token_budget(one.rules, 640, 480))
        assert (drawn.block("deepstack") is not None) == ("Qwen3-VL" in name)
        keys = {block.key for block in drawn.blocks}
        assert {edge.source for edge in drawn.edges} | {edge.target for edge in drawn.edges} == keys
        inside = sum(block.parameters for block in drawn.blocks if block.parameters)
        assert inside == one.total
    drawn = flow(recounted["Qwen/Qwen3-VL-8B-Instruct"], token_budget(one.rules, 640, 480))
    assert drawn.edge("vision", "deepstack").label == "after blocks 8, 16, 24"
    assert drawn.edge("deepstack", "decoder").label == "added after layers 0, 1, 2"


def test_a_description_survives_json():
    one = described("Qwen/Qwen3.5-35B-A3B")
    assert Architecture.from_dict(json.loads(json.dumps(one.to_dict()))) == one
    made = json.loads(json.dumps(record(one, token_budget(one.rules, 640, 480), 32)))
    assert made["picture"]["tokens"] == 300
    assert len(made["attention_modules"]) == 27 + 40


def test_a_folder_without_picture_settings_says_whose_limits_it_shows(checkpoint, tmp_path):
    (tmp_path / "config.json").write_bytes((checkpoint("qwen3_vl") / "config.json").read_bytes())
    assert "gives none" in describe(tmp_path).rules.limits


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model_type": "qwen2"}, "text-only"),
        ({"model_type": "llava"}, "not supported"),
        (SEES | {"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers"),
        (SEES | {"text_config": {"num_attention_heads": "many"}}, "num_attention_heads"),
        (SEES | {"text_config": {"layer_types": ["of no kind"]}}, "no network can be built"),
    ],
)
def test_a_configuration_that_cannot_be_described_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ModelLoadError, match=sentence):
        describe(change)


def test_only_allowed_models_are_read_from_disk(monkeypatch, checkpoint):
    monkeypatch.setenv("QWENVL_DEBUG_MODELS", "micro")
    with pytest.raises(ModelLoadError, match="not among the models allowed"):
        describe(checkpoint("qwen3_vl"))
    assert describe("Qwen/Qwen2-VL-2B-Instruct").total == 2_208_985_600
