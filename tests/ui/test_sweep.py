"""The Sweep page's words and charts: what is said of a flip, and that the charts hold what the sweep measured."""

from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.compare import PERTURBATIONS
from qwenvl_debug.compare.sweep import Step, Sweep
from qwenvl_debug.ui import sweep_charts
from qwenvl_debug.ui.sweep_view import reading


def step(strength, answer, right, probability):
    run = SimpleNamespace(answer=answer, case=None)
    masses = {"spheres": np.array([[0.1, 0.2], [0.3, 0.1]]) * (1 - strength), "sky": np.full((2, 2), np.nan)}
    return Step(strength, run, run, right, probability, probability, (), masses, {"spheres": 0.05, "sky": 0.0}, None)


def made(rights):
    answers = {True: "Oriental Pearl Tower", False: "Canton Tower"}
    steps = tuple(step(0.25 * n, answers[right], right, 0.9 - 0.2 * n) for n, right in enumerate(rights))
    flip = next((n for n, right in enumerate(rights) if not right), None) if rights[0] else None
    return Sweep(PERTURBATIONS["fog"], steps, "Oriental Pearl Tower", "picture", flip)


def test_a_flip_is_said_with_both_strengths_and_both_answers_and_no_cause_is_claimed():
    words = reading(made([True, True, False, False]))
    assert "between 0.25 and 0.5" in words
    assert "from “Oriental Pearl Tower” to “Canton Tower”" in words
    assert "not yet make it the cause" in words


@pytest.mark.parametrize(
    ("rights", "said"), [([True, True], "does not flip the answer"), ([False, False], "no right answer to lose")]
)
def test_without_a_flip_it_is_said_why_there_is_none(rights, said):
    assert said in reading(made(rights))


def test_the_charts_follow_the_head_that_is_best_at_first_and_leave_out_what_is_undefined():
    found = made([True, False])
    table = sweep_charts.mass_table(found)
    assert table["region"].unique().tolist() == ["spheres"]
    assert table["mass"].tolist() == pytest.approx([0.3, 0.3 * 0.75])
    assert table["chance"].tolist() == [0.05, 0.05]
    verdicts = sweep_charts.steps_table(found)["verdict"].tolist()
    assert verdicts == ["answer as expected", "another answer"]


def test_the_line_of_the_flip_lies_between_the_last_right_and_the_first_other_answer():
    layers = sweep_charts.probability_chart(made([True, True, False])).to_dict()["layer"]
    rule = next(layer for layer in layers if layer["mark"]["type"] == "rule")
    assert "data" in rule
    still = sweep_charts.probability_chart(made([True, True])).to_dict()["layer"]
    assert all(layer["mark"]["type"] != "rule" for layer in still)
