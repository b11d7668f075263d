"""Can a page generate answers as the checkpoint says, does its address carry that, and is what is left out named?"""

import json
from dataclasses import replace

import pytest

from qwenvl_debug.model import load_model
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.pairs import gallery_choice
from qwenvl_debug.ui.run_badge import decoding_badge
from qwenvl_debug.ui.work import scope_of
from tests.model.tiny import tiny_checkpoint
from tests.ui.test_page import open_app, until


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tiny_checkpoint(tmp_path_factory.mktemp("decoding"), "qwen3_vl")
    path = folder / "generation_config.json"
    own = {"do_sample": True, "temperature": 1.5, "top_k": 40, "repetition_penalty": 1.3}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))
    return folder


def opened(folder, **query):
    return until(open_app(model=str(folder), pair="taipei-blur", **query), lambda app: _control(app) or app.error)


def _control(app):
    return next((one for one in app.get("button_group") if one.label == "Decoding"), None)


def answers(app, folder, **how):
    """The pair as it was answered in this way."""
    scope = scope_of(str(folder), replace(gallery_choice("taipei-blur"), **how))
    until(app, lambda _: (job := worker().find(scope)) is not None and job.finished)
    return worker().find(scope).result


def test_what_greedy_decoding_leaves_out_stands_on_the_page_and_can_be_applied(folder):
    app = opened(folder)
    assert not app.error
    assert _control(app).value == "greedy"
    run = answers(app, folder).correct
    label, tip = decoding_badge(run.provenance)
    assert label == "Greedy, without the checkpoint's generation settings"
    assert "temperature 1.5" in tip.replace("\\", "")
    assert any(label in str(element.value) for element in app.get("markdown"))

    _control(app).set_value("checkpoint").run()
    own = answers(app, folder, decoding="checkpoint").correct
    case = gallery_choice("taipei-blur").correct
    expected = load_model(folder).ask(case, decoding="checkpoint")
    assert [token.id for token in own.tokens] == [token.id for token in expected.tokens]
    assert own.provenance.settings["seed"] == 0
    assert own.answer != run.answer

    app.run().number_input[0].set_value(5).run()
    assert answers(app, folder, decoding="checkpoint", seed=5).correct.provenance.seed == 5


def test_a_link_opens_with_its_decoding_and_seed(folder):
    app = opened(folder, decoding="checkpoint", seed="7")
    assert answers(app, folder, decoding="checkpoint", seed=7).failing.provenance.seed == 7
    app.run()
    assert _control(app).value == "checkpoint"
    assert app.number_input[0].value == 7


def test_the_bundled_model_has_no_such_control():
    app = until(open_app(decoding="checkpoint"), lambda app: any("The two runs" in text.value for text in app.markdown))
    assert not app.error
    assert _control(app) is None
