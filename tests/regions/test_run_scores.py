"""Scores of a whole run agree with the score of each of its maps, on a run small enough to check by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Rectangle, Region, score, score_run, score_table
from tests.maps.hand_made import make_run

FIRST = Region("first", Rectangle(0, 0, 10, 10))
SLIVER = Region("sliver", Rectangle(0, 0, 3, 3), "avoid")
OUT = Region("out", Rectangle(100, 0, 3, 3), "measure")
LEFT, RIGHT = np.array([0.6, 0.2, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 0, 0.3])


@pytest.fixture
def run():
    pictures = (SimpleNamespace(size=(30, 20), name="p.png"),)
    case = SimpleNamespace(question="Which animal?", pictures=pictures, expected="cat")
    return replace(make_run([LEFT, RIGHT]), case=case)


def test_every_score_of_a_run_is_that_of_its_map(run):
    table = score_table(run, [FIRST, SLIVER, OUT])
    for number, one in enumerate(score_run(run, [FIRST, SLIVER, OUT])):
        for layer in range(3):
            for place, head in enumerate((0, 1, "mean")):
                single = score(run, one.region, layer, head)
                row = table.iloc[(number * 3 + layer) * 3 + place]
                for name, values in one.values.items():
                    assert values[layer, place] == pytest.approx(getattr(single, name), nan_ok=True)
                    assert row[name] == pytest.approx(getattr(single, name), nan_ok=True)


def test_heads_are_ranked_by_mass_and_those_without_a_map_are_left_out(run):
    (one,) = score_run(run, [FIRST])
    assert [head[:2] for head in one.best()] == [(0, 0), (2, 0), (0, 1), (2, 1)]
    assert one.best()[0][2] == pytest.approx(0.75)


def test_what_is_undefined_says_why(run):
    whys = [one.why for one in score_run(run, [FIRST, SLIVER, OUT])]
    assert whys[0] is None
    assert "less than half of every cell" in whys[1]
    assert "outside the picture" in whys[2]
    assert [one.empty for one in score_run(run, [FIRST, SLIVER, OUT])] == [False, False, True]


def test_the_dictionary_is_plain_json_without_nan(run):
    (one,) = score_run(run, [FIRST])
    made = json.loads(json.dumps(one.to_dict(), allow_nan=False))
    assert made["chance"] == pytest.approx(1 / 6)
    assert made["layers"][1]["mass"] is None
    assert made["heads"][0] == {"layer": 0, "head": 0} | {
        name: pytest.approx(float(values[0, 0])) for name, values in one.values.items()
    }
    assert len(made["heads"]) == 6


def test_scoring_nothing_is_refused(run):
    with pytest.raises(RegionError, match="Nothing to score"):
        score_run(run, [])
