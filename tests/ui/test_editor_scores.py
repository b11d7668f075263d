"""What the Regions page says of drawn regions, held to maps that can be worked out by hand."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from qwenvl_debug.maps import MapStack, Query, map_stack
from qwenvl_debug.micro.ground_truth import true_regions
from qwenvl_debug.regions import Ellipse, Rectangle, Region, region_mask
from qwenvl_debug.regions.baselines import covers_elsewhere
from qwenvl_debug.ui import region_charts
from qwenvl_debug.ui.region_reading import region_reading, stretch
from qwenvl_debug.ui.region_scores import SIDES, score_sides
from qwenvl_debug.ui.score_cards import card
from tests.ui.hand_made import make_run

SIZE = (100, 80)
WORD = (("Pearl", None, 0.8),)
FIRST_CELL = Region("spheres", (Rectangle(0, 0, 50, 40),))
STACKS = map_stack(make_run(WORD, [0.6, 0, 0, 0])), map_stack(make_run(WORD, [0.1, 0, 0, 0.1]))


def hand_grid(rows, cols):
    grid = SimpleNamespace(rows=rows, cols=cols, positions=np.arange(rows * cols), picture=0)
    return grid, Query((0,), "known"), "picture"


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
    assert region_charts.head_maps(scores, "spheres") == ("correct",)
    region_charts.head_chart(scores, "spheres", "correct", "mass", (0, -1)).to_dict()


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


def test_lift_is_mass_over_chance_and_its_chance_is_one():
    scores = scored()
    np.testing.assert_allclose(scores.sides[0].values("spheres", "lift")[0], 4)
    np.testing.assert_allclose(scores.difference("spheres", "lift")[0], 2)
    assert set(scores.layer_table("spheres", "lift")["chance"]) == {1.0}
    nowhere = Region("far away", (Rectangle(500, 500, 10, 10),))
    assert np.isnan(scored(left=(nowhere,)).sides[0].values("far away", "lift")).all()


def test_charts_are_drawn_and_described_in_mass_and_in_lift():
    scores = scored()
    assert region_charts.head_maps(scores, "spheres") == ("correct", "failing", "difference")
    for shown in ("mass", "lift"):
        region_charts.layer_chart(scores, "spheres", shown, 2).to_dict()
        for which in region_charts.head_maps(scores, "spheres"):
            region_charts.head_chart(scores, "spheres", which, shown, (0, -1)).to_dict()
    said = region_charts.describe(scores, "spheres", "layers")
    assert "correct highest at layer 0: 100.0%, chance 25.0%" in said
    assert "layer 0, head 0: +50.0%" in region_charts.describe(scores, "spheres", "difference")
    assert "layer 0, head 0: 4.00" in region_charts.describe(scores, "spheres", "correct", "lift")


def test_both_sides_have_one_colour_scale():
    scores = scored()
    charts = [region_charts.head_chart(scores, "spheres", side, "mass", (0, 0)).to_dict() for side in SIDES]
    domains = [chart["layer"][0]["encoding"]["color"]["scale"]["domain"] for chart in charts]
    assert domains == [[0, pytest.approx(1)]] * 2


def test_of_two_regions_of_one_name_neither_is_lost():
    last_cell = Region("spheres", (Rectangle(50, 40, 50, 40),))
    scores = scored(left=(FIRST_CELL, last_cell))
    assert scores.names == ("spheres", "spheres 2")
    np.testing.assert_allclose([scores.sides[0].mass[name][0, -1] for name in scores.names], [1, 0], atol=1e-6)


def test_the_most_telling_region_differs_most_among_those_with_an_expectation():
    other = Region("corner", (Rectangle(50, 40, 50, 40),))
    measured = Region("spheres", FIRST_CELL.shapes, "measure")
    even = Region("all", (Rectangle(0, 0, 100, 80),))
    assert scored(left=(measured, even, other), right=(measured, even, other)).most_telling() == "corner"


def test_a_card_says_how_many_other_places_score_less_or_why_none_do():
    rows, cols = 12, 16
    values = np.full((1, 1, rows, cols), 1e-4, np.float32)
    values[0, 0, 6:8, 8:10] = 1
    stack = MapStack(values / values.sum(), *[np.ones((1, 1), np.float32)] * 2, *hand_grid(rows, cols))
    spot = Region("spot", (Rectangle(320, 240, 80, 80),))
    whole = Region("whole", (Rectangle(0, 0, 640, 480),))
    scores = score_sides((stack, stack), ((spot, whole), (spot,)), ((640, 480), (640, 480)))
    masks = [region_mask(region, (640, 480)) for region in (spot, whole)]
    spots, wholes = (covers_elsewhere(mask, (rows, cols)) for mask in masks)
    less = int((spots @ values.ravel() < 3.999).sum())
    assert less > 3
    words = "all 100" if less == 100 else f"{less} of 100"
    assert f"more than {words}<" in card(scores, "spot", 0, 0, (spots, spots))
    here, there = spots.copy(), spots.copy()
    here[:3], there[:] = scores.sides[0].covers["spot"], scores.sides[0].covers["spot"]
    said = card(scores, "spot", 0, 0, (here, there))
    assert f"more than {less - 3} of 100<" in said
    assert "more than none of 100<" in said, "places that tie are not less"
    assert "covers the whole picture" in card(scores, "whole", 0, 0, (wholes, None))
    assert "overlaps itself by more than half" in card(scores, "spot", 0, 0, (wholes, spots))
    few = card(scores, "spot", 0, 0, (spots[:37], spots))
    assert re.search(r">more than (all|\d+ of) 37</span> <span[^>]*>only 37 possible<", few)
    assert few.count("possible") == 1


def test_gallery_masks_become_regions_and_what_was_asked_about_is_to_be_looked_at(tmp_path):
    masks = {}
    for name in ("star", "heart"):
        masks[name] = tmp_path / f"{name}.png"
        pixels = np.zeros((40, 60), np.uint8)
        pixels[5:15, 10:30] = 255
        Image.fromarray(pixels).convert("1").save(masks[name])
    pair = SimpleNamespace(task="colour", question="星形是什么颜色？", expected="红色", regions={"correct": masks})
    star, heart = true_regions(pair, "correct")
    assert (star.expect, heart.expect) == ("look", "measure")
    np.testing.assert_array_equal(star.shapes[0].pixels, pixels > 0)


def test_a_region_that_covers_the_whole_picture_has_no_score_and_the_card_says_why():
    """Every map would have a mass of 1 there."""
    whole = Region("whole", (Rectangle(0, 0, 100, 80),))
    scores = scored((whole, FIRST_CELL), (whole, FIRST_CELL))
    assert scores.most_telling() == "spheres"
    reason = "covers the whole picture, so every map would score the same"
    assert card(scores, "whole", 0, -1).count(reason) == 2 * 8
    none = np.empty((0, 4), np.float32)
    assert card(scores, "whole", 0, -1, (none, none)).count(reason) == 2 * 10
    assert "No layer has a score" in region_reading(scores, "whole")
    for shown in ("mass", "lift"):
        region_charts.layer_chart(scores, "whole", shown, 0).to_dict()
        assert region_charts.describe(scores, "whole", "layers", shown)
        for which in region_charts.head_maps(scores, "whole"):
            region_charts.head_chart(scores, "whole", which, shown, (0, -1)).to_dict()
            assert region_charts.describe(scores, "whole", which, shown)
    assert len(scores.head_table("whole")) == 6


def test_a_dash_gives_the_reason_of_its_own_measure():
    """A thin region on an even map: NSS is undefined for another reason than the measures that count cells."""
    thin = Region("thin", (Rectangle(0, 0, 10, 80),))
    even = map_stack(make_run(WORD, [0.1, 0.1, 0.1, 0.1]))
    html = card(scored((thin,), (), (even, even)), "thin", 0, -1)
    row = next(part for part in html.split("<tr>") if 'data-measure="nss"' in part)
    assert "The map is even" in row
    row = next(part for part in html.split("<tr>") if 'data-measure="auc"' in part)
    assert "covers less than half of every cell" in row
    assert "use mass, lift or NSS" in row
    assert ">10 %<" in html
