"""One worker does the work: in order, with progress, and it stops when nobody waits."""

import threading
from types import SimpleNamespace

import pytest

from qwenvl_debug.errors import Cancelled, ModelLoadError
from qwenvl_debug.ui.jobs import KEPT_BYTES, KEPT_RESULTS, KEPT_VIEWS, Worker


def fail(error):
    def work(worker, progress, cancel):
        raise error

    return work


def give(value):
    return lambda worker, progress, cancel: value


class Gate:
    """Work that reports its start, then waits to be let through or cancelled."""

    def __init__(self):
        self.started, self.open = threading.Event(), threading.Event()

    def __call__(self, worker, progress, cancel):
        progress(0.5, "half way")
        self.started.set()
        while not self.open.wait(0.01):
            if cancel.is_set():
                raise Cancelled("The answer was stopped.")
        return "through"


def test_a_job_reports_how_far_it_is_and_gives_its_result():
    worker, gate = Worker(), Gate()
    job = worker.submit(("micro", 1), gate, "me")
    assert gate.started.wait(5)
    assert (job.finished, job.part, job.text, job.result) == (False, 0.5, "half way", None)
    gate.open.set()
    assert job.wait(5)
    assert (job.result, job.error) == ("through", None)


def test_two_sessions_share_one_piece_of_work_and_it_stops_when_both_have_left():
    worker, gate = Worker(), Gate()
    job = worker.submit(("micro", 1), gate, "me")
    assert worker.submit(("micro", 1), gate, "you") is job
    worker.leave(("micro", 1), "me")
    assert not job.cancelled
    worker.leave(("micro", 1), "you")
    assert job.cancelled
    assert job.wait(5)
    assert job.result is None
    assert worker.find(("micro", 1)) is None


def test_work_that_waits_in_the_queue_never_begins_once_it_is_left():
    worker, gate, ran = Worker(), Gate(), []
    first = worker.submit(("micro", 1), gate, "me")
    assert gate.started.wait(5)
    second = worker.submit(("micro", 2), lambda *_: ran.append(2), "me")
    worker.leave(("micro", 2), "me")
    gate.open.set()
    assert first.wait(5)
    assert second.wait(5)
    assert ran == []
    assert second.error == "Stopped; nothing was changed."


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ModelLoadError("There is no such model."), "There is no such model."),
        (Cancelled("The answer was stopped."), "Stopped; nothing was changed."),
        (MemoryError(), "The model ran out of memory: try a smaller picture or a smaller model."),
        (KeyError("x"), "The model stopped with an unexpected KeyError; the terminal shows the details."),
    ],
)
def test_what_goes_wrong_becomes_one_sentence(error, sentence):
    job = Worker().submit(("micro", 1), fail(error), "me")
    assert job.wait(5)
    assert (job.error, job.result) == (sentence, None)


def test_a_forgotten_job_is_done_again():
    worker = Worker()
    assert worker.submit(("micro", 1), fail(MemoryError()), "me").wait(5)
    worker.forget(("micro", 1))
    job = worker.submit(("micro", 1), give("now"), "me")
    assert job.wait(5)
    assert job.result == "now"


def test_only_the_latest_results_are_kept():
    worker = Worker()
    for number in range(KEPT_RESULTS + 3):
        assert worker.submit(("micro", number), give(number), "me").wait(5)
    worker.submit(("micro", "last"), give(0), "me").wait(5)
    assert worker.find(("micro", 0)) is None
    assert worker.find(("micro", KEPT_RESULTS)) is not None


def test_large_results_leave_sooner_but_the_latest_is_kept_whatever_its_size():
    worker = Worker()
    for number in range(3):
        large = SimpleNamespace(nbytes=KEPT_BYTES // 2 + 1)
        assert worker.submit(("micro", number), give(large), "me").wait(5)
    worker.submit(("micro", "huge"), give(SimpleNamespace(nbytes=KEPT_BYTES * 3)), "me").wait(5)
    worker.submit(("micro", "huge"), give(None), "me")
    assert worker.find(("micro", "huge")) is not None
    assert [worker.find(("micro", number)) for number in range(3)] == [None] * 3


def test_ways_of_looking_at_a_result_are_computed_once_and_only_the_latest_kept():
    job = Worker().submit(("micro", 1), give(10), "me")
    assert job.wait(5)
    made = []
    assert job.view("a", lambda result: made.append(1) or result + 1) == 11
    assert job.view("a", lambda result: made.append(1) or result + 1) == 11
    assert made == [1]
    for number in range(KEPT_VIEWS):
        job.view(number, lambda result: result)
    assert "a" not in job.views
