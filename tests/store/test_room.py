"""The cap: the oldest traces go first, and nothing but traces goes."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.errors import StoreError
from qwenvl_debug.maps import answer_query
from qwenvl_debug.model import Trace
from qwenvl_debug.regions import Mask, Region
from qwenvl_debug.store import (
    add_region,
    check,
    files,
    find_run,
    load_case,
    load_run,
    regions_of,
    save_run,
    save_scores,
    scores_of,
)
from qwenvl_debug.store.room import make_room
from qwenvl_debug.store.tables import RunRow


def variant(run, number):
    """The same run as if made at another time, with another trace."""
    tensors, facts = run.trace.to_tensors()
    trace = Trace.from_tensors({name: tensor + number for name, tensor in tensors.items()}, facts)
    provenance = replace(run.provenance, created=f"2026-01-{number + 1:02d}T00:00:00+00:00")
    return replace(run, trace=trace, vision=(), provenance=provenance)


def disk_use(store):
    return sum(files.path_of(store.folder, name).stat().st_size for name in files.names(store.folder))


def with_trace(store, numbers):
    with store.reading() as session:
        return [session.get(RunRow, number).trace is not None for number in numbers]


def test_the_oldest_traces_make_room_and_nothing_else_goes(store, run, model):
    oldest_last = [variant(run, number) for number in (2, 1, 0)]
    numbers = [save_run(store, one) for one in oldest_last]
    full = disk_use(store)
    region = Region("spheres", Mask(np.eye(60, 90, dtype=bool)))
    added = add_region(store, run.case.pictures[0], region)
    save_scores(store, numbers[2], region, answer_query(run), {"mass": np.ones((3, 5))})

    tight = replace(store, disk=full)  # what was added since must take the place of one trace
    assert make_room(tight) == 1
    assert disk_use(store) <= full
    assert with_trace(store, numbers) == [True, True, False]
    with pytest.raises(StoreError, match="removed to make room: ask the case again"):
        load_run(store, numbers[2])
    assert load_run(store, numbers[0]).trace.weights(0).shape == run.trace.weights(0).shape

    assert make_room(replace(store, disk=1)) == 2
    assert with_trace(store, numbers) == [False, False, False]
    assert find_run(store, model, run.case, max_new_tokens=4, vision_layers=(0,)) is None
    with store.reading() as session:
        assert session.get(RunRow, numbers[0]).answer == run.answer
    assert load_case(store, 1) == run.case
    assert regions_of(store, run.case.pictures[0]) == (added,)
    assert scores_of(store, numbers[2])[0].values["mass"].tolist() == np.ones((3, 5)).tolist()
    assert check(store, abandoned=0).clean


def test_saving_keeps_within_the_cap_by_itself(store, run):
    first = save_run(store, variant(run, 0))
    small = replace(store, disk=disk_use(store) + 1000)
    second = save_run(small, variant(run, 1))
    assert disk_use(store) <= small.disk
    assert with_trace(store, [first, second]) == [False, True]
    assert save_run(small, variant(run, 0)) == first  # whoever still has it may bring it back, but it is older
    assert with_trace(store, [first, second]) == [False, True]


def test_a_trace_that_two_runs_share_goes_with_the_second(store, run):
    twin = replace(run, provenance=replace(run.provenance, created="2020-01-01T00:00:00+00:00"))
    numbers = [save_run(store, run), save_run(store, twin)]
    pictures = sum(1 for name in files.names(store.folder) if name.endswith(".png"))
    assert len(list(files.names(store.folder))) == pictures + 1
    make_room(replace(store, disk=disk_use(store) - 1))
    assert with_trace(store, numbers) == [False, False]
    assert len(list(files.names(store.folder))) == pictures


def test_saving_and_removing_the_same_trace_at_once_loses_no_file_that_a_row_names(store, run):
    errors = []

    def work(job):
        try:
            for _ in range(6):
                job()
        except Exception as error:
            errors.append(error)

    jobs = [lambda: save_run(store, variant(run, 0)), lambda: make_room(replace(store, disk=1))]
    threads = [threading.Thread(target=work, args=(job,)) for job in jobs * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = check(store, abandoned=0)
    assert (found.missing, found.changed, found.unfinished) == ((), (), ())
    assert check(store, repair=True).clean
