"""Thinking models: are thoughts parted from the answer, however they are marked, and never judged as one?"""

import json
from dataclasses import replace

import numpy as np
import pytest
from transformers import LogitsProcessorList

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.errors import CaseError, QueryError
from qwenvl_debug.maps import (
    answer_query,
    ask_neutral,
    default_query,
    map_stack,
    row_shares,
    thoughts_query,
    turn_shares,
    word_query,
)
from qwenvl_debug.model import load_model
from qwenvl_debug.model.debug_model import ANSWER_TOKENS, THOUGHT_TOKENS
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.run_checks import all_passed, run_checks
from qwenvl_debug.model.selfcheck import _Follow, check
from qwenvl_debug.model.thoughts import count_thoughts, split_thoughts, thoughts_text
from qwenvl_debug.regions import boxes
from qwenvl_debug.report.text import run_text
from tests.model.conversations import noise
from tests.model.published import QWEN3_5, QWEN3_VL_INSTRUCT, QWEN3_VL_THINKING
from tests.model.tiny import tiny_checkpoint

CASE = Case(noise(90, 60), "Which tower is this?", expected="Canton Tower")
WRONG = "The Canton Tower? No.\n</think>\n\nIt is the Oriental Pearl Tower."


@pytest.fixture(scope="module")
def with_template(tmp_path_factory):
    """From a chat template to a tiny model that has it."""
    made = {}

    def model(template):
        if template not in made:
            folder = tiny_checkpoint(tmp_path_factory.mktemp("thinking"), "qwen3_vl")
            (folder / "chat_template.jinja").write_text(template)
            made[template] = load_model(folder)
        return made[template]

    return model


@pytest.fixture
def says(monkeypatch):
    """Have a model choose the tokens of a text, by its own `generate`, and end there."""

    def choose(model, text):
        ids = [*model.tokenizer.encode(text, add_special_tokens=False), model.stop_ids[0]]
        generate = type(model.network).generate

        def chosen(**feed):
            follow = _Follow(feed["input_ids"].shape[1], ids)
            processors = LogitsProcessorList([follow, *feed.pop("logits_processor", [])])
            return generate(model.network, logits_processor=processors, **feed)

        monkeypatch.setattr(model.network, "generate", chosen)
        return model

    return choose


def text_of(run, *kinds):
    return "".join(token.text for token in run.tokens if token.kind in kinds)


@pytest.mark.parametrize(
    ("written", "opened", "thoughts", "answer"),
    [
        ("a cat", False, "", "a cat"),
        ("hm\n</think>\n\na cat", True, "hm", "a cat"),
        ("<think>\nhm\n</think>\n\na cat", False, "hm", "a cat"),
        ("\n<think>hm</think>a cat", False, "hm", "a cat"),
        ("hm</think> or </think>\n", True, "hm</think> or", ""),
        ("still thinking", True, "still thinking", ""),
        ("<think>\nstill", False, "still", ""),
        ("hm </think> a cat", False, "hm", "a cat"),  # a model that was not asked to think
        ("", True, "", ""),
    ],
)
def test_the_answer_begins_after_the_last_closing_mark(written, opened, thoughts, answer):
    begin = split_thoughts(written, opened=opened)
    assert (thoughts_text(written[:begin]), written[begin:]) == (thoughts, answer)
    assert count_thoughts(list(written), opened=opened) == begin


def test_a_token_that_ends_the_mark_and_holds_more_is_a_thought_and_a_split_character_is_not_cut():
    assert count_thoughts(["hm", "</think", ">\n\n", "塔", "", "", "."], opened=True) == 3
    assert count_thoughts(["塔", "", "</think>", "\n", "a"], opened=True) == 4
    assert count_thoughts(["hm", "</think>", "\n", "塔", ""], opened=True) == 3


@pytest.mark.parametrize("template", [QWEN3_VL_THINKING, QWEN3_5])
def test_a_verdict_and_boxes_come_from_what_follows_the_thoughts(template, with_template, says):
    box = '{"bbox_2d": [%s, 90], "label": "x"}'
    written = f"The Canton Tower? {box % '1, 1, 500'}\n</think>\n\nThe Pearl Tower. {box % '600, 10, 700'}"
    model = says(with_template(template), written)
    run = model.ask(CASE, max_new_tokens=500)
    assert run.right is False
    assert run.cut is None
    assert run.thoughts == written.split("\n</think>")[0]
    assert run.answer == written.split("</think>\n\n")[1]
    assert text_of(run, "thought") + text_of(run, "answer") == written
    assert [round(found.rectangle.x) for found in boxes(run)] == [54]
    assert all_passed(run_checks(run))
    stored = json.loads(json.dumps(run.to_dict()))
    assert (stored["thoughts"], stored["answer"], stored["cut"]) == (run.thoughts, run.answer, None)


def test_a_model_that_opens_its_thoughts_itself_is_parted_alike(with_template, says):
    run = says(with_template(QWEN3_VL_INSTRUCT), f"<think>\n{WRONG}").ask(CASE, max_new_tokens=200)
    assert (run.right, run.thoughts) == (False, "The Canton Tower? No.")
    assert run.answer == "It is the Oriental Pearl Tower."


@pytest.mark.parametrize("template", [QWEN3_VL_THINKING, QWEN3_VL_INSTRUCT])
def test_a_run_cut_in_its_thoughts_has_no_answer_and_is_not_wrong(template, with_template, says):
    opening = "" if template == QWEN3_VL_THINKING else "<think>"
    run = says(with_template(template), f"{opening}{WRONG}").ask(CASE, max_new_tokens=12)
    assert (run.cut, run.answer, run.right) == ("thoughts", "", None)
    assert run.thoughts
    assert default_query(run).tokens == (run.last_prompt,)
    assert "cut in its thoughts" in run_text(run)
    with pytest.raises(CaseError, match="was cut in its thoughts"):
        run.force("cat", keep_thoughts=True)
    whole = says(with_template(template), "A tower.").ask(replace(CASE, expected=None), max_new_tokens=3)
    assert whole.cut == ("thoughts" if template == QWEN3_VL_THINKING else "answer")


def test_progress_shows_the_end_of_long_thoughts(with_template, says):
    model, seen = says(with_template(QWEN3_VL_THINKING), "塔" * 100), []
    model.ask(CASE, max_new_tokens=250, progress=lambda done, of, text: seen.append((done, of, text)))
    assert seen[0] == (0, 250, "")
    assert seen[-1][0] > 100
    assert set(seen[-1][2]) == {"…", "塔"}
    assert max(len(text) for *_, text in seen) <= 65


def test_the_limit_leaves_room_for_thoughts_where_the_model_thinks(with_template):
    limits = {
        thinking: with_template(QWEN3_5).settings(thinking=thinking)["max_new_tokens"]
        for thinking in (None, True, False)
    }
    assert limits == {None: ANSWER_TOKENS + THOUGHT_TOKENS, True: ANSWER_TOKENS + THOUGHT_TOKENS, False: ANSWER_TOKENS}
    assert with_template(QWEN3_VL_INSTRUCT).settings()["max_new_tokens"] == ANSWER_TOKENS
    assert with_template(QWEN3_5).settings(30)["max_new_tokens"] == 30


@pytest.mark.parametrize("template", [QWEN3_VL_THINKING, QWEN3_5])
def test_an_expected_answer_is_fed_after_the_templates_own_empty_thoughts(template, with_template):
    model = with_template(template)
    for run in (model.ask(CASE, target="Canton Tower"), model.ask(CASE, max_new_tokens=2).force("Canton Tower")):
        assert (run.fed_after, run.thoughts, run.answer, run.right) == ("empty thoughts", "", "Canton Tower", True)
        fed = "".join(token.text for token in run.tokens)
        assert fed.endswith("assistant\n<think>\n\n</think>\n\nCanton Tower<|im_end|>")
        assert run.row_of(run.answer_tokens[0]) == run.last_prompt
        assert "given after empty thoughts" in run_text(run)
    if model.template.has_switch:  # as transformers writes them
        assert prompt(model, CASE, thinking=False).ids == [token.id for token in run.tokens[: run.last_prompt + 1]]


def test_an_expected_answer_is_fed_after_a_runs_own_thoughts_on_request(with_template, says):
    run = says(with_template(QWEN3_VL_THINKING), WRONG).ask(CASE, max_new_tokens=200)
    forced = run.force("Canton Tower", keep_thoughts=True)
    assert (forced.fed_after, forced.thoughts, forced.answer) == ("thoughts", run.thoughts, "Canton Tower")
    thinking = len(run.thought_tokens)
    assert [t.id for t in forced.tokens[: forced.last_prompt + 1 + thinking]] == [
        t.id for t in run.tokens[: run.last_prompt + 1 + thinking]
    ]
    assert forced.provenance.settings != run.provenance.settings  # or one would be recalled for the other
    assert "given after thoughts" in run_text(forced)


def test_a_target_that_holds_thoughts_is_fed_as_it_is(with_template):
    run = with_template(QWEN3_VL_THINKING).ask(CASE, target=WRONG)
    assert (run.fed_after, run.right, run.answer) == ("thoughts", False, "It is the Oriental Pearl Tower.")
    assert "".join(t.text for t in run.tokens).endswith(f"<think>\n{WRONG}<|im_end|>")
    ids = [token.id for token in run.tokens if token.kind in ("thought", "answer")]
    again = with_template(QWEN3_VL_THINKING).ask(CASE, target=ids)
    assert again.tokens == run.tokens


def test_an_answer_without_thinking_is_fed_as_before(with_template):
    run = with_template(QWEN3_VL_INSTRUCT).ask(CASE, target="Canton Tower")
    assert run.fed_after is None
    assert "".join(t.text for t in run.tokens).endswith("<|im_start|>assistant\nCanton Tower<|im_end|>")


def test_thinking_is_turned_on_and_off_where_the_template_has_a_switch(with_template):
    model = with_template(QWEN3_5)
    runs = {thinking: model.ask(CASE, max_new_tokens=4, thinking=thinking) for thinking in (None, True, False)}
    ends = {k: "".join(t.text for t in run.tokens[: run.last_prompt + 1])[-19:] for k, run in runs.items()}
    assert ends[None].endswith("<think>\n")
    assert ends[True] == ends[None]
    assert ends[False].endswith("<think>\n\n</think>\n\n")
    assert [runs[k].cut for k in (None, True, False)] == ["thoughts", "thoughts", "answer"]
    assert [runs[k].thinking for k in (None, True, False)] == [None, True, False]
    assert runs[False].force("cat").thinking is False
    assert model.plain(CASE, 4, thinking=False) == [t.id for t in runs[False].tokens[runs[False].last_prompt + 1 :]]
    assert ask_neutral(runs[False]).thinking is False


@pytest.mark.parametrize(
    ("template", "thinking", "sentence"),
    [
        (QWEN3_VL_THINKING, False, "always thinks before it answers: its chat template has no switch"),
        (QWEN3_VL_INSTRUCT, True, "does not think before it answers: its chat template has no switch"),
    ],
)
def test_thinking_that_a_template_cannot_change_is_refused(template, thinking, sentence, with_template):
    with pytest.raises(CaseError, match=sentence):
        with_template(template).ask(CASE, max_new_tokens=2, thinking=thinking)
    with_template(template).ask(CASE, max_new_tokens=2, thinking=not thinking)  # as it is


def test_thoughts_have_rows_a_query_and_a_kind_of_their_own(with_template, says):
    run = says(with_template(QWEN3_VL_THINKING), WRONG).ask(CASE, max_new_tokens=200)
    assert default_query(run) == answer_query(run)
    assert set(thoughts_query(run).tokens).isdisjoint(answer_query(run).tokens)
    assert thoughts_query(run).label == run.thoughts
    assert word_query(run, "canton", "thoughts").label == "Canton"
    assert np.isfinite(map_stack(run, thoughts_query(run)).values[list(run.trace.layers)]).all()
    first = run.thought_tokens[0]
    assert run.row_of(first) == first - 1 == run.last_prompt
    shares = row_shares(run)
    assert shares.mean[0, shares.kinds.index("thought")] > 0
    assert np.allclose(shares.values.sum(-1), 1, atol=1e-5)
    assert turn_shares(run).names == ("this turn",)
    with pytest.raises(QueryError, match="no thoughts"):
        thoughts_query(with_template(QWEN3_VL_INSTRUCT).ask(CASE, max_new_tokens=2))


def test_thoughts_of_earlier_answers_are_fed_as_the_template_has_it(with_template):
    talk = replace(CASE, history=[Turn("Which?", f"<think>\n{WRONG}", 1)])
    for template, kept in ((QWEN3_VL_THINKING, False), (QWEN3_VL_INSTRUCT, True)):
        run = with_template(template).ask(talk, max_new_tokens=2)
        assert ("Canton" in text_of(run, "earlier")) is kept
        assert "It is the Oriental Pearl Tower." in text_of(run, "earlier")


@pytest.mark.parametrize("template", [QWEN3_VL_THINKING, QWEN3_5])
def test_a_thinking_model_passes_the_self_check(template, with_template):
    found = check(with_template(template), replace(CASE, expected=None), max_new_tokens=6)
    assert found.ok
