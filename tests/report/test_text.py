"""Text for terminals: widths, shares in words, bars, and nothing in it that a terminal would obey."""

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from qwenvl_debug.cli.output import give
from qwenvl_debug.report.text import bar, columns, percent, printable, sweep_text


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (1e-6, "< 0.01 %"), (0.0012, "0.12 %"), (0.034, "3.4 %"), (0.5, "50 %"), (1, "100 %")],
)
def test_shares_have_as_many_digits_as_they_deserve(share, words):
    assert percent(share) == words


def test_what_is_not_a_number_is_said_to_have_none():
    assert percent(np.nan) == "no value"


def test_bars_grow_by_eighths_of_a_character():
    assert bar(0) == ""
    assert bar(1) == "█" * 24
    assert bar(0.5) == "█" * 12
    assert bar(1 / (24 * 8)) == "▏"
    assert bar(7) == bar(1)


def test_columns_line_up_and_chinese_counts_double():
    assert columns([("a", "1 %", "x"), ("塔塔", "10 %", "y")], right=(1,)) == ["  a      1 %  x", "  塔塔  10 %  y"]


def test_a_terminal_is_not_commanded_by_a_models_words():
    assert printable("\x1b[2Jred\n") == r"\x1b[2Jred\n"
    assert printable(" 东方明珠 ") == "东方明珠"


def test_json_leaves_empty_what_is_not_a_number(capsys):
    found = {"tokens": [{"probability": float("nan")}, {"probability": 0.5}], "most": (np.float64("inf"), 1)}
    give(argparse.Namespace(json=True), lambda: found, str)
    assert json.loads(capsys.readouterr().out) == {
        "tokens": [{"probability": None}, {"probability": 0.5}],
        "most": [None, 1],
    }


@pytest.mark.parametrize(
    ("right", "sentence"),
    [
        ((True, False, False), "The answer is no longer right from strength 1 on."),
        ((True, False, True), "The answer is no longer right from strength 1, but right again further on."),
        ((True, True, True), "The answer stays right at every strength that was tried."),
    ],
)
def test_a_flip_that_does_not_last_is_not_said_to(right, sentence):
    case = SimpleNamespace(question="Which?")
    steps = [SimpleNamespace(case=case, masses={}, right=one, strength=n, lost=tuple) for n, one in enumerate(right)]
    table = pd.DataFrame({"strength": range(3), "answer": "cat", "right": right, "probability": 0.5, "per_token": 0.5})
    kind = SimpleNamespace(title="Fog", unit="share")
    flip = right.index(False) if False in right else None
    made = SimpleNamespace(steps=steps, perturbation=kind, target="cat", flip=flip, table=lambda: table)
    assert sweep_text(made).endswith(sentence)
