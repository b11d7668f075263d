"""Changes in graded strength, and what they do to the answer: on pictures with known content and the bundled model."""

import json
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import PERTURBATIONS, sweep
from qwenvl_debug.errors import Cancelled, QueryError, RegionError
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.regions import Mask, Rectangle, Region, carry, mask_from_png, region_mask
from qwenvl_debug.settings import Settings
from qwenvl_debug.store import load_comparison, open_store, save_comparison

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
    assert step.asked.tokens[-1].kind == "end"
    assert step.probability == pytest.approx(np.prod(chosen))
    assert step.per_token == pytest.approx(np.prod(chosen) ** (1 / len(chosen)))


def test_every_step_has_the_probability_of_the_same_tokens_fed_in(micro, fogged):
    """Where the model's own answer is the target its own run is used: that is the forced run to rounding."""
    for step in fogged[0].steps:
        forced = micro.ask(step.case, target=fogged[0].target)
        new = [token for token in forced.tokens if token.kind in ("answer", "end")]
        assert [token.id for token in step.asked.tokens] == [token.id for token in forced.tokens]
        assert step.probability == pytest.approx(np.prod([token.probability for token in new]), rel=1e-4)
    assert fogged[0].steps[0].asked is fogged[0].steps[0].run
    assert fogged[0].steps[2].asked is not fogged[0].steps[2].run


@pytest.mark.parametrize("strengths", [(0.2, 0.95)])
def test_the_length_limit_of_answers_does_not_change_a_probability(micro, fogged, strengths):
    """“Oriental Pearl Tower” cut after as many tokens as it has is the target word for word, but has no end token."""
    case, target = fogged[0].steps[0].case, fogged[0].target
    tokens = len(fogged[0].steps[0].asked.answer_tokens)
    for limit in (1, tokens, tokens + 1):
        made = sweep(micro, case, "fog", strengths, target=target, max_new_tokens=limit)
        for one, wanted in zip(made.steps, fogged[0].steps, strict=True):
            assert one.probability == pytest.approx(wanted.probability, rel=1e-4)
            assert one.per_token == pytest.approx(wanted.per_token, rel=1e-4)


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


@pytest.mark.parametrize(("change", "strength"), [("rotation", 180), ("rotation", 90), ("rotation", 45), ("crop", 0.5)])
def test_a_step_is_compared_by_the_very_transform_that_was_made(micro, change, strength):
    pair = pairs()[0]
    region = Region("tower", mask_from_png(pair.regions["correct"]["tower"], (640, 480)))
    case = Case(pair.correct, pair.question, expected=pair.expected)
    made = sweep(micro, case, change, (strength,), regions=[region])
    step = made.steps[1]
    _, homography = PERTURBATIONS[change].apply(case.pictures[0].pixels, strength)
    assert np.array_equal(step.alignment.homography, homography)
    found = made.comparison(1)
    assert found.alignment is step.alignment
    assert np.isfinite(found.divergence_mean).all()
    assert (found.correct, found.failing) == (made.steps[0].run, step.run)
    assert found.asked == (made.steps[0].asked, step.asked)
    (mass,) = found.regions
    moved = carry(region, homography, (640, 480), (640, 480))
    assert mass.right == moved.region
    assert mass.sided.outside == moved.outside
    assert mass.right_mass == pytest.approx(step.masses["tower"], abs=1e-6, nan_ok=True)
    assert "carried by the known transform" in mass.sided.said


def test_a_region_that_leaves_the_picture_has_no_number_and_that_is_said(micro, pixels):
    corner, middle = Region("corner", Rectangle(0, 0, 12, 9)), Region("middle", Rectangle(30, 30, 60, 30))
    made = sweep(micro, Case(pixels, QUESTION), "crop", (0.3, 0.6), regions=[corner, middle], target="cat")
    table = made.table()
    assert table["outside_corner"].tolist() == [0, 1, 1]
    assert np.isnan(table["mass_corner"][1:]).all()
    assert table["outside_middle"].tolist() == pytest.approx([0, 0, 1 - 48 / 60], abs=0.02)
    assert table["mass_middle"].notna().all()
    assert made.steps[1].lost() == ("All of “corner” lies outside the picture.",)
    assert made.steps[2].lost()[1] == "20 % of “middle” lies outside the picture."
    assert json.loads(json.dumps(made.to_dict(), allow_nan=False))["steps"][1]["mass_corner"] is None


def test_two_regions_of_one_name_are_refused(micro, pixels):
    with pytest.raises(RegionError, match="Two regions are called “middle”"):
        sweep(micro, Case(pixels, QUESTION), "fog", (0.2,), regions=[MIDDLE, MIDDLE])


def test_a_stored_step_comes_back_with_the_transform_and_what_the_model_said(micro, tmp_path):
    pair = pairs()[0]
    case = Case(pair.correct, pair.question, expected=pair.expected)
    region = Region("block", Rectangle(200, 100, 150, 120))
    made = sweep(micro, case, "rotation", (180,), regions=[region]).comparison(1)
    store = open_store(Settings(tmp_path / "data"))
    back = load_comparison(store, save_comparison(store, made))
    assert np.array_equal(back.alignment.homography, made.alignment.homography)
    assert back.to_dict() == made.to_dict()
    assert back.failing.answer == made.failing.answer
    store.close()
