"""What each token of a sequence says: byte-level tokens split characters, so text belongs to groups of tokens.

A byte-level tokenizer may spread one Chinese character over several tokens, and a token may end one character and
begin the next. So tokens are read as bytes, and a group ends where the bytes so far are whole characters.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from functools import cache

from transformers import PreTrainedTokenizerBase
from transformers.convert_slow_tokenizer import bytes_to_unicode


def spell(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], breaks: Sequence[int] = ()) -> list[tuple[str, int]]:
    """Text and group of each token.

    Args:
        tokenizer: a byte-level BPE tokenizer.
        ids: the sequence.
        breaks: indices where a group must not reach across (where the question begins, and so on).

    Returns:
        (text, index of the group's first token) per token; the first token of a group has its text, the others "".
        Bytes that never become a character read as U+FFFD.
    """
    spelled: list[tuple[str, int]] = []
    raw, added = _bytes(tokenizer, ids), tokenizer.added_tokens_decoder
    stops = {*breaks, len(ids)}
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, first = "", 0
    for index in range(len(ids)):
        text += decoder.decode(raw[index])
        following = b"" if index + 1 in stops or ids[index + 1] in added else raw[index + 1]
        # Only a byte 10xxxxxx continues a character; anything else leaves it broken for good.
        continued = bool(following) and following[0] >> 6 == 0b10
        if decoder.getstate()[0] and continued:
            continue
        text += decoder.decode(b"", final=True)
        decoder.reset()
        spelled += [(text, first)] + [("", first)] * (index - first)
        text, first = "", index + 1
    return spelled


def texts(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[str]:
    """The text of each token by itself; parts of characters read as U+FFFD."""
    return [piece.decode("utf-8", "replace") for piece in _bytes(tokenizer, ids)]


def _bytes(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> list[bytes]:
    """The bytes each token stands for; none for a number beyond the vocabulary (published embeddings are padded)."""
    added, byte_of = tokenizer.added_tokens_decoder, _byte_of()
    pieces = tokenizer.convert_ids_to_tokens(list(ids))
    return [
        added[token].content.encode() if token in added else bytes(byte_of[character] for character in piece or "")
        for token, piece in zip(ids, pieces, strict=True)
    ]


@cache
def _byte_of() -> dict[str, int]:
    return {character: byte for byte, character in bytes_to_unicode().items()}
