"""Comparisons and scores: the numbers that come back are those that were saved, with and without traces."""

from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.compare import Alignment, compare
from qwenvl_debug.errors import StoreError
from qwenvl_debug.maps import answer_query, ask_neutral, map_stack, question_query
from qwenvl_debug.regions import Ellipse, Mask, Region, score_stack
from qwenvl_debug.store import (
    comparison_numbers,
    files,
    load_comparison,
    load_run,
    save_comparison,
    save_run,
    save_scores,
    scores_of,
)
from qwenvl_debug.store.room import make_room
from qwenvl_debug.store.tables import ComparisonRow


@pytest.fixture(scope="module")
def failing(model, case):
    noise = np.random.default_rng(5).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    return model.ask(Case([noise, case.pictures[1]], case.question), max_new_tokens=4)


@pytest.mark.parametrize("target", [None, "a tower"])
def test_a_comparison_comes_back_with_every_number(store, run, failing, target):
    made = compare(run, failing, target=target, picture=1, normalisation="row")
    number = save_comparison(store, made)
    assert save_comparison(store, made) == number
    back = load_comparison(store, number)
    assert back.to_dict() == made.to_dict()
    assert (back.correct, back.failing, back.target) == (run, failing, target)
    assert back.asked == made.asked
    assert back.divergence.tobytes() == made.divergence.tobytes()
    assert back.left.query == made.left.query


def test_a_comparison_held_against_the_neutral_question_comes_back_with_it_and_with_how_the_pictures_lie(
    store, run, failing
):
    neutral = tuple(ask_neutral(one) for one in (run, failing))
    made = compare(run, failing, picture=1, normalisation="ratio", neutral=neutral, alignment="by region")
    back = load_comparison(store, save_comparison(store, made))
    assert back.to_dict() == made.to_dict()
    assert (back.neutral, back.alignment.kind) == (neutral, "by region")
    np.testing.assert_array_equal(back.left.values, made.left.values)
    plain = compare(run, failing, picture=1, alignment="same frame")
    assert load_comparison(store, save_comparison(store, plain)).alignment.kind == "same frame"


@pytest.fixture(scope="module")
def forced(run, failing, model):
    """Both cases with an answer fed in that the model did not give."""
    return tuple(model.ask(one.case, target="a tower", max_new_tokens=4) for one in (run, failing))


def test_what_the_model_said_is_kept_apart_from_what_was_fed_in(store, run, failing, forced):
    queries = {f"{side}_query": answer_query(one) for side, one in zip(("correct", "failing"), forced, strict=True)}
    made = compare(run, failing, asked=forced, **queries)
    assert made.target == "a tower"
    back = load_comparison(store, save_comparison(store, made))
    assert (back.correct, back.failing) == (run, failing)
    assert back.asked == forced
    assert [one.forced for one in (back.correct, back.failing, *back.asked)] == [False, False, True, True]
    printed = back.to_dict()
    assert printed == made.to_dict()
    assert printed["failing"]["answer"] == failing.answer != "a tower"
    assert printed["failing"]["forced"] is False
    asked = printed["asked"]["failing"]
    assert (asked["answer"], asked["right"], asked["forced"], asked["target"]) == (None, None, True, "a tower")
    assert compare(run, failing).to_dict()["asked"] == {"correct": None, "failing": None}


def test_a_record_of_an_earlier_version_is_read_and_finds_what_the_model_said(store, run, failing, forced):
    """It kept the forced runs as if they were the model's, and of the alignment its kind alone."""
    made = compare(*forced, alignment="same frame")
    assert made.correct.forced
    number = save_comparison(store, made)
    with store.writing() as session:
        row = session.get(ComparisonRow, number)
        kept = {name: value for name, value in row.queries.items() if name not in ("regions", "neutral")}
        row.queries = {**kept, "alignment": "same frame"}
    alone = load_comparison(store, number)
    assert alone.correct == forced[0]
    assert alone.to_dict()["correct"]["answer"] is None  # nothing else is known of this case
    for one in (run, failing):
        save_run(store, one)
    back = load_comparison(store, number)
    assert (back.correct, back.failing, back.asked) == (run, failing, forced)
    assert back.alignment.kind == "same frame"
    assert back.divergence.tobytes() == made.divergence.tobytes()


def test_the_alignment_and_the_regions_come_back_as_they_were(store, run, failing):
    known = np.array([[0.9, 0.1, 3], [-0.1, 0.9, 5], [0, 0, 1.0]])
    laid = Alignment("registered", known, 0, 0, 0.0, "Known from the change.", known=True)
    regions = [Region("disc", Ellipse(45, 30, 20, 9, 10)), Region("dots", Mask(np.eye(60, 90, dtype=bool)))]
    made = compare(run, failing, regions=regions, alignment=laid)
    back = load_comparison(store, save_comparison(store, made))
    assert np.array_equal(back.alignment.homography, known)
    assert back.alignment.known
    assert [one.sided for one in back.regions] == [one.sided for one in made.regions]
    assert back.to_dict() == made.to_dict()


def test_another_query_is_another_comparison(store, run, failing):
    first = compare(run, failing)
    other = compare(run, failing, correct_query=question_query(run), failing_query=question_query(failing))
    assert save_comparison(store, first) != save_comparison(store, other)


def test_the_numbers_of_a_comparison_outlive_its_traces(store, run, failing):
    made = compare(run, failing)
    number = save_comparison(store, made)
    make_room(replace(store, disk=0))
    with pytest.raises(StoreError, match="removed to make room"):
        load_comparison(store, number)
    whole = made.to_dict()
    assert comparison_numbers(store, number) == {
        name: whole[name] for name in ("most_different_layer", "layers", "heads")
    }
    save_comparison(store, made)  # whoever still has the runs brings the traces back
    assert load_comparison(store, number).to_dict() == whole


def test_scores_come_back_with_the_region_as_it_was(store, run):
    number, query = save_run(store, run), answer_query(run)
    region = Region("spheres", (Ellipse(30, 30, 20, 9), Mask(np.eye(60, 90, dtype=bool))))
    scores = score_stack(map_stack(run, query), [region], (90, 60), ["mass", "auc"])
    values = {name: array[0] for name, array in scores.items()}
    saved = save_scores(store, number, region, query, values)
    (back,) = scores_of(store, number)
    assert (back.id, back.run_id, back.region, back.query) == (saved, number, region, query)
    assert (back.picture, back.normalisation) == (0, "picture")
    assert {name: array.tobytes() for name, array in back.values.items()} == {
        name: array.astype(np.float64).tobytes() for name, array in values.items()
    }


def test_scores_of_the_same_region_and_query_replace_the_old_ones(store, run):
    number, query, region = save_run(store, run), answer_query(run), Region("spheres", Ellipse(30, 30, 20, 9))
    before = len(list(files.names(store.folder)))
    first = save_scores(store, number, region, query, {"mass": np.zeros((2, 3))})
    assert save_scores(store, number, region, query, {"mass": np.full((2, 3), np.nan)}) == first
    assert np.isnan(scores_of(store, number)[0].values["mass"]).all()
    assert len(list(files.names(store.folder))) == before + 1
    save_scores(store, number, replace(region, name="balls"), query, {"mass": np.zeros((2, 3))})
    assert [one.region.name for one in scores_of(store, number)] == ["spheres", "balls"]


def test_scores_of_a_run_that_is_not_there_are_refused(store, run):
    with pytest.raises(StoreError, match="There is no run 3"):
        save_scores(store, 3, Region("a", Ellipse(1, 1, 1, 1)), answer_query(run), {"mass": np.zeros((1, 1))})
    assert scores_of(store, 3) == ()
    assert load_run(store, save_run(store, run)).answer == run.answer
