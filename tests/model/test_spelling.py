"""Does every token have the right text when characters are spread over tokens?"""

import unicodedata

import pytest
from transformers import PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from qwenvl_debug.model.spelling import spell, texts
from tests.model.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer())


def ids_of(tokenizer, *pieces: bytes):
    """One token per byte."""
    return [tokenizer.convert_tokens_to_ids(bytes_to_unicode()[byte]) for piece in pieces for byte in piece]


def test_a_character_of_three_tokens_is_shown_once(tokenizer):
    ids = tokenizer.encode("塔龘 is", add_special_tokens=False)
    assert len(ids) == 5
    assert spell(tokenizer, ids) == [("塔", 0), ("龘", 1), ("", 1), ("", 1), (" is", 4)]


@pytest.mark.parametrize("text", ["东方明珠 Pearl", "🗼龘龘", "naïve café", "a\n\tb", "e\u0301", "\ufffd龘"])
def test_the_texts_of_all_tokens_are_the_text(tokenizer, text):
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert "".join(piece for piece, _ in spell(tokenizer, ids)) == unicodedata.normalize("NFC", text)


def test_a_broken_character_does_not_swallow_what_follows(tokenizer):
    broken = ids_of(tokenizer, "龘".encode()[:2])
    ids = broken + tokenizer.encode("cat龘", add_special_tokens=False)
    pieces = [piece for piece, _ in spell(tokenizer, ids)]
    assert pieces[:2] == ["\ufffd", ""]
    assert "".join(pieces[2:]) == "cat龘"


def test_groups_end_at_special_tokens_and_at_given_breaks(tokenizer):
    half, end = ids_of(tokenizer, "龘".encode()[:1]), tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert spell(tokenizer, [*half, end]) == [("\ufffd", 0), ("<|im_end|>", 1)]
    whole = ids_of(tokenizer, "龘".encode())
    assert [group for _, group in spell(tokenizer, whole)] == [0, 0, 0]
    assert [group for _, group in spell(tokenizer, whole, breaks=[1])] == [0, 1, 2]


def test_numbers_beyond_the_vocabulary_say_nothing(tokenizer):
    assert spell(tokenizer, [100_000]) == [("", 0)]
    assert texts(tokenizer, [100_000, *tokenizer.encode("塔", add_special_tokens=False)]) == ["", "塔"]
