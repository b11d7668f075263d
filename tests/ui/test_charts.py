"""Charts say what was measured, in marks and in words."""

import pytest

from qwenvl_debug.compare import compare
from qwenvl_debug.ui import charts
from qwenvl_debug.ui.reading import reading
from tests.ui.hand_made import make_run

WORD = (("Pearl", None, 0.8),)
APART = compare(make_run(WORD, [0.6, 0, 0, 0]), make_run(WORD, [0, 0, 0, 0.2]))
BY_REGION = compare(make_run(WORD, [0.6, 0, 0, 0]), make_run(WORD, [0, 0, 0, 0.2]), alignment="by region")
SAME = compare(make_run(WORD, [0.3, 0.1, 0, 0]), make_run(WORD, [0.3, 0.1, 0, 0]))


@pytest.mark.parametrize("measure", ["image share", "entropy", "map distance"])
def test_a_curve_has_no_point_for_a_layer_without_a_map(measure):
    drawn = charts.layer_chart(APART, measure)
    layers = {row["layer"] for data in drawn.to_dict()["datasets"].values() for row in data}
    assert layers == {0, 2}


def test_the_heatmap_has_the_mean_and_every_head_of_every_layer():
    rows = next(iter(charts.head_chart(APART).to_dict()["datasets"].values()))
    assert {(row["layer"], row["head"]) for row in rows} == {(layer, head) for layer in range(3) for head in (-1, 0, 1)}
    assert {row["map distance"] for row in rows if row["layer"] == 0} == {1.0}


def test_charts_are_described_in_words_for_who_cannot_see_them():
    assert "0.60" in charts.describe(APART, "image share")
    assert "Highest at layer 0, head 0: 1.00" in charts.describe(APART, "heads")


def test_a_click_is_told_from_the_places_that_were_toggled():
    toggled, place = charts.clicked(set(), [{"layer": 2, "head": -1}])
    assert place == (2, -1)
    toggled, place = charts.clicked(toggled, [{"layer": 2, "head": -1}, {"layer": 0, "head": 1}])
    assert place == (0, 1)
    toggled, place = charts.clicked(toggled, [{"layer": 0, "head": 1}])
    assert place == (2, -1), "a second click on one place is a click there too"
    assert charts.clicked(toggled, [{"layer": 4}, {"layer": 5}])[1] is None
    assert charts.clicked(set(), [{"layer": 4}])[1] == (4, None)


def test_the_reading_names_layer_divergence_and_shares_and_claims_no_cause():
    assert reading(APART) == (
        "The two runs differ most at layer 0 (map distance 1.00 of 1, most of all in head 0 (1.00)); there the correct "
        "run gives 60 % of its attention to the picture, the failing one 20 %. This shows where they differ, not yet "
        "why the answers do."
    )


def test_runs_that_look_alike_are_called_alike():
    assert reading(SAME).startswith("The two runs look at nearly the same places")


def test_pictures_that_do_not_lie_on_each_other_are_compared_by_how_much_is_read_of_them():
    assert charts.describe(BY_REGION, "heads").endswith(
        "apart in image share, for every layer and head. Highest at layer 0, head 0: 0.40."
    )
    rows = next(iter(charts.head_chart(BY_REGION).to_dict()["datasets"].values()))
    assert [row["image share"] for row in rows if row["layer"] == 0] == pytest.approx([0.4] * 3)
    said = reading(BY_REGION)
    assert said.startswith("The two pictures do not lie on each other, so their maps are not compared cell by cell.")
    assert "the correct one gives 60 % of its attention to the picture, the failing one 20 %" in said
