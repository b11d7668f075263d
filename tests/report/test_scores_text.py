"""What a terminal is told about regions: shares beside chance, and a dash with the reason where there is no number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from qwenvl_debug.compare import Alignment, compare
from qwenvl_debug.regions import Rectangle, Region, score_run
from qwenvl_debug.report.scores_text import masses_text, scores_text
from qwenvl_debug.report.text import comparison_text
from tests.maps.hand_made import PICTURE, HandRun, make_run

FIRST = Region("first", Rectangle(0, 0, 10, 10))
OUT = Region("out", Rectangle(100, 0, 3, 3), "avoid")
LEFT, RIGHT = np.array([0.6, 0.2, 0, 0, 0, 0]), np.array([0, 0, 0, 0, 0, 0.3])


@dataclass(frozen=True)
class Answered(HandRun):
    right: bool | None = True


def run_with(*heads):
    case = SimpleNamespace(question="Which animal?", pictures=(PICTURE,), expected="cat")
    return Answered(**vars(replace(make_run(heads), case=case)))


def test_each_region_has_its_layers_chance_and_best_heads():
    run = run_with(LEFT, RIGHT)
    text = scores_text(run, score_run(run, [FIRST]))
    assert "first (should look here): 17 % of the picture" in text
    assert "0    38 %      2.2 x" in text
    assert "layers 1 have no softmax attention" in text
    assert "most inside, of single heads: 0.0 75 % (4.5 x), 2.0 75 % (4.5 x), 0.1 0 % (0.0 x)" in text


def test_a_region_that_cannot_be_scored_is_a_dash_with_the_reason():
    run = run_with(LEFT, RIGHT)
    text = scores_text(run, score_run(run, [OUT]))
    assert "out (should not look here): –\n  The region is empty, or lies outside the picture." in text
    assert "nan" not in text


def test_both_sides_stand_beside_chance_and_the_heads_that_differ_most_are_named():
    text = masses_text(compare(run_with(LEFT, RIGHT), run_with(RIGHT, RIGHT), regions=FIRST))
    assert (
        "Share of attention inside “first”; chance gives 17 % on the correct side, 17 % on the failing side (" in text
    )
    assert "0     38 %      0 %       +37.5" in text
    assert "differ most, of single heads: 0.0 +75.0, 2.0 +75.0, 0.1 +0.0, 2.1 +0.0" in text


def test_a_side_without_a_region_has_dashes():
    runs = run_with(LEFT, RIGHT), run_with(RIGHT, RIGHT)
    text = masses_text(compare(*runs, left_regions=FIRST, alignment="by region"))
    assert "“first” is drawn on the correct image only, and the images are not aligned." in text
    assert "chance gives 17 % on the correct side (" in text
    assert "0     38 %        –           –" in text
    assert "nan" not in text
    assert "differ most" not in text


def test_what_falls_outside_the_other_image_is_said():
    runs, region = (run_with(LEFT, RIGHT), run_with(RIGHT, RIGHT)), Region("wide", Rectangle(0, 0, 20, 10))
    crop = np.array([[1, 0, -5], [0, 1, 0], [0, 0, 1.0]])
    text = masses_text(compare(*runs, regions=region, alignment=Alignment("same frame", crop, 9, 9, 0.0, "By hand.")))
    assert "“wide” on the failing image: same frame, shifted by -5 px across and +0 px down; 25 % of it lies" in text
    gone = masses_text(
        compare(*runs, regions=FIRST, alignment=Alignment("same frame", 2 * crop - np.eye(3), 9, 9, 0, ""))
    )
    assert gone.count("outside") == 1
    assert "all of it lies outside that image, so it has no score there." in gone
    assert "0     38 %        –           –" in gone


def test_aligned_images_without_a_common_area_are_said_to_have_none():
    apart = Alignment("registered", np.array([[0, -1, 900], [1, 0, 900], [0, 0, 1.0]]), 30, 40, 0.5, "By hand.")
    text = comparison_text(compare(run_with(LEFT, RIGHT), run_with(RIGHT, RIGHT), alignment=apart))
    assert "By hand. They share no area, so no cell is compared." in text
    assert "nan" not in text


def test_without_regions_nothing_is_said():
    assert masses_text(compare(run_with(LEFT, RIGHT), run_with(RIGHT, RIGHT))) == ""
