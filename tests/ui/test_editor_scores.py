"""What the Regions page says of drawn regions, held to maps that can be worked out by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qwenvl_debug.maps import map_stack
from qwenvl_debug.regions import Ellipse, Rectangle, Region
from qwenvl_debug.ui import region_charts
from qwenvl_debug.ui.region_reading import region_reading, stretch
from qwenvl_debug.ui.region_scores import score_sides
from qwenvl_debug.ui.score_cards import card
from qwenvl_debug.ui.truth import truth
from tests.ui.hand_made import make_run

SIZE = (100, 80)
WORD = (("Pearl", None, 0.8),)
FIRST_CELL = Region("spheres", (Rectangle(0, 0, 50, 40),))
STACKS = map_stack(make_run(WORD, [0.6, 0, 0, 0])), map_stack(make_run(WORD, [0.1, 0, 0, 0.1]))


def scored(left=(FIRST_CELL,), right=(FIRST_CELL,), stacks=STACKS):
    return score_sides(stacks, (left, right), (SIZE, SIZE))


def test_the_difference_is_the_mass_of_the_correct_run_less_that_of_the_failing_one():
    difference = scored().difference("spheres")
    assert difference.shape == (3, 3)
    np.testing.assert_allclose(difference[[0, 2]], 0.5)
    assert np.isnan(difference[1]).all(), "layer 1 keeps no map"


def test_the_sentence_gives_both_masses_and_both_chances():
    sentence = region_reading(scored(), "spheres")
    assert sentence.startswith(
        "At layer 0 the correct run puts 100 % of its picture attention on “spheres” (chance 25 %)"
    )
    assert "the failing one 50 % (chance 25 %)" in sentence
    assert "not yet why" in sentence


def test_runs_that_look_alike_are_said_to():
    assert "about the same share" in region_reading(scored(stacks=(STACKS[0], STACKS[0])), "spheres")


def test_a_region_on_one_picture_is_not_compared():
    scores = scored(right=())
    assert scores.difference("spheres") is None
    assert "on the correct picture only" in region_reading(scores, "spheres")
    assert list(scores.head_table("spheres").columns) == ["layer", "head", "correct"]
    region_charts.head_chart(scores, "spheres").to_dict()


@pytest.mark.parametrize(
    ("values", "layers"),
    [
        ([0.0, 0.25, 0.6, 0.4, 0.2, 0.5], (2, 3)),
        ([-0.5, -0.9, 0.8, np.nan], (0, 1)),
        ([np.nan, 0.1, np.nan, 0.1], (1, 1)),
    ],
)
def test_a_stretch_of_layers_shares_the_sign_and_half_of_the_largest_difference(values, layers):
    assert stretch(np.array(values)) == layers


def test_heads_are_ranked_by_how_far_apart_they_are_and_those_without_a_map_come_last():
    table = scored().head_table("spheres")
    assert len(table) == 6
    assert table["difference"].abs().dropna().is_monotonic_decreasing
    assert table["layer"].tolist()[-2:] == [1, 1]


def test_every_row_of_the_download_is_the_score_of_that_map():
    scores = scored(left=(FIRST_CELL, Region("disc", (Ellipse(50, 40, 30, 20),), "avoid")))
    table = scores.all_scores()
    assert len(table) == 3 * 3 * 3
    for row in table.itertuples():
        side = scores.sides[("correct", "failing").index(row.side)]
        score = side.score(row.region, row.layer, row.head)
        assert row.expect == score.expect
        for name in ("mass", "chance", "lift", "auc", "nss"):
            assert getattr(row, name) == pytest.approx(getattr(score, name), rel=1e-6, nan_ok=True)


def test_a_card_shows_a_dash_with_the_reason_where_a_score_means_nothing():
    html = card(scored(), "spheres", 1, -1)
    assert "–" in html
    assert "There is no map here" in html
    nowhere = Region("far away", (Rectangle(500, 500, 10, 10),))
    assert "lies outside the picture" in card(scored(left=(nowhere,), right=()), "far away", 0, 0)


def test_a_card_writes_names_letter_for_letter():
    html = card(
        scored(left=(Region('<img src=x onerror="boom">', FIRST_CELL.shapes),), right=()),
        '<img src=x onerror="boom">',
        0,
        0,
    )
    assert "<img" not in html
    assert "&lt;img" in html


def test_both_charts_are_drawn_and_described():
    scores = scored()
    region_charts.mass_chart(scores, "spheres").to_dict()
    region_charts.head_chart(scores, "spheres").to_dict()
    assert "correct highest at layer 0: 100%, chance 25%" in region_charts.describe(scores, "spheres", "layers")
    assert "difference at layer 0, head 0: +50.0%" in region_charts.describe(scores, "spheres", "heads")


def test_gallery_masks_become_regions_and_what_was_asked_about_is_to_be_looked_at(tmp_path):
    masks = {}
    for name in ("star", "heart"):
        masks[name] = tmp_path / f"{name}.png"
        pixels = np.zeros((40, 60), np.uint8)
        pixels[5:15, 10:30] = 255
        Image.fromarray(pixels).convert("1").save(masks[name])
    pair = SimpleNamespace(task="colour", question="星形是什么颜色？", expected="红色", regions={"correct": masks})
    star, heart = truth(pair, "correct")
    assert (star.expect, heart.expect) == ("look", "measure")
    np.testing.assert_array_equal(star.shapes[0].pixels, pixels > 0)
