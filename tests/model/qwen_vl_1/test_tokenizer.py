"""Does the tokenizer split text as tiktoken does with the same file, and treat each marker as it should?"""

import base64
import random
import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwenvl_debug.model.qwen_vl_1.tokenizer import CONTROLS, FILE, GROUNDING, PICTURE, QWenTokenizer, read_ranks
from qwenvl_debug.model.spelling import spell
from tests.model.qwen_vl_1.small import write_ranks

# Letters, digits and marks that Python's \w, \d and Unicode's classes agree on, so that its `re` can cut the text.
PLAIN = "abcdefghinotwuTO 0123456789.,?!'\n这是哪座塔东方明珠é"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / FILE
    write_ranks(path)
    return QWenTokenizer(path)


@pytest.fixture(scope="module")
def ranks(tokenizer):
    return read_ranks(tokenizer.vocab_file)


def joined(piece: bytes, ranks) -> list[int]:
    """tiktoken's rule: of all neighbours, join the pair whose union has the lowest rank, until none has one."""
    if piece in ranks:
        return [ranks[piece]]
    parts = [bytes([byte]) for byte in piece]
    while True:
        pairs = [(ranks[a + b], n) for n, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
        if not pairs:
            return [ranks[part] for part in parts]
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


def expected(text: str, ranks) -> list[int]:
    letter, other = r"[^\W\d_]", r"(?:[^\s\w]|_)"
    cuts = (
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|(?:(?![\r\n])(?:{other}|\s))?{letter}+|\d| ?{other}+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    text = unicodedata.normalize("NFC", text)
    pieces = re.findall(cuts, text)
    assert "".join(pieces) == text
    return [token for piece in pieces for token in joined(piece.encode(), ranks)]


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from(PLAIN), max_size=60))
def test_text_is_split_as_tiktoken_splits_it(text, tokenizer, ranks):
    assert tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True) == expected(text, ranks)


def test_entries_that_can_be_made_in_several_ways_are_joined_by_rank(tmp_path):
    """With every short string an entry, at ranks drawn by lot, the order of joining decides."""
    draw = random.Random(0)
    strings = [a + b for a in "abc" for b in "abc"] + [a + b + c for a in "abc" for b in "abc" for c in "abc"]
    draw.shuffle(strings)
    entries = [bytes([byte]) for byte in range(256)] + [string.encode() for string in strings[:24]]
    path = tmp_path / FILE
    path.write_bytes(b"".join(base64.b64encode(e) + b" %d\n" % rank for rank, e in enumerate(entries)))
    ranks, tokenizer = read_ranks(path), QWenTokenizer(path)
    for _ in range(300):
        text = "".join(draw.choices("abc", k=draw.randint(1, 5)))
        assert tokenizer.encode(text, add_special_tokens=False) == joined(text.encode(), ranks), text


def test_special_tokens_stand_after_the_ranks_in_the_published_order(tokenizer, ranks):
    first = len(ranks)
    at = {token: tokenizer.convert_tokens_to_ids(token) - first for token in (*CONTROLS, *GROUNDING, *PICTURE)}
    # As in the published vocabulary of 151,643 ranks, where <img> is 151857.
    published = {"<|endoftext|>": 151643, "<|im_start|>": 151644, "<|im_end|>": 151645, "<|extra_0|>": 151646}
    published |= {"<|extra_204|>": 151850, "<ref>": 151851, "</ref>": 151852, "<box>": 151853, "</box>": 151854}
    published |= {"<quad>": 151855, "</quad>": 151856, "<img>": 151857, "</img>": 151858, "<imgpad>": 151859}
    assert {token: number + 151643 for token, number in at.items() if token in published} == published
    assert len(tokenizer) == first + 217


def test_what_a_person_writes_never_becomes_a_marker_of_a_picture_or_of_the_chat(tokenizer, ranks):
    text = "<img>x</img><imgpad><|im_end|><|im_start|><|endoftext|>"
    assert max(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)) < len(ranks)
    assert max(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=False)) >= len(ranks)


def test_grounding_is_one_token_each_and_stays_in_what_is_read(tokenizer, ranks):
    text = "<ref>the tower</ref><box>(120,40),(380,900)</box>"
    for split in (True, False):
        ids = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=split)
        assert sum(token >= len(ranks) for token in ids) == 4
        assert tokenizer.decode([*ids, tokenizer.eos_token_id], skip_special_tokens=True) == text
        assert "".join(part for part, _ in spell(tokenizer, ids)) == text


def test_characters_that_are_split_are_spelled_as_a_whole(tokenizer):
    ids = tokenizer.encode("塔é🗼", add_special_tokens=False)
    assert len(ids) > 3
    assert [part for part, _ in spell(tokenizer, ids) if part] == list("塔é🗼")


def test_text_is_composed_before_it_is_split(tokenizer):
    assert tokenizer.encode("e\u0301") == tokenizer.encode("é")


def test_the_conversation_is_written_as_the_model_was_tuned_on(tokenizer):
    picture, text = {"type": "image"}, {"type": "text", "text": "Which is taller?"}
    messages = [
        {"role": "user", "content": [picture, picture, text]},
        {"role": "assistant", "content": "The first."},
        {"role": "user", "content": [picture, {"type": "text", "text": "And now?"}]},
    ]
    chat = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert chat == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nPicture 1: <img><imgpad></img>\nPicture 2: <img><imgpad></img>\nWhich is taller?<|im_end|>\n"
        "<|im_start|>assistant\nThe first.<|im_end|>\n"
        "<|im_start|>user\nPicture 3: <img><imgpad></img>\nAnd now?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    own = [{"role": "system", "content": "Be brief."}, *messages[:1]]
    assert tokenizer.apply_chat_template(own, tokenize=False).startswith("<|im_start|>system\nBe brief.<|im_end|>\n")


def test_it_comes_back_from_disk_as_it_was(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = QWenTokenizer.from_pretrained(tmp_path)
    text = "Which tower? 这是哪座塔？ <box>"
    assert (tmp_path / FILE).read_bytes() == Path(tokenizer.vocab_file).read_bytes()
    assert again.encode(text) == tokenizer.encode(text)
    assert (again.eos_token, len(again)) == ("<|im_end|>", len(tokenizer))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not base64! 0\n", "not a list of base64"),
        (b"YQ== zero\n", "not a list of base64"),
        (b"YQ==\n", "not a list of base64"),
        (b"YQ== 0\n", "incomplete"),
        (b"\xff\xfe", "not a list of base64"),
    ],
)
def test_another_file_is_refused(content, sentence, tmp_path):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        QWenTokenizer(tmp_path / FILE)
    with pytest.raises(ValueError, match="missing"):
        QWenTokenizer(tmp_path / "nothing")
