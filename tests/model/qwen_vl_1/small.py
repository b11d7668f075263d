"""A small random checkpoint of the first Qwen-VL, in the files and under the names that the published ones have."""

import base64
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers.convert_slow_tokenizer import bytes_to_unicode

from qwenvl_debug.model.qwen_vl_1.configuration import QWenConfig
from qwenvl_debug.model.qwen_vl_1.modelling import QWenLMHeadModel
from tests.model.tiny import tiny_tokenizer

SPECIAL_BEFORE_IMG = 3 + 205 + 6
"""Conversation, extras and grounding stand before `<img>` in the published order."""


def small_config(seq_length: int = 256, **changes: Any) -> dict[str, Any]:
    """As the published config.json, but small; 256 tokens of a picture alone pass seq_length with the text."""
    ranks = tiny_tokenizer().get_vocab_size() - 8  # less its own special tokens
    return {
        "architectures": ["QWenLMHeadModel"],
        "auto_map": {
            "AutoConfig": "configuration_qwen.QWenConfig",
            "AutoModelForCausalLM": "modeling_qwen.QWenLMHeadModel",
        },
        "attn_dropout_prob": 0.0,
        "bf16": False,
        "fp16": False,
        "hidden_size": 256,
        "initializer_range": 0.02,
        "intermediate_size": 384,
        "kv_channels": 64,
        "layer_norm_epsilon": 1e-06,
        "max_position_embeddings": 8192,
        "model_type": "qwen",
        "no_bias": True,
        "num_attention_heads": 4,
        "num_hidden_layers": 3,
        "rotary_emb_base": 10000,
        "rotary_pct": 1.0,
        "scale_attn_weights": True,
        "seq_length": seq_length,
        "tie_word_embeddings": False,
        "tokenizer_type": "QWenTokenizer",
        "torch_dtype": "float32",
        "transformers_version": "4.31.0",
        "use_cache": True,
        "use_dynamic_ntk": True,
        "use_flash_attn": False,
        "use_logn_attn": True,
        "visual": {
            "heads": 2,
            "image_size": 448,
            "image_start_id": ranks + SPECIAL_BEFORE_IMG,
            "layers": 2,
            "mlp_ratio": 4.9231,
            "output_dim": 256,
            "patch_size": 14,
            "width": 104,
        },
        "vocab_size": 704,
    } | changes


def small_checkpoint(
    folder: Path, *, pickled: bool = True, chat_format: str = "chatml", seed: int = 0, **changes: Any
) -> Path:
    """Write it.

    Args:
        folder: where to; made when missing.
        pickled: three `.bin` shards with their index, as published; else one safetensors file.
        chat_format: "chatml" as Qwen-VL-Chat has, "raw" as Qwen-VL.
        seed: of the weights, which are wide enough that attention is far from even.
        changes: to the configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = small_config(**changes)
    weights = small_weights(config, seed)
    if pickled:
        names = sorted(weights)
        parts = [names[part::3] for part in range(3)]
        files = [f"pytorch_model-{part + 1:05}-of-00003.bin" for part in range(3)]
        for file, part in zip(files, parts, strict=True):
            torch.save({name: weights[name] for name in part}, folder / file)
        where = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        index = {"metadata": {"total_size": sum(w.nbytes for w in weights.values())}, "weight_map": where}
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    else:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    write_ranks(folder / "qwen.tiktoken")
    others = {
        "config.json": config,
        "generation_config.json": {"chat_format": chat_format, "do_sample": True, "top_p": 0.5, "max_new_tokens": 512},
        "tokenizer_config.json": {
            "model_max_length": 8192,
            "tokenizer_class": "QWenTokenizer",
            "auto_map": {"AutoTokenizer": ["tokenization_qwen.QWenTokenizer", None]},
        },
    }
    for name, content in others.items():
        (folder / name).write_text(json.dumps(content))
    # Code that published checkpoints bring along; running it would be noticed.
    for name in ("configuration_qwen.py", "modeling_qwen.py", "tokenization_qwen.py"):
        (folder / name).write_text("raise SystemExit('code of a checkpoint was run')\n")
    return folder


def small_weights(config: dict[str, Any], seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights by their published names, of the size that a trained model's have."""
    torch.manual_seed(seed)
    model = QWenLMHeadModel(QWenConfig.from_dict(config)).eval()
    special = config["visual"]["image_start_id"] - SPECIAL_BEFORE_IMG
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.1)
            elif weight.ndim >= 2:
                alone = ("wte", "positional_embedding", "pos_embed", "query")
                fan_in = 1 if any(part in name for part in alone) else weight[0].numel()
                gain = 1.6 if any(part in name for part in ("c_attn", "in_proj")) else 1.0
                gain *= 0.5 if any(part in name for part in ("c_proj", "out_proj")) else 1.0
                weight.normal_(std=gain * fan_in**-0.5)
        model.lm_head.weight[special:] = 0.0  # a random answer is made of words
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def write_ranks(path: Path) -> dict[bytes, int]:
    """A small `qwen.tiktoken` with the vocabulary of the tiny tokenizer; returns the ranks."""
    byte_of = {character: byte for byte, character in bytes_to_unicode().items()}
    tokenizer = tiny_tokenizer()
    special = {str(token) for token in tokenizer.get_added_tokens_decoder().values()} | {
        token.content for token in tokenizer.get_added_tokens_decoder().values()
    }
    ranks = {
        bytes(byte_of[character] for character in token): rank
        for token, rank in tokenizer.get_vocab().items()
        if token not in special
    }
    ordered = sorted(ranks, key=ranks.get)
    path.write_bytes(b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(ordered)))
    return {token: rank for rank, token in enumerate(ordered)}
