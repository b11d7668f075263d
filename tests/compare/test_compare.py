"""Comparisons of runs that are small enough to check by hand, and unequal grids."""

import json
from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from qwenvl_debug.case import Case
from qwenvl_debug.compare import Alignment, common_grid, compare
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import jensen_shannon, question_query
from tests.maps.hand_made import CELLS, make_run

FIRST_CELL = np.array([0.6, 0, 0, 0, 0, 0])
LAST_CELL = np.array([0, 0, 0, 0, 0, 0.3])
EVEN = np.full(6, 0.1)


@pytest.fixture
def run():
    return make_run([FIRST_CELL, EVEN])


def test_comparing_a_run_with_itself_gives_exactly_zero(run):
    same = compare(run, run)
    assert (same.divergence[[0, 2]] == 0).all()
    assert (same.divergence_mean[[0, 2]] == 0).all()


def test_heads_that_look_at_different_cells_differ_by_one_and_equal_ones_by_zero(run):
    assert compare(run, make_run([LAST_CELL, EVEN])).divergence[0].tolist() == [1.0, 0.0]


def test_the_mean_compares_the_head_mean_maps():
    comparison = compare(make_run([FIRST_CELL, EVEN]), make_run([LAST_CELL, EVEN]))
    left = np.array([7, 1, 1, 1, 1, 1]) / 12  # (first cell + even) / 2
    assert comparison.divergence_mean[0] == pytest.approx(jensenshannon(left, left[::-1], base=2) ** 2, abs=1e-6)


def test_comparison_is_symmetric(run):
    other = make_run([EVEN, LAST_CELL])
    assert np.array_equal(compare(run, other).divergence, compare(other, run).divergence, equal_nan=True)


def test_layers_without_a_map_stay_nan_and_are_never_the_most_different(run):
    comparison = compare(run, make_run([FIRST_CELL, EVEN], layer_2=[LAST_CELL, EVEN]))
    assert np.isnan(comparison.divergence[1]).all()
    assert comparison.most_different_layer() == 2


def test_no_layer_is_most_different_where_none_has_a_map(run):
    blind = make_run([np.zeros(6), np.zeros(6)])
    assert compare(run, blind).most_different_layer() is None


def test_a_target_is_asked_with_on_both_sides_and_the_own_answers_are_kept(run):
    comparison = compare(run, replace(run, answer="dog"), target="bird")
    assert [side.answer for side in comparison.asked] == ["bird", "bird"]
    assert (comparison.correct.answer, comparison.failing.answer) == ("cat", "dog")
    assert comparison.left.query.label == comparison.right.query.label == "bird"


def test_a_run_that_was_forced_to_the_target_is_not_run_again(run):
    forced = run.force("bird")
    assert compare(forced, run, target="bird").asked[0] is forced


def test_chosen_tokens_ask_in_place_of_the_answer(run):
    other = make_run([EVEN, EVEN], question=([FIRST_CELL, EVEN], [FIRST_CELL, EVEN]))
    comparison = compare(run, other, correct_query=question_query(run), failing_query=question_query(other))
    assert (comparison.divergence[0] == 0).all()


def test_target_and_chosen_tokens_together_are_refused(run):
    with pytest.raises(QueryError, match="not with both"):
        compare(run, run, target="bird", correct_query=question_query(run))


def test_runs_of_models_of_unequal_depth_are_refused(run):
    deeper = replace(run, trace=replace(run.trace, n_layers=4))
    with pytest.raises(QueryError, match="3 layers of 2 heads"):
        compare(run, deeper)


def test_the_table_ranks_heads_and_puts_those_without_a_map_last(run):
    table = compare(run, make_run([LAST_CELL, EVEN], layer_2=[FIRST_CELL, EVEN])).table()
    assert list(table.columns) == ["layer", "head", "left", "right", "difference", "left_entropy", "right_entropy"]
    assert len(table) == 6
    assert table.iloc[0].tolist() == pytest.approx([0, 0, 0.6, 0.3, 1.0, 0.0, 0.0])
    assert table["layer"].tolist()[-2:] == [1, 1]
    assert table["difference"].isna().tolist() == [False] * 4 + [True] * 2


def test_the_layer_table_is_in_the_models_order_with_mean_shares(run):
    layers = compare(run, make_run([LAST_CELL, EVEN])).layers()
    assert layers["layer"].tolist() == [0, 1, 2]
    assert layers["left"].tolist()[0] == pytest.approx(0.6)
    assert layers["right"].tolist()[0] == pytest.approx(0.45)
    assert layers.iloc[1, 1:].isna().all()


def test_the_dictionary_is_plain_json_without_nan(run):
    text = json.dumps(compare(run, make_run([LAST_CELL, EVEN])).to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["layers"][1]["difference"] is None
    assert back["heads"][0]["difference"] == 1.0
    assert back["most_different_layer"] == 0


def test_equal_grids_come_out_as_they_went_in():
    maps = np.random.default_rng(1).random((2, 3, 5))
    left, right = common_grid(maps, maps)
    assert np.array_equal(left, maps)
    assert np.array_equal(right, maps)


UNEQUAL = pytest.mark.parametrize("shapes", [((2, 3), (3, 2)), ((7, 5), (10, 12)), ((1, 1), (4, 9))])


@UNEQUAL
def test_unequal_grids_keep_the_mass_of_every_map(shapes):
    rng = np.random.default_rng(3)
    maps = [rng.random((4, *shape)) for shape in shapes]
    laid = common_grid(*maps)
    assert laid[0].shape == laid[1].shape
    for before, after in zip(maps, laid, strict=True):
        assert np.allclose(after.sum(axis=(1, 2)), before.sum(axis=(1, 2)))


@UNEQUAL
def test_unequal_grids_differ_as_much_as_on_the_finest_grid_that_divides_both(shapes):
    rng = np.random.default_rng(4)
    (rows, cols), (other_rows, other_cols) = shapes
    left, right = rng.random((rows, cols)), rng.random((other_rows, other_cols))
    fine_rows, fine_cols = np.lcm(rows, other_rows), np.lcm(cols, other_cols)
    fine_left = np.kron(left, np.ones((fine_rows // rows, fine_cols // cols)))
    fine_right = np.kron(right, np.ones((fine_rows // other_rows, fine_cols // other_cols)))
    expected = jensenshannon(fine_left.ravel(), fine_right.ravel(), base=2) ** 2
    assert jensen_shannon(*(side.ravel() for side in common_grid(left, right))) == pytest.approx(expected)


def test_a_cell_is_cut_by_area():
    left, right = common_grid(np.array([[6.0, 0]]), np.array([[1.0, 2, 3]]))
    assert np.allclose(left, [[4, 2, 0, 0]])  # borders at 1/3, 1/2, 2/3
    assert np.allclose(right, [[1, 1, 1, 3]])


def test_the_same_picture_in_finer_cells_differs_by_nothing():
    coarse = np.random.default_rng(5).random((3, 4))
    fine = np.kron(coarse, np.ones((2, 3)))
    left, right = common_grid(coarse, fine)
    assert jensen_shannon(left.ravel(), right.ravel()) == pytest.approx(0, abs=1e-12)


def test_even_attention_differs_by_nothing_whatever_the_grids():
    tall = make_run([EVEN, EVEN])
    wide = replace(tall, grids=(SimpleNamespace(rows=1, cols=6, positions=CELLS, picture=0),))
    assert compare(tall, wide).divergence[0].tolist() == pytest.approx([0, 0], abs=1e-7)


def shifted(by):
    """The failing picture shows what lies `by` pixels further right on the correct one."""
    return Alignment("same frame", np.array([[1, 0, -by], [0, 1, 0], [0, 0, 1.0]]), 9, 9, 0.0, "By hand.")


def test_the_difference_is_the_correct_side_less_the_failing_one_with_the_head_mean_last(run):
    found = compare(run, make_run([LAST_CELL, EVEN])).difference(0)
    assert found.shape == (3, 3, 2, 3)
    assert found[0, 0].ravel().tolist() == [1, 0, 0, 0, 0, -1]
    assert (found[0, 1] == 0).all()
    assert found[0, 2].ravel().tolist() == pytest.approx([0.5, 0, 0, 0, 0, -0.5])
    assert np.isnan(found[1]).all()


def test_on_the_other_sides_grid_a_difference_keeps_its_mass(run):
    wide = make_run([LAST_CELL, EVEN], rows=1, cols=6)
    comparison = compare(run, wide)
    assert comparison.difference(0).shape[-2:] == (2, 3)
    assert comparison.difference(1).shape[-2:] == (1, 6)
    assert comparison.difference(1)[0, 0].ravel() == pytest.approx([0.5, 0.5, 0, 0, 0, -1])
    for side in (0, 1):
        assert comparison.difference(side)[0].sum(axis=(1, 2)) == pytest.approx([0, 0, 0], abs=1e-6)


def test_shifted_pictures_are_compared_where_both_show_something_and_nowhere_else(run):
    """What the correct run sees in its middle column the failing one sees in its left one: 10 pixels further left."""
    middle, left = np.array([0, 0.3, 0, 0, 0.1, 0]), np.array([0.3, 0, 0, 0.1, 0, 0])
    comparison = compare(make_run([middle, EVEN]), make_run([left, EVEN]), alignment=shifted(10))
    assert comparison.divergence[0].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert comparison.difference(0)[0, 0] == pytest.approx(np.array([[np.nan, 0, 0]] * 2), nan_ok=True, abs=1e-6)
    assert comparison.difference(1)[0, 0] == pytest.approx(np.array([[0, 0, np.nan]] * 2), nan_ok=True, abs=1e-6)
    assert compare(make_run([middle, EVEN]), make_run([left, EVEN])).divergence[0, 0] == 1


def test_pictures_that_do_not_lie_on_each_other_have_no_difference_but_shares(run):
    comparison = compare(run, make_run([LAST_CELL, EVEN]), alignment="by region")
    assert comparison.difference(0) is comparison.difference(1) is None
    assert np.isnan(comparison.divergence).all()
    assert comparison.most_different_layer() is None
    assert comparison.opens_on() == (0, -1)
    assert comparison.table()["left"].tolist()[0] == pytest.approx(0.6)


def test_a_normalisation_that_needs_the_neutral_question_takes_its_runs(run):
    neutral = (make_run([EVEN, EVEN]), make_run([EVEN, EVEN]))
    comparison = compare(run, make_run([LAST_CELL, EVEN]), normalisation="added", neutral=neutral)
    assert comparison.left.normalisation == comparison.right.normalisation == "added"
    assert comparison.neutral is neutral
    assert comparison.divergence[0, 0] == 1
    assert np.isnan(comparison.divergence[0, 1])  # the question added nothing to the even head


def test_each_of_two_models_is_asked_the_neutral_question(monkeypatch):
    """A model and its fine-tuned sister on one picture: neither is held against the other's neutral answer."""
    differ = import_module("qwenvl_debug.compare.differ")
    monkeypatch.setattr(differ, "ask_neutral", lambda run: run.model)
    case = Case(np.zeros((4, 4, 3), np.uint8), "Which animal?")
    base, sister, again = (SimpleNamespace(model=model, case=case) for model in ("base", "sister", "base"))
    assert differ._neutral(base, sister) == ("base", "sister")
    assert differ._neutral(base, again) == ("base", "base")


def test_runs_to_ask_that_belong_to_another_case_are_refused(micro):
    pixels = np.random.default_rng(3).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    runs = [micro.ask(Case(one, "Which animal?"), max_new_tokens=2) for one in pixels]
    forced = tuple(one.force("a cat") for one in runs)
    made = compare(*runs, asked=forced)
    assert (made.correct, made.failing, made.asked) == (*runs, forced)
    assert made.target == "a cat"
    for side in ("correct", "failing"):
        wrong = list(forced)
        wrong[side == "failing"] = forced[side == "correct"]
        with pytest.raises(QueryError, match=rf"^The run to ask on the {side} side belongs to another case \(another"):
            compare(*runs, asked=tuple(wrong))
    other = micro.ask(replace(runs[0].case, question="Which tower?"), target="a cat")
    with pytest.raises(QueryError, match="another question"):
        compare(*runs, asked=(other, forced[1]))
    with pytest.raises(QueryError, match="not with both"):
        compare(*runs, target="a cat", asked=forced)


def test_pictures_without_a_common_area_are_compared_by_shares_alone(run):
    apart = Alignment("registered", np.array([[0, -1, 900], [1, 0, 900], [0, 0, 1.0]]), 30, 40, 0.5, "By hand.")
    made = compare(run, make_run([LAST_CELL, EVEN]), alignment=apart)
    assert made.pieces.empty
    assert np.isnan(made.divergence).all()
    assert np.isnan(made.difference(0)).all()
    assert made.most_different_layer() is None
    assert made.opens_on() == (0, -1)
