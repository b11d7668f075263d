"""The Compare page runs, says in one sentence what is wrong, and is served from nowhere else."""

import ast
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from qwenvl_debug.micro.gallery import pairs

ROOT = Path(__file__).parents[2]


def open_app(**query) -> AppTest:
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def until(app: AppTest, met, seconds=120) -> AppTest:
    """Rerun, as the page's own polling does in a browser, until something is there."""
    end = time.monotonic() + seconds
    while not met(app):
        assert time.monotonic() < end, "It did not come in time."
        time.sleep(0.2)
        app.run()
    return app


def test_the_first_run_shows_a_gallery_pair_and_no_exception():
    app = open_app()
    assert not app.exception
    assert app.title[0].value == "Compare"
    assert app.selectbox(key="pair").value == pairs()[0].id


def test_the_answered_page_says_in_words_where_the_runs_differ():
    app = until(open_app(), lambda app: any("The two runs" in text.value for text in app.markdown))
    assert not app.exception
    assert not app.error


def test_a_model_that_does_not_exist_is_refused_in_one_sentence():
    app = until(open_app(model="/no/such/folder"), lambda app: app.error)
    assert not app.exception
    assert "/no/such/folder" in app.error[0].value
    assert "Traceback" not in app.error[0].value


@pytest.mark.parametrize("query", [{"pair": "nope", "layer": "x"}, {"pair": "own", "correct": "0" * 24, "ask": "?"}])
def test_an_address_that_asks_for_what_is_not_there_opens_the_page_all_the_same(query):
    app = open_app(**query)
    assert not app.exception


def test_own_pictures_say_what_is_still_missing():
    app = open_app(pair="own")
    assert app.button(key="own_go").disabled
    assert any("Still needed: the correct picture, the failing picture, a question." in c.value for c in app.caption)


def test_no_script_lies_where_streamlit_would_serve_it_past_the_door():
    assert list((ROOT / "pages").glob("*.py")) == []


def test_every_page_of_the_navigation_exists():
    calls = [
        node for node in ast.walk(ast.parse((ROOT / "streamlit_app.py").read_text())) if isinstance(node, ast.Call)
    ]
    pages = [call.args[0].value for call in calls if getattr(call.func, "attr", "") == "Page"]
    assert pages
    assert all((ROOT / page).is_file() for page in pages)


def test_the_worker_and_what_it_runs_never_call_streamlit():
    """The worker's module may use the cache that holds workers; what the worker runs may use nothing."""
    for name, allowed in (("jobs.py", {"cache_resource"}), ("answers.py", set()), ("archive.py", set())):
        tree = ast.parse((ROOT / "qwenvl_debug" / "ui" / name).read_text())
        used = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "st"
        }
        assert used == allowed
