"""Averaged rows are computed once, and never outlive what they were computed from."""

import gc

import numpy as np

from qwenvl_debug.maps import find_sinks, map_stack, question_query, rows
from tests.maps.hand_made import make_run

EVEN = np.full(6, 0.1)


def counted(monkeypatch):
    """How often rows were averaged from now on."""
    calls = []
    average = rows.average
    monkeypatch.setattr(rows, "average", lambda *given: calls.append(given) or average(*given))
    return calls


def test_another_normalisation_asks_the_trace_for_nothing(monkeypatch):
    run, calls = make_run([EVEN, EVEN]), counted(monkeypatch)
    for normalisation in ("picture", "row", "no_sinks"):
        map_stack(run, normalisation=normalisation)
    assert len(calls) == 1
    map_stack(run, question_query(run))
    assert len(calls) == 2


def test_two_runs_of_the_same_words_are_not_mistaken_for_each_other():
    first, second = make_run([EVEN, EVEN]), make_run([EVEN, EVEN / 2])
    assert map_stack(first).image_share[0, 1] != map_stack(second).image_share[0, 1]


def test_nothing_is_kept_of_a_run_that_is_gone():
    run, neutral = make_run([EVEN, EVEN]), make_run([EVEN, EVEN])
    numbers = {id(run.trace), id(neutral.trace)}
    map_stack(run, normalisation="ratio", neutral=neutral)
    find_sinks(run, neutral=neutral)
    assert {number for key in rows._kept for number in key[0]} & numbers == numbers
    del run, neutral
    gc.collect()
    assert not {number for key in rows._kept for number in key[0]} & numbers
    assert not rows._watched & numbers


def test_what_is_kept_has_a_bound_and_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr(rows, "_kept", type(rows._kept)())
    one = rows.averaged_rows(make_run([EVEN, EVEN]), question_query(make_run([EVEN, EVEN])))
    monkeypatch.setattr(rows, "KEPT_BYTES", int(2.5 * one.nbytes))
    runs = [make_run([EVEN, EVEN]) for _ in range(4)]
    for run in runs:
        map_stack(run)
    assert [key[0][0] for key in rows._kept] == [id(run.trace) for run in runs[-2:]]


def test_kept_rows_cannot_be_changed_by_accident():
    run = make_run([EVEN, EVEN])
    stack = map_stack(run, normalisation="row")
    stack.values[:] = 0  # a caller's own copy
    assert map_stack(run, normalisation="row").values[0].max() > 0
    assert not rows.averaged_rows(run, question_query(run)).flags.writeable
