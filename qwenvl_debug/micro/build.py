"""The bundled model before training: its configuration, its tokenizer, and how they are written as a checkpoint.

The folder is an ordinary published one: config.json, model.safetensors, tokenizer.json, chat template and
preprocessor configuration. Nothing about it is special to this project.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import nn
from transformers import GenerationConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration

from qwenvl_debug.micro.words import COLOURS, LANGUAGES, PLACES, QUESTIONS, SHAPES, TOWERS

PATCH, MERGE = 8, 2
CELL = PATCH * MERGE  # pixels per cell of the language model's grid, each way
MIN_CELLS, MAX_CELLS = 100, 150  # a 4:3 picture becomes 10 x 14 cells, a square one 12 x 12

SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
VOCABULARY = 640

# The way Qwen cuts text before byte-pair encoding (letters, single digits, punctuation, spaces).
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.content is string -%}
{{ message.content }}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' or 'image' in part -%}<|vision_start|><|image_pad|><|vision_end|>
{%- elif 'text' in part -%}{{ part.text }}
{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
"""


def sentences() -> list[str]:
    """Every question and answer the model is taught, which is also what its tokenizer is fitted to."""
    lines = [
        "user\n",
        "assistant\n",
        "system\n",
        "You are a helpful assistant.",
        "a picture of the ",
        "一张图：",
        "一只猫",
        "a cat ",
    ]
    for (task, language), wordings in QUESTIONS.items():
        fill = {"colour": SHAPES, "shape": COLOURS}.get(task)
        n = LANGUAGES.index(language)
        for wording in wordings:
            lines += [wording.format(word[n]) for word in fill.values()] if fill else [wording]
    for table in (TOWERS, PLACES, SHAPES, COLOURS):
        for english, chinese in table.values():
            lines += [english, chinese, f"a {english} and a {english}", f"{chinese}的和{chinese}"] * 3
    return lines


def fitted_text() -> list[str]:
    """The sentences as the tokenizer is fitted to them: Chinese cut into short pieces, so that it stays many tokens."""
    pieces = []
    for line in sentences():
        if line.isascii():
            pieces.append(line)
        else:
            pieces += re.findall(r"颜色|什么|哪里|桌子|形状|[^\x00-\x7f]|[\x00-\x7f]+", line)
    return pieces


def tokenizer() -> Tokenizer:
    """A byte-level BPE tokenizer in Qwen's manner: any text can be encoded, the taught words in few tokens."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(fitted_text(), trainer)
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    return made


def configuration(tokens: Tokenizer) -> Qwen3VLConfig:
    """Qwen3-VL, small: vision 4 layers x 96, language 5 layers x 160, grouped-query attention, deepstack."""
    return Qwen3VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 160,
            "intermediate_size": 416,
            "num_hidden_layers": 5,
            "num_attention_heads": 6,
            "num_key_value_heads": 2,
            "head_dim": 32,
            "max_position_embeddings": 4096,
            "tie_word_embeddings": True,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [6, 5, 5],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 4,
            "hidden_size": 96,
            "intermediate_size": 288,
            "num_heads": 4,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": 2,
            "out_hidden_size": 160,
            "num_position_embeddings": 400,
            "deepstack_visual_indexes": [1],
        },
        tie_word_embeddings=True,
        image_token_id=tokens.token_to_id("<|image_pad|>"),
        video_token_id=tokens.token_to_id("<|video_pad|>"),
        vision_start_token_id=tokens.token_to_id("<|vision_start|>"),
        vision_end_token_id=tokens.token_to_id("<|vision_end|>"),
    )


def fresh_model(tokens: Tokenizer, seed: int) -> Qwen3VLForConditionalGeneration:
    """The untrained model, weights drawn with a spread of 1/sqrt(inputs): 0.02 is too small at this width."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(configuration(tokens))
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv3d):
            spread = 1 / math.sqrt(module.weight[0].numel())
            if name.endswith(("o_proj", "down_proj", "attn.proj", "mlp.linear_fc2")):
                spread /= 2  # each layer adds a little to the stream
            nn.init.normal_(module.weight, std=spread)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    width = model.config.text_config.hidden_size
    nn.init.normal_(model.model.language_model.embed_tokens.weight, std=1 / math.sqrt(width))
    nn.init.normal_(model.model.visual.pos_embed.weight, std=0.3)
    model.tie_weights()
    return model


def write_checkpoint(model: Qwen3VLForConditionalGeneration, tokens: Tokenizer, folder: Path) -> None:
    """Writes the checkpoint folder as the hub would hold it."""
    folder.mkdir(parents=True, exist_ok=True)
    stop = tokens.token_to_id("<|im_end|>")
    pad = tokens.token_to_id("<|endoftext|>")
    model.generation_config = GenerationConfig(
        eos_token_id=[stop, pad], pad_token_id=pad, do_sample=False, max_new_tokens=48
    )
    model.save_pretrained(folder, safe_serialization=True)
    tokens.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    for name, content in {
        "tokenizer_config.json": {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "bos_token": None,
            "additional_special_tokens": list(SPECIALS[1:]),
            "model_max_length": 4096,
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
            "errors": "replace",
        },
        "preprocessor_config.json": {
            "image_processor_type": "Qwen2VLImageProcessorFast",
            "patch_size": PATCH,
            "merge_size": MERGE,
            "temporal_patch_size": 2,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
            "size": {"shortest_edge": MIN_CELLS * CELL**2, "longest_edge": MAX_CELLS * CELL**2},
        },
    }.items():
        (folder / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
