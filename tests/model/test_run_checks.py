"""Do the checks of a run pass for sound runs of every family, and does each fail for its own defect?"""

from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.model import Trace
from qwenvl_debug.model.run import Grid
from qwenvl_debug.model.run_checks import all_passed, run_checks
from qwenvl_debug.ui.run_badge import badge, way
from tests.model.tiny import EVERY_FAMILY


@pytest.fixture(scope="module")
def run(tiny, noise):
    return tiny().ask(Case([noise(150, 90), noise(60, 90)], "Which tower?"), max_new_tokens=4)


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_a_sound_run_passes_every_check(family, tiny, wide_case):
    for one in (tiny(family).ask(wide_case, max_new_tokens=3), tiny(family).ask(wide_case, target="cat")):
        checks = run_checks(one)
        assert all_passed(checks), checks
        assert len({check.name for check in checks}) == 5


def failed(run):
    return [check.name for check in run_checks(run) if not check.passed]


def test_a_cell_too_few_or_in_another_order_is_noticed(run):
    first, second = run.grids
    fewer = Grid(first.rows, first.cols, first.positions[:-1], 0)
    swapped = Grid(first.rows, first.cols, first.positions[::-1], 0)
    for wrong in (fewer, swapped):
        assert failed(replace(run, grids=(wrong, second))) == ["pictures"]
    assert failed(replace(run, grids=(first,))) == ["pictures"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda w: w * 0.9, ["rows"]),
        (lambda w: w - 0.01, ["rows", "order"]),
        (lambda w: w * np.nan, ["rows", "order"]),
        (lambda w: w[..., ::-1], ["order"]),
    ],
)
def test_weights_that_are_no_shares_are_noticed(change, names, run, monkeypatch):
    right = Trace.weights
    monkeypatch.setattr(Trace, "weights", lambda *args, **kwargs: change(right(*args, **kwargs)))
    assert failed(run) == names


def changed(run, **changes):
    last = run.answer_tokens[-1]
    return replace(run, tokens=tuple(replace(t, **changes) if t.index == last else t for t in run.tokens))


def test_an_answer_that_is_not_the_likeliest_is_noticed(run):
    assert failed(changed(run, probability=run.tokens[run.answer_tokens[-1]].probability / 2)) == ["answer"]
    assert failed(changed(run, probability=1.5)) == ["probabilities"]
    assert failed(changed(run, probability=None, alternatives=())) == ["probabilities"]


def test_the_badge_shows_what_failed(run):
    label, colour, _, tip = badge(run_checks(run))
    assert (label, colour) == ("5 checks passed", "green")
    assert tip.count("✓") == 5
    label, colour, _, tip = badge(run_checks(replace(run, grids=run.grids[:1])))
    assert (label, colour) == ("Do not trust: pictures", "red")
    assert "✗ Cells and picture tokens match: a picture has no grid" in tip


def test_a_run_says_in_which_precision_and_where_it_was_made(run):
    label, tip = way(run.provenance)
    assert label == "float32 on cpu"
    assert "transformers" in tip
    few = replace(
        run.provenance, settings=run.provenance.settings | {"bits": 4, "dtype": "bfloat16", "device": "cuda:0"}
    )
    assert way(few)[0] == "4-bit with bfloat16 on cuda:0"
    assert way(replace(run.provenance, settings={}))[0] == "unknown precision on an unknown device"
