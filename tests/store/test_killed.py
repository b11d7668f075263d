"""Killed while saving: the store opens, nothing that was said to be safe is lost, and the check puts the rest right."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from qwenvl_debug.store import check, load_case, load_run, open_store, scores_of
from qwenvl_debug.store.region_rows import join
from qwenvl_debug.store.tables import RegionRow

KILLS = int(os.environ.get("QWENVL_DEBUG_TEST_KILLS", "6"))
"""How often each database's program is killed; 50 was tried too."""

WRITERS = 4


@pytest.fixture(scope="module")
def program():
    """The process that starts copies of itself on request, see `killed`."""
    command = [sys.executable, "-m", "tests.store.killed"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as process:
        yield process
        process.stdin.close()


def saved_until_killed(program, settings, seeds, steps, after):
    """Have a copy per seed save; once all of them together said so many things, wait, and kill them all.

    Returns:
        What they said was safe, as (word, number).
    """
    asked = {"data": str(settings.data), "database": settings.database, "seeds": seeds}
    program.stdin.write(json.dumps(asked) + "\n")
    said, children = [], []
    for line in program.stdout:
        word, number = line.split()
        if word == "gone":
            return said
        if word == "pid":
            children.append(int(number))
        else:
            said.append((word, int(number)))
        if steps is not None and len(said) >= steps and len(children) == len(seeds):
            time.sleep(after)
            for child in children:
                os.kill(child, signal.SIGKILL)
            steps = None
    raise AssertionError("the program ended by itself")


def assert_safe(store, said):
    for word, number in said:
        if word == "case":
            load_case(store, number)
        elif word == "run":
            load_run(store, number).trace.weights(1)
        elif word == "scores":
            assert scores_of(store, number)[0].values["mass"].shape == (2, 3)
        else:
            with store.reading() as session:
                row = session.get(RegionRow, number)
            assert join(store, row.record, row.masks).name in ("spheres", "balls")


def test_killing_a_program_while_it_saves_loses_nothing_that_was_safe(settings, program):
    open_store(settings).close()
    moments, everything, left_over = random.Random(0), [], 0
    for kill in range(KILLS):
        said = saved_until_killed(program, settings, [kill], 1, moments.uniform(0, 0.2))
        everything += said
        store = open_store(settings)
        assert_safe(store, said)
        found = check(store, repair=True, abandoned=0)
        assert (found.missing, found.changed, found.lost, found.damage) == ((), (), (), ())
        assert found.without_trace == 0
        left_over += len(found.orphaned) + len(found.unfinished)
        assert check(store, abandoned=0).clean
        store.close()
    store = open_store(settings)
    assert_safe(store, everything)
    store.close()
    print(f"{KILLS} kills, {len(everything)} things safe, {left_over} files left over")


def test_several_programs_that_save_at_once_lose_nothing(settings, program):
    said = saved_until_killed(program, settings, list(range(WRITERS)), 8 * WRITERS, 0)
    store = open_store(settings)
    assert len(set(said)) == len(said) >= 8 * WRITERS
    assert_safe(store, said)
    assert check(store, repair=True, abandoned=0).clean
    store.close()
