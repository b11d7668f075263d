"""Changes in graded strength, and what they do to the answer: on pictures with known content and the bundled model."""

import json
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import PERTURBATIONS, sweep
from qwenvl_debug.errors import Cancelled, QueryError
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.regions import Mask, Rectangle, Region, carry, mask_from_png, region_mask

MIDDLE = Region("middle", Rectangle(40, 30, 40, 30))
QUESTION = "Which tower is this?"


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def fogged(micro):
    pair = pairs()[0]
    region = Region("tower", mask_from_png(pair.regions["correct"]["tower"], (640, 480)))
    case = Case(pair.correct, pair.question, expected=pair.expected)
    told = []
    made = sweep(micro, case, "fog", (0.2, 0.95), regions=[region], progress=lambda *what: told.append(what))
    return made, told


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_change_leaves_strength_0_alone_is_repeatable_and_grows(pixels, name):
    one, mask = PERTURBATIONS[name], region_mask(MIDDLE, (120, 90))
    soft = np.repeat(np.repeat(pixels[::10, ::10], 10, 0), 10, 1)
    assert np.array_equal(one.apply(soft, 0, region_mask=mask)[0], soft)
    made = [one.apply(soft, strength, region_mask=mask)[0] for strength in one.strengths]
    assert all(step.dtype == np.uint8 and step.shape == soft.shape for step in made)
    assert np.array_equal(one.apply(soft, one.strengths[-1], region_mask=mask)[0], made[-1])
    off = [np.abs(step.astype(int) - soft).mean() for step in made]
    assert off[0] == 0
    assert off[1] > 0
    assert off[-1] > off[1]
    with pytest.raises(QueryError, match="goes from 0 to"):
        one.apply(soft, one.most * 1.1, region_mask=mask)


@pytest.mark.parametrize("name", ["rotation", "scale", "crop"])
def test_regions_are_carried_to_where_the_picture_moved(name):
    """A red block is painted on the region: after the change, the carried region is where the red is."""
    size = (120, 90)
    block = Region("block", Mask(region_mask(Region("block", Rectangle(50, 36, 24, 15)), size)))
    pixels = np.full((90, 120, 3), 255, np.uint8)
    pixels[region_mask(block, size)] = (255, 0, 0)
    changed, homography = PERTURBATIONS[name].apply(pixels, PERTURBATIONS[name].strengths[2])
    found = region_mask(carry(block, homography, size, size).region, size)
    red = changed[..., 1] < 128
    assert (found & red).sum() / (found | red).sum() > 0.9


def test_the_board_covers_the_region_from_below_and_nothing_else(pixels):
    changed, _ = PERTURBATIONS["occlude"].apply(pixels, 0.5, region_mask=region_mask(MIDDLE, (120, 90)))
    differs = (changed != pixels).any(-1)
    assert differs[45:60, 40:80].mean() > 0.95
    differs[45:60, 40:80] = False
    assert not differs.any()


def test_what_needs_a_region_says_so(pixels):
    with pytest.raises(QueryError, match="needs a region"):
        PERTURBATIONS["occlude"].apply(pixels, 0.5)


def test_a_sweep_follows_the_answer_until_it_flips(fogged):
    made, told = fogged
    assert [step.strength for step in made.steps] == [0.0, 0.2, 0.95]
    assert made.steps[0].right
    assert made.flip == 2
    assert [step.right for step in made.steps] == [True, True, False]
    assert made.steps[2].probability < made.steps[0].probability
    assert [what[:2] for what in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_the_probability_is_that_of_the_whole_target_with_its_end(fogged):
    step = fogged[0].steps[1]
    chosen = [token.probability for token in step.asked.tokens if token.kind in ("answer", "end")]
    assert step.probability == pytest.approx(np.prod(chosen))
    assert step.per_token == pytest.approx(np.prod(chosen) ** (1 / len(chosen)))


def test_the_table_has_the_mass_of_the_head_that_was_best_at_first(fogged):
    made = fogged[0]
    layer, head = made.best_head("tower")
    assert made.steps[0].masses["tower"][layer, head] == np.nanmax(made.steps[0].masses["tower"])
    table = made.table()
    assert table["mass_tower"].tolist() == [step.masses["tower"][layer, head] for step in made.steps]
    assert table["mass_tower"][0] > 2 * table["chance_tower"][0]
    assert json.loads(json.dumps(made.to_dict(), allow_nan=False))["flip"] == {"step": 2, "strength": 0.95}


def test_any_step_opens_as_a_comparison_and_the_first_differs_by_nothing(fogged):
    made = fogged[0]
    assert (made.comparison(0).divergence == 0).all()
    last = made.comparison(2)
    assert last.alignment.kind == "same frame"
    assert last.failing.answer == made.steps[2].run.answer
    assert last.target == made.target
    assert last.divergence_mean.max() > 0.01
    assert last.regions[0].name == "tower"


def test_a_sweep_can_be_stopped_and_refuses_what_there_is_not(micro, pixels):
    stop = Event()
    case = Case(pixels, QUESTION)
    with pytest.raises(Cancelled):
        sweep(micro, case, "fog", (0.5,), progress=lambda *_: stop.set(), cancel=stop)
    with pytest.raises(QueryError, match="no change “snow”"):
        sweep(micro, case, "snow")
    with pytest.raises(QueryError, match="goes from 0 to 1"):
        sweep(micro, case, "fog", (2,))


def test_without_an_expected_answer_the_first_answer_is_held_to(micro):
    picture = Picture.open(pairs()[0].correct)
    made = sweep(micro, Case(picture, QUESTION), "crop", (0.2,))
    assert made.target == made.steps[0].run.answer
    assert made.steps[0].asked is made.steps[0].run
    assert made.steps[1].alignment.kind == "registered"


def test_a_sweep_without_any_answer_to_follow_is_refused(micro, pixels):
    class Silent:
        def ask(self, case, **more):
            return replace(micro.ask(case, max_new_tokens=1), answer="")

    with pytest.raises(QueryError, match="give a target to follow"):
        sweep(Silent(), Case(pixels, QUESTION), "fog", (0.2,))


def test_a_sweep_refuses_a_normalisation_that_there_is_not(micro, pixels):
    with pytest.raises(QueryError, match="Normalisation is one of"):
        sweep(micro, Case(pixels, QUESTION), "fog", (0.2,), regions=[MIDDLE], normalisation="none")
