"""Words and spans as queries: exactly the tokens that carry them, in English and Chinese, and how they are averaged."""

import unicodedata
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import Query, map_stack, span_query, weights_of, word_query
from tests.maps.hand_made import make_run

EVEN = np.full(6, 0.1)


def spelled(pieces, kind="question"):
    """A run whose question is these pieces of text, each with the number of tokens it is spread over."""
    run, tokens = make_run([EVEN, EVEN]), []
    for text, count in pieces:
        group = len(tokens)
        for n in range(count):
            tokens.append(
                SimpleNamespace(index=len(tokens), text="" if n else text, group=group, kind=kind, picture=None, id=0)
            )
    numbers = tuple(range(len(tokens)))
    return replace(
        run,
        tokens=tuple(tokens),
        question_tokens=numbers if kind == "question" else (),
        answer_tokens=numbers if kind == "answer" else (),
    )


WORDS = ("Which", " cat", " is", " in", " this", " cat", "egory", "?")
ENGLISH = spelled([(word, 1) for word in WORDS])
CHINESE = spelled([("上", 1), ("海", 3), ("的塔", 1), ("在", 1), ("哪里", 1), ("？", 1), ("Tower", 1), ("塔", 2)])


def test_a_word_is_found_in_any_case_and_not_inside_another():
    assert word_query(ENGLISH, "CAT") == Query((1,), "cat")
    with pytest.raises(QueryError, match="1 times"):
        word_query(ENGLISH, "cat", occurrence=1)
    assert word_query(ENGLISH, "category") == Query((5, 6), "category")


def test_words_side_by_side_are_one_query_whatever_space_lies_between():
    assert word_query(ENGLISH, " which  CAT ") == Query((0, 1), "Which cat")


def test_a_chinese_word_is_all_tokens_of_its_characters():
    assert word_query(CHINESE, "上海") == Query((0, 1, 2, 3), "上海")
    assert word_query(CHINESE, "海") == Query((1, 2, 3), "海")


def test_a_token_that_holds_part_of_a_word_asks_as_a_whole():
    assert word_query(CHINESE, "塔") == Query((4,), "塔")  # 的塔 is one token
    assert word_query(CHINESE, "海的") == Query((1, 2, 3, 4), "海的")


SPELLINGS = [
    # in the question, typed, and the part of the question that is meant
    ("Un café noir", "café", "café"),
    ("Un cafe\u0301 noir", "café", "cafe\u0301"),
    ("Un cafe\u0301 noir", "cafe\u0301", "cafe\u0301"),
    ("Un café noir", "cafe\u0301", "café"),
    ("Un CAFÉ noir", "cafe\u0301", "CAFÉ"),
    ("Việt Nam", "Vie\u0302\u0323t", "Việt"),  # two marks in either order
    ("Vie\u0323\u0302t Nam", "vie\u0302\u0323t nam", "Vie\u0323\u0302t Nam"),
    ("Die Straße dort", "strasse", "Straße"),
    ("Die STRASSE dort", "straße", "STRASSE"),
    ("In İstanbul, where", "istanbul", "İstanbul"),
    ("In I\u0307stanbul, where", "İSTANBUL", "I\u0307stanbul"),
    ("in istanbul, where", "İstanbul", "istanbul"),
    ("ὈΔΥΣΣΕΎΣ", "Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
    ("Ｗｈｉｃｈ　ｃａｔ？", "which cat", "Ｗｈｉｃｈ　ｃａｔ"),
    ("Which cat?", "ｃａｔ", "cat"),
    ("ｶﾞｰﾄﾞはどこ", "ガード", "ｶﾞｰﾄﾞ"),
    ("ガードはどこ", "ｶﾞｰﾄﾞ", "ガード"),
    ("か\u3099くせい", "がくせい", "か\u3099くせい"),
    ("the ﬁle here", "FILE", "ﬁle"),
    ("แมวดำอยู่ไหน", "แมว", "แมว"),
    ("แมวดำอยู่ไหน", "แมวดำ", "แมวดำ"),
    ("แมวด\u0e4d\u0e32อยู่ไหน", "แมวดำ", "แมวด\u0e4d\u0e32"),
    ("고양이 어디", "고양이", "고양이"),
    ("\u1100\u1169\u110b\u1163\u11bc\u110b\u1175 어디", "고양이", "\u1100\u1169\u110b\u1163\u11bc\u110b\u1175"),
    ("고양이 어디", "\u1100\u1169\u110b\u1163\u11bc\u110b\u1175", "고양이"),
    ("고양이가 어디", "고양이", "고양이"),
    ("हिन्दी में", "हिन्दी", "हिन्दी"),
]


@pytest.mark.parametrize(("question", "typed", "meant"), SPELLINGS)
def test_a_word_is_found_however_it_is_spelled_in_unicode(question, typed, meant):
    run = spelled([(character, 1) for character in question])
    first = question.index(meant)
    assert word_query(run, typed) == Query(tuple(range(first, first + len(meant))), meant)


@pytest.mark.parametrize(
    ("question", "typed"),
    [
        ("Un café noir", "cafe"),  # another letter
        ("Un cafe\u0301 noir", "cafe"),
        ("Un cafe\u0301 noir", "caf"),
        ("été noir", "t"),
        ("e\u0301te\u0301 noir", "t"),
        ("학생 어디", "하"),  # a syllable is one character
        ("\u1112\u1161\u11a8", "하"),
        ("がくせい", "かくせい"),
        ("ที่ไหน", "ท"),
        ("Straße", "Stras"),
    ],
)
def test_a_part_of_a_letter_is_not_the_letter(question, typed):
    with pytest.raises(QueryError, match="does not stand in the question"):
        word_query(spelled([(character, 1) for character in question]), typed)


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize(
    "text", ["Où est le café à Zürich ?", "고양이는 어디에 있나요?", "ﾈｺはどこですか", "Άνθρωπος ἐν"]
)
def test_every_word_of_a_question_is_found_in_every_normal_form(form, text):
    run = spelled([(character, 1) for character in text])
    for word in text.split():
        found = word_query(run, unicodedata.normalize(form, word))
        assert found.label == word


def test_words_that_stand_there_twice_can_be_told_apart():
    assert word_query(CHINESE, "塔", occurrence=1) == Query((9, 10), "塔")
    assert word_query(CHINESE, "tower塔") == Query((8, 9, 10), "Tower塔")


def test_words_of_the_answer_are_looked_for_there():
    run = spelled([("Canton", 1), (" Tower", 1)], kind="answer")
    assert word_query(run, "tower", part="answer") == Query((1,), "Tower")
    with pytest.raises(QueryError, match="does not stand in the question"):
        word_query(run, "tower")


@pytest.mark.parametrize("text", ["", "  ", "dog", "ca", "Which is"])
def test_words_that_do_not_stand_there_are_refused(text):
    with pytest.raises(QueryError):
        word_query(ENGLISH, text)


def test_a_span_takes_whole_characters_at_its_ends():
    assert span_query(CHINESE, 2, 5) == Query((1, 2, 3, 4, 5), "海的塔在")
    assert span_query(CHINESE, 5, 2) == span_query(CHINESE, 2, 5)


def test_spans_over_a_picture_or_beyond_the_sequence_are_refused():
    run = make_run([EVEN, EVEN])
    assert span_query(run, 7, 8).tokens == (7, 8)
    with pytest.raises(QueryError, match="picture"):
        span_query(run, 0, 8)
    with pytest.raises(QueryError, match="no token 12"):
        span_query(run, 8, 12)
    with pytest.raises(QueryError, match="no token -1"):
        span_query(run, 8, -1)


def test_the_tokens_of_a_split_character_share_one_say():
    assert weights_of(CHINESE, word_query(CHINESE, "上海")) == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6])
    assert weights_of(ENGLISH, word_query(ENGLISH, "which cat")) == pytest.approx([1 / 2, 1 / 2])


def test_a_map_of_words_is_the_weighted_mean_of_their_own_rows(micro):
    """The real tokeniser and model: 龘 is three tokens, 塔 one, and each of the two has half of the map."""
    picture = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    run = micro.ask(Case(picture, "龘塔在哪里？"), max_new_tokens=2)
    query = word_query(run, "龘塔")
    assert [run.tokens[token].group for token in query.tokens] == [query.tokens[0]] * 3 + [query.tokens[3]]
    rows = run.trace.weights(1, rows=list(query.tokens)).astype(np.float64)
    expected = (rows[:, :3].mean(1) + rows[:, 3]) / 2
    maps = map_stack(run, query, normalisation="row").values[1]
    assert np.allclose(maps.reshape(len(maps), -1), expected[:, run.grids[0].positions], atol=1e-7)
