"""Does the app open with the model that was asked for, and tell a wrong start in one sentence?"""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(monkeypatch):
    """From what follows the app's name to the app, as it first opens."""
    for name in ("MODEL", "MODE"):
        monkeypatch.setenv(f"QWENVL_DEBUG_{name}", "")  # so that what the app sets is taken back

    def run(*arguments: str) -> AppTest:
        monkeypatch.setattr(sys, "argv", ["streamlit_app.py", *arguments])
        return AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60).run()

    return run


def test_the_app_opens_with_the_model_that_follows_its_name(start):
    app = start("--model", "./mine", "--low-memory")
    assert not app.exception
    assert app.session_state["model"] == "./mine"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("--modle", "x"), "it takes --model ID, --mode M and --low-memory"), (("--mode", "turbo"), "write one of basic")],
)
def test_a_wrong_start_is_told_and_nothing_else_is_shown(arguments, sentence, start):
    app = start(*arguments)
    assert not app.exception
    assert [sentence in error.value for error in app.error] == [True]
    assert not app.button
