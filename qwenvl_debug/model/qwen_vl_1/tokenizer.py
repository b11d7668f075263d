"""The tokenizer of the first Qwen-VL, read from its own file `qwen.tiktoken`.

The file lists byte strings by rank, one a line: base64, a space, the rank. Byte-pair encoding always joins the two
neighbours whose union has the lowest rank. The `tokenizers` library does the same from a list of joins in order, so
each entry is taken apart once in every way that leaves two entries, and the joins are sorted by the rank of what they
make. No further package is needed for that.
"""

from __future__ import annotations

import base64
import binascii
import os
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from transformers import TokenizersBackend
from transformers.convert_slow_tokenizer import bytes_to_unicode

FILE = "qwen.tiktoken"

# How text is cut before pairs are joined; the same as in later generations.
CUTS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<|extra_{n}|>" for n in range(205)))
GROUNDING = ("<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>")
PICTURE = ("<img>", "</img>", "<imgpad>")

CHATML = """\
{%- set pictures = namespace(count=0) %}
{%- if messages[0].role != 'system' %}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
{{- '<|im_start|>' + message.role + '\\n' }}
{%- if message.content is string %}
{{- message.content }}
{%- else %}
{%- for part in message.content %}
{%- if part.type == 'image' %}
{%- set pictures.count = pictures.count + 1 %}
{{- 'Picture ' ~ pictures.count ~ ': <img><imgpad></img>\\n' }}
{%- else %}
{{- part.text }}
{%- endif %}
{%- endfor %}
{%- endif %}
{{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
"""The conversation as Qwen-VL-Chat was tuned on. One `<imgpad>` stands for a picture's 256."""

RAW = """\
{%- set pictures = namespace(count=0) %}
{%- for message in messages %}
{%- if message.content is string %}
{{- message.content }}
{%- else %}
{%- for part in message.content %}
{%- if part.type == 'image' %}
{%- set pictures.count = pictures.count + 1 %}
{{- 'Picture ' ~ pictures.count ~ ': <img><imgpad></img>\\n' }}
{%- else %}
{{- part.text }}
{%- endif %}
{%- endfor %}
{%- endif %}
{%- if not loop.last %}
{{- '\\n' }}
{%- endif %}
{%- endfor %}
"""
"""Text to go on with, for Qwen-VL, which was not tuned to converse (`chat_format` "raw")."""


class QWenTokenizer(TokenizersBackend):
    """Byte-level pairs, and the special tokens after them, under the name that published checkpoints give.

    The markers of grounding (`<ref>`, `<box>`, `<quad>`) are text that a person reads and may write: they are encoded
    as the one token they are wherever they stand, and stay when special tokens are left out of a decoded text. The
    markers of a picture and of the conversation are special.

    Args:
        vocab_file: the path of `qwen.tiktoken`.
        kwargs: as every transformers tokenizer.

    Raises:
        ValueError: the file is missing or is something else.
    """

    vocab_files_names = {"vocab_file": FILE}  # noqa: RUF012 - transformers' own way to declare it
    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012
    model = BPE

    def __init__(self, vocab_file: str | os.PathLike[str] | None = None, **kwargs: Any) -> None:
        if vocab_file is None or not Path(vocab_file).is_file():
            raise ValueError(f"The tokenizer of a first-generation Qwen-VL lies in a file {FILE}; it is missing.")
        self._tokenizer = build(read_ranks(vocab_file))
        # The file of the published tokenizer names none of these.
        defaults = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": CHATML}
        kwargs.pop("tokenizer_file", None)  # a tokenizer.json made by somebody else is not the published one
        kwargs = {"bos_token": None, "unk_token": None, **kwargs}
        kwargs |= {name: value for name, value in defaults.items() if kwargs.get(name) is None}
        super().__init__(vocab_file=os.fspath(vocab_file), **kwargs)

    @classmethod
    def convert_to_native_format(cls, trust_remote_code: bool = False, **kwargs: Any) -> dict[str, Any]:
        """Leave the file to `__init__`; transformers would look for another format in it."""
        return kwargs

    def save_vocabulary(self, save_directory: str | os.PathLike[str], filename_prefix: str | None = None) -> tuple[str]:
        """Write `qwen.tiktoken` again, as it was read.

        Returns:
            Its path.
        """
        path = Path(save_directory) / f"{filename_prefix + '-' if filename_prefix else ''}{FILE}"
        path.write_bytes(Path(self.vocab_file).read_bytes())
        return (str(path),)

    def _save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        file_names: tuple[str, ...],
        legacy_format: bool | None = None,
        filename_prefix: str | None = None,
    ) -> tuple[str, ...]:
        """Save the published file and no other that could say something else."""
        return file_names + self.save_vocabulary(save_directory, filename_prefix)


def read_ranks(path: str | os.PathLike[str]) -> dict[bytes, int]:
    """The byte strings of a `qwen.tiktoken`, with their ranks 0, 1, 2…

    Raises:
        ValueError: the file is something else, leaves out a rank, or lacks one of the 256 bytes.
    """
    try:
        lines = (line.split() for line in Path(path).read_bytes().splitlines() if line)
        ranks = {base64.b64decode(token, validate=True): int(rank) for token, rank in lines}
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{Path(path).name} is not a list of base64 and ranks.") from error
    if sorted(ranks.values()) != list(range(len(ranks))) or any(bytes([byte]) not in ranks for byte in range(256)):
        raise ValueError(f"{Path(path).name} is incomplete: it must hold every byte and every rank.")
    return ranks


def build(ranks: dict[bytes, int]) -> Tokenizer:
    """The encoder for byte strings with ranks, followed by the special tokens in their published order."""
    spelled = {token: _spell(token) for token in ranks}
    joins = []
    for token, rank in ranks.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in ranks and right in ranks:
                joins.append((rank, ranks[left], ranks[right], spelled[left], spelled[right]))
    vocabulary = {spelled[token]: rank for token, rank in ranks.items()}
    merges = [(left, right) for *_, left, right in sorted(joins)]
    # A piece of text that is an entry itself is that entry, without joining: tiktoken does so.
    tokenizer = Tokenizer(BPE(vocabulary, merges, fuse_unk=False, ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CUTS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(
        [
            AddedToken(token, special=token not in GROUNDING, normalized=False)
            for token in (*CONTROLS, *GROUNDING, *PICTURE)
        ]
    )
    return tokenizer


def _spell(token: bytes) -> str:
    """The bytes as the printable characters that byte-level vocabularies are written in."""
    characters = _characters()
    return "".join(characters[byte] for byte in token)


@cache
def _characters() -> dict[int, str]:
    return bytes_to_unicode()
