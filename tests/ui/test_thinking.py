"""Is the page's verdict that on the answer, are thoughts there to be looked at, and can thinking be turned off?

A tiny random model never closes its thoughts, so its own runs are cut in them; those with thoughts and answer are fed.
"""

from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from qwenvl_debug.case import Case
from qwenvl_debug.errors import QueryError
from qwenvl_debug.model import debug_model, load_model
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.asks import chips, query_of
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.pairs import gallery_choice
from qwenvl_debug.ui.run_badge import way
from qwenvl_debug.ui.thinking import said
from qwenvl_debug.ui.viewer_data import answered
from qwenvl_debug.ui.work import scope_of
from tests.model.published import QWEN3_5
from tests.model.tiny import tiny_checkpoint
from tests.ui.test_page import open_app, until

CASE = Case(np.zeros((60, 90, 3), np.uint8), "Which tower is this?", expected="Canton Tower")
THOUGHTS = "The Canton Tower? No.\n</think>\n\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tiny_checkpoint(tmp_path_factory.mktemp("thinking"), "qwen3_vl")
    (folder / "chat_template.jinja").write_text(QWEN3_5)
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


@pytest.fixture
def few(monkeypatch):
    """Thoughts are cut early, for a tiny model's never end."""
    monkeypatch.setattr(debug_model, "THOUGHT_TOKENS", 4)
    monkeypatch.setattr(debug_model, "ANSWER_TOKENS", 4)


def test_thoughts_are_a_row_of_chips_of_their_own(model):
    run = model.ask(CASE, target=f"{THOUGHTS}It is the Pearl Tower.")
    forced = model.ask(CASE, target="Canton Tower")
    answers = Answers(run, run, (forced, forced))
    assert "".join(chip["text"] for chip in chips(run, "h")) == THOUGHTS
    assert "".join(chip["text"] for chip in chips(run, "a")) == "It is the Pearl Tower."
    assert query_of(answers, 0, "h")[1].label == "The Canton Tower? No."
    assert query_of(answers, 1, "h0")[1].tokens == run.thought_tokens[:1]
    with pytest.raises(QueryError, match="no thoughts"):
        query_of(replace(answers, correct=forced), 0, "h")
    assert said(answers) == (
        f"The model thought before it answered, {len(run.thought_tokens)} tokens on the correct side and "
        f"{len(run.thought_tokens)} on the failing one. Verdicts, boxes and maps are about the answers. The expected "
        "answer is fed after the chat template's own empty thoughts, without thinking."
    )


def test_a_run_cut_in_its_thoughts_is_said_and_called_neither_right_nor_wrong(model, few):
    from qwenvl_debug.compare import compare

    run, forced = model.ask(CASE), model.ask(CASE, target="Canton Tower")
    answers = Answers(run, run, (forced, forced))
    assert said(answers).startswith("The correct run was cut in its thoughts after 8 tokens, so it has no answer yet: ")
    choice = replace(gallery_choice("taipei-blur"), correct=CASE, failing=CASE)
    sent = answered(
        choice,
        answers,
        compare(forced, forced),
        ({}, {}),
        {"left": "t", "right": "t", "shows": "picture", "align": ""},
        wanted="picture",
        seed={},
        place={},
        identity="x",
    )
    assert sent["sides"][0]["verdict"] == {"text": "cut in its thoughts", "kind": "plain"}
    assert len(sent["sides"][0]["chips"]["h"]) > 0
    assert ["h", "each side's thoughts"] in [option[:2] for option in sent["asks"]]


def test_the_badge_says_which_template_was_used_and_how_thinking_was_set(model, few):
    words = way(model.ask(CASE, thinking=False).provenance)[1]
    assert "Chat template: chat\\_template.jinja (" in words
    assert "Thinking: turned off" in words
    assert "Thinking" not in way(model.ask(CASE).provenance)[1]


def test_thinking_is_turned_off_on_the_page_and_stays_in_its_address(folder, few):
    app = until(
        open_app(model=str(folder), pair="taipei-blur"), lambda app: len(app.get("button_group")) > 0 or app.error
    )
    assert not app.error
    control = _control(app)
    assert control.value == "on"
    assert any("cut in its thoughts" in caption.value for caption in app.caption)
    control.set_value("off").run()
    choice = replace(gallery_choice("taipei-blur"), thinking=False)
    until(app, lambda app: (job := worker().find(scope_of(str(folder), choice))) is not None and job.finished)
    found = worker().find(scope_of(str(folder), choice)).result
    assert (found.correct.thinking, found.correct.cut) == (False, "answer")
    assert not any("cut in its thoughts" in caption.value for caption in app.run().caption)


def test_a_link_with_thinking_turned_off_opens_so(folder, few):
    app = open_app(model=str(folder), pair="taipei-blur", thinking="off")
    choice = replace(gallery_choice("taipei-blur"), thinking=False)
    until(app, lambda app: (job := worker().find(scope_of(str(folder), choice))) is not None and job.finished)
    assert _control(app.run()).value == "off"


def test_a_model_without_a_switch_has_no_such_control():
    app = until(open_app(thinking="on"), lambda app: any("The two runs" in text.value for text in app.markdown))
    assert not app.error
    assert not any(one.label == "Thinking" for one in app.get("button_group"))


def _control(app: AppTest):
    return next(one for one in app.get("button_group") if one.label == "Thinking")
