"""Tiny random checkpoints in the format Qwen publishes: what the loader meets, small enough for every test."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForImageTextToText
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5")
"""The generations that differ in how they are fed and read."""

EVERY_FAMILY = (*FAMILIES, "qwen3_vl_moe", "qwen3_5_moe", "qwen4_exp")
"""Every `model_type` that transformers itself has."""

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# Enough text for the merges of common words; rare Chinese characters stay split over several tokens, as in the
# published tokenizers.
CORPUS = (
    "You are a helpful assistant. Which tower is this? This is the Oriental Pearl Tower. It is the Canton Tower.",
    "Where is the cat? The cat is on the table, under the table, left of the table, right of the table.",
    "What colour is the circle? The circle is red, green, blue, yellow. Which shape is red? system user assistant",
    "这是哪座塔？这是东方明珠。这是广州塔。猫在哪里？猫在桌子上面。圆形是什么颜色？红色。",
) * 4

TEMPLATE = """\
{%- if messages[0].role == 'system' %}
{{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- else %}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages if message.role != 'system' %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content is string %}{{- message.content }}
{%- else %}
{%- for part in message.content %}
{%- if part.type == 'image' %}{{- '<|vision_start|><|image_pad|><|vision_end|>' }}
{%- elif part.type == 'video' %}{{- '<|vision_start|><|video_pad|><|vision_end|>' }}
{%- else %}{{- part.text }}
{%- endif %}
{%- endfor %}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
}
MROPE = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 3, 3]}
INTERLEAVED = MROPE | {"mrope_section": [4, 2, 2], "mrope_interleaved": True}
VISION = {"depth": 3, "num_heads": 2, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3}
NEW_VISION = VISION | {"hidden_size": 32, "out_hidden_size": 64, "intermediate_size": 48, "patch_size": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
DELTA = {
    "num_hidden_layers": 5,
    "layer_types": ["linear_attention", "full_attention", "linear_attention", "linear_attention", "full_attention"],
    "head_dim": 32,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 16,
    "linear_value_head_dim": 16,
    "rope_parameters": INTERLEAVED | {"mrope_section": [2, 1, 1], "partial_rotary_factor": 0.25},
}

CONFIG = {
    "qwen2_vl": (
        TEXT | {"rope_parameters": MROPE},
        VISION | {"embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2, "patch_size": 14},
    ),
    "qwen2_5_vl": (
        TEXT | {"rope_parameters": MROPE},
        # Windows of 4 x 4 patches, every layer but the second.
        NEW_VISION | {"patch_size": 14, "window_size": 56, "fullatt_block_indexes": [1]},
    ),
    "qwen3_vl": (
        TEXT | {"head_dim": 16, "rope_parameters": INTERLEAVED},
        NEW_VISION | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
    ),
    "qwen3_vl_moe": (
        TEXT | EXPERTS | {"head_dim": 16, "rope_parameters": INTERLEAVED},
        NEW_VISION | {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]},
    ),
    "qwen3_5": (TEXT | DELTA, NEW_VISION | {"num_position_embeddings": 64}),
    "qwen4_exp": (
        # Blocks of 2 tokens, of which a row looks at the best 4: far fewer than a prompt has.
        TEXT
        | DELTA
        | EXPERTS
        | {"shared_expert_intermediate_size": 32, "hc_count": 2, "hc_lowrank": 8, "indexer_n_heads": 2}
        | {"indexer_kv_heads": 1, "indexer_head_dim": 16, "indexer_budget": 8, "indexer_compress_ratio": 2},
        NEW_VISION | {"num_position_embeddings": 64},
    ),
    "qwen3_5_moe": (
        TEXT | DELTA | EXPERTS | {"shared_expert_intermediate_size": 32},
        NEW_VISION | {"num_position_embeddings": 64},
    ),
}


def tiny_checkpoint(
    folder: str | Path,
    family: str = "qwen3_vl",
    seed: int = 0,
    *,
    text: Mapping[str, Any] | None = None,
    vision: Mapping[str, Any] | None = None,
    most_cells: int = 144,
    tokenizer: Tokenizer | None = None,
) -> Path:
    """Write a tiny random checkpoint of a family in the published format.

    Args:
        folder: where to write; made when missing.
        family: a `model_type`, see `FAMILIES`.
        seed: of the random weights, which are wide enough that attention is far from uniform.
        text: changes to the language model's configuration, for one that is not tiny.
        vision: changes to the vision tower's configuration.
        most_cells: larger pictures are reduced to this many cells.
        tokenizer: in place of `tiny_tokenizer`.

    Returns:
        The folder, for `load_model`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer or tiny_tokenizer()
    ids = {token: tokenizer.token_to_id(token) for token in SPECIAL}
    text, vision = CONFIG[family][0] | dict(text or {}), CONFIG[family][1] | dict(vision or {})
    special = {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    ends = {"eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"]}
    text = text | ends | {"bos_token_id": None, "vocab_size": tokenizer.get_vocab_size(), "tie_word_embeddings": False}
    config = AutoConfig.for_model(family, text_config=text, vision_config=vision, tie_word_embeddings=False, **special)
    torch.manual_seed(seed)
    model = AutoModelForImageTextToText.from_config(config).eval()
    _spread(model, list(ids.values()))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    files = {
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 4096,
            "split_special_tokens": False,
        },
        "preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessor",
            "patch_size": vision["patch_size"],
            "temporal_patch_size": 2,
            "merge_size": 2,
            "size": {
                "shortest_edge": 4 * 4 * vision["patch_size"] ** 2,
                "longest_edge": most_cells * 4 * vision["patch_size"] ** 2,
            },
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
        "generation_config.json": ends | {"do_sample": True, "temperature": 0.7, "repetition_penalty": 1.05},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=2))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@cache
def tiny_tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer built like Qwen's, with a few hundred tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=440, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return tokenizer


def _spread(model: torch.nn.Module, special: list[int]) -> None:
    """Weights of the size a trained model has: with the default 0.02 all attention would be nearly uniform.

    The special tokens get no logit, so that a random answer is made of words and runs to its full length.
    """
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2:
                gain = 1.2 if any(part in name for part in ("q_proj", "k_proj", "qkv.")) else 1.0
                # What a layer adds is smaller than what it is added to, or rounding would grow from layer to layer.
                gain *= 0.5 if any(part in name for part in ("o_proj", "out_proj", "down_proj", "linear_attn")) else 1.0
                fan_in = 1 if "embed_tokens" in name or "pos_embed" in name else weight[0].numel()
                if "experts" in name:
                    gain *= 0.3  # several of them are added up
                    fan_in = weight.shape[-1]
                weight.normal_(std=gain * fan_in**-0.5)
            elif "q_norm" in name or "k_norm" in name:
                weight += 0.2  # gains of 1.2; a family may store them less 1
            elif name.endswith("bias"):
                weight.normal_(std=0.1)
        model.lm_head.weight[special] = 0.0
