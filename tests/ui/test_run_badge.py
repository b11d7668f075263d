"""Does every answered pair carry the checks of both of its runs?"""

from tests.ui.test_page import open_app, until


def badges(app):
    return [text.value for text in app.markdown if "checks passed" in text.value]


def test_both_runs_of_an_answered_pair_show_that_they_were_checked():
    app = until(open_app(), badges)
    assert not app.exception
    assert ["Correct: 5 checks" in text or "Failing: 5 checks" in text for text in badges(app)] == [True, True]
