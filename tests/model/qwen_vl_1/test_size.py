"""Has the model of the published configuration the published number of weights, under the published names?"""

import pytest
import torch

from qwenvl_debug.model.qwen_vl_1.configuration import QWenConfig
from qwenvl_debug.model.qwen_vl_1.modelling import QWenLMHeadModel

# config.json of Qwen/Qwen-VL-Chat, the figures that sizes follow from.
PUBLISHED = {
    "model_type": "qwen",
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "kv_channels": 128,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "vocab_size": 151936,
    "no_bias": True,
    "tie_word_embeddings": False,
    "visual": {
        "heads": 16,
        "image_size": 448,
        "image_start_id": 151857,
        "layers": 48,
        "mlp_ratio": 4.9231,
        "output_dim": 4096,
        "patch_size": 14,
        "width": 1664,
    },
}


@pytest.fixture(scope="module")
def network():
    with torch.device("meta"):
        return QWenLMHeadModel(QWenConfig.from_dict(PUBLISHED))


def count(*parts):
    return sum(weight.numel() for part in parts for weight in getattr(part, "parameters", lambda part=part: [part])())


def test_the_parts_have_the_published_number_of_weights(network):
    visual = network.transformer.visual
    assert count(network) == 9_656_935_168
    assert count(visual.attn_pool) == 76_054_528
    assert count(visual.ln_post, visual.proj) == 16_785_408
    assert count(visual) - count(visual.attn_pool, visual.ln_post, visual.proj) == 1_842_770_688
    assert count(network) - count(visual) == 7_721_324_544


def test_there_are_853_tensors_and_nothing_beside_them(network):
    assert len(network.state_dict()) == 853
    assert not list(network.buffers())


def test_the_names_are_the_published_ones(network):
    names = set(network.state_dict())
    for name in (
        "transformer.wte.weight",
        "transformer.h.31.ln_1.weight",
        "transformer.h.31.attn.c_attn.bias",
        "transformer.h.31.attn.c_proj.weight",
        "transformer.h.31.mlp.w1.weight",
        "transformer.h.31.mlp.w2.weight",
        "transformer.h.31.mlp.c_proj.weight",
        "transformer.ln_f.weight",
        "lm_head.weight",
        "transformer.visual.conv1.weight",
        "transformer.visual.positional_embedding",
        "transformer.visual.ln_pre.bias",
        "transformer.visual.proj",
        "transformer.visual.transformer.resblocks.47.attn.in_proj.bias",
        "transformer.visual.transformer.resblocks.47.attn.out_proj.weight",
        "transformer.visual.transformer.resblocks.47.mlp.c_fc.weight",
        "transformer.visual.transformer.resblocks.47.mlp.c_proj.bias",
        "transformer.visual.attn_pool.query",
        "transformer.visual.attn_pool.pos_embed",
        "transformer.visual.attn_pool.kv_proj.weight",
        "transformer.visual.attn_pool.ln_kv.bias",
        "transformer.visual.attn_pool.attn.in_proj_weight",
        "transformer.visual.attn_pool.attn.in_proj_bias",
        "transformer.visual.attn_pool.attn.out_proj.bias",
    ):
        assert name in names
    assert "transformer.h.0.attn.c_proj.bias" not in names
    assert "transformer.visual.attn_pool.kv_proj.bias" not in names


def test_the_resampler_has_heads_of_128(network):
    assert network.transformer.visual.attn_pool.attn.num_heads == 32


def test_a_text_only_qwen_of_the_same_type_is_told_apart():
    with pytest.raises(ValueError, match="text-only Qwen of the first generation"):
        QWenConfig.from_dict({key: value for key, value in PUBLISHED.items() if key != "visual"})


@pytest.mark.parametrize("change", [{"rotary_pct": 0.5}, {"kv_channels": 64}])
def test_what_no_published_checkpoint_has_is_refused(change):
    with pytest.raises(Exception, match=r"rotary_pct|kv_channels"):
        QWenConfig.from_dict(PUBLISHED | change)
