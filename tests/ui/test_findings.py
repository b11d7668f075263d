"""What differs most is listed with its noise floor, and nothing is listed that is no more than noise."""

import numpy as np
import pandas as pd
import pytest

from qwenvl_debug.compare import compare
from qwenvl_debug.compare.noise import NoiseFloor, floor_of
from qwenvl_debug.ui.findings import findings_table
from qwenvl_debug.ui.reading import reading
from tests.ui.hand_made import make_run

WORD = (("Pearl", None, 0.8),)
CORRECT = make_run(WORD, [0.4, 0.1, 0, 0])


def ranked(failing, floor):
    """The ranking of a failing run, above a floor that is the same for every layer and head."""
    return above(failing, floor).ranking


def above(failing, floor):
    """The comparison of that ranking."""
    made = compare(CORRECT, failing)
    floors = {name: np.full((3, 3), floor, np.float32) for name in made.figures.values}
    noise = NoiseFloor(("none",), (made.figures,), floors, made.left.query, "picture", 0)
    return made.with_noise(noise)


def test_only_what_is_above_the_noise_is_listed_the_mean_of_the_heads_as_minus_one():
    table = findings_table(ranked(make_run(WORD, [0.1, 0.1, 0, 0.3]), 0.01))
    assert set(table["layer"]) == {0, 2}, "layer 1 has no map"
    assert set(table["head"]) == {-1, 0, 1}
    assert set(table["what"]) == {"map distance"}
    assert table["times"].tolist() == pytest.approx((table["value"] / 0.01).tolist())
    assert table["times"].is_monotonic_decreasing


def test_the_figure_that_stands_out_most_is_named():
    table = findings_table(ranked(make_run(WORD, [0.2, 0.05, 0, 0]), 0.01))
    assert set(table["what"]) == {"image share"}
    np.testing.assert_allclose(table["value"], 0.25, atol=1e-6)


def test_a_run_compared_with_itself_lists_nothing():
    assert findings_table(ranked(CORRECT, floor_of([compare(CORRECT, CORRECT).figures])["distance"][0, 0])).empty


def test_a_region_is_called_by_its_name():
    ranking = ranked(make_run(WORD, [0.1, 0.1, 0, 0.3]), 0.01)
    renamed = {"distance": "mass_cat", "distance_floor": "mass_cat_floor"}
    changed = type(ranking)(ranking.layers.rename(columns=renamed), ranking.heads.rename(columns=renamed), ranking.rule)
    assert isinstance(changed.layers, pd.DataFrame)
    assert set(findings_table(changed)["what"]) == {"mass on “cat”"}


def test_the_reading_follows_what_stands_above_the_noise():
    apart = reading(above(make_run(WORD, [0.1, 0.1, 0, 0.3]), 0.01))
    assert apart.startswith(
        "The two runs differ most, beyond what harmless changes do, at layer 0, there most of all in"
    )
    assert reading(above(CORRECT, 0.01)).startswith("The two runs differ no more than harmless changes")
