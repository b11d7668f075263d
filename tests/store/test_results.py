"""Comparisons and scores: the numbers that come back are those that were saved, with and without traces."""

from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.compare import compare
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
