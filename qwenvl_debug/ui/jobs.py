"""Who does the model's work? One worker thread per device, so that a page stays usable while a model thinks.

Streamlit starts a rerun while the last one may still be running; two of them must never drive one model at once. All
work therefore queues on a single thread. A page submits a job, looks at its progress from time to time and may leave
it; a job that every page has left is cancelled. The worker never calls Streamlit.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.errors import Cancelled, QwenVLDebugError
from qwenvl_debug.settings import read_settings

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel

KEPT_RESULTS = 48
"""Finished jobs whose results are kept. A result holds up to four runs with their traces, or little."""

KEPT_BYTES = 2 << 30
"""Memory that kept results may fill together (their `nbytes`); the latest is kept whatever its size."""

KEPT_VIEWS = 8
"""Ways of looking at one result (other words asked) that are kept computed."""

BUNDLED = "micro"
"""The bundled model is small: it stays loaded beside one other."""

logger = logging.getLogger(__name__)
Progress = Callable[[float, str], None]


@dataclass
class Job:
    """One piece of work: how far it is (0..1), in which words, who waits for it, and how it ended."""

    key: Hashable
    cancel: threading.Event = field(default_factory=threading.Event)
    part: float = 0.0
    text: str = "Waiting for the model"
    waiting: set[str] = field(default_factory=set)
    future: Future | None = None
    views: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)

    def view(self, key: Hashable, make: Callable[[Any], Any]) -> Any:
        """Something computed from the result, kept with it for the next rerun and gone with it too."""
        view = self.views.get(key)
        if view is None:
            view = self.views[key] = make(self.result)
            while len(self.views) > KEPT_VIEWS:
                self.views.popitem(last=False)
        return view  # another session may have pushed it out of `views` meanwhile

    @property
    def finished(self) -> bool:
        """Whether there is a result, an error or a cancellation."""
        return self.future is not None and self.future.done()

    @property
    def cancelled(self) -> bool:
        """Whether someone asked it to stop."""
        return self.cancel.is_set()

    @property
    def result(self) -> Any:
        """The result, or None while there is none or when it went wrong."""
        return self.future.result() if self.finished and self.error is None else None

    @property
    def error(self) -> str | None:
        """What went wrong in one sentence, or None."""
        if not self.finished:
            return None
        if self.future.cancelled():
            return "Stopped; nothing was changed."
        error = self.future.exception()
        if error is None:
            return None
        if isinstance(error, (Cancelled, CancelledError)):
            return "Stopped; nothing was changed."
        if isinstance(error, QwenVLDebugError):
            return str(error)
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return "The model ran out of memory: try a smaller picture or a smaller model."
        return f"The model stopped with an unexpected {type(error).__name__}; the terminal shows the details."

    def wait(self, seconds: float) -> bool:
        """Wait a little for the end; whether it came."""
        try:
            self.future.exception(timeout=seconds)
        except StillRunning:
            return False
        except CancelledError:
            return True
        return True


class Worker:
    """One thread, its models and the jobs it was given."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._lock = threading.Lock()
        self._jobs: OrderedDict[Hashable, Job] = OrderedDict()
        self._models: OrderedDict[str, DebugModel] = OrderedDict()
        self._cancel: threading.Event | None = None  # of the job that is running

    def submit(self, key: Hashable, work: Callable[[Worker, Progress, threading.Event], Any], who: str) -> Job:
        """Do this work, or join it where it is under way or done.

        Args:
            key: what tells one piece of work from another; its first item is the model's name.
            work: called on the worker's thread with the worker, a progress callback and the event that stops it.
            who: the session that waits for it.
        """
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                job = self._jobs[key] = Job(key)
                job.future = self._pool.submit(self._run, job, work)
            job.waiting.add(who)
            self._jobs.move_to_end(key)
            self._forget_oldest()
            return job

    def find(self, key: Hashable) -> Job | None:
        """The job of this key, if it is still kept."""
        with self._lock:
            return self._jobs.get(key)

    def leave(self, key: Hashable, who: str) -> None:
        """This session no longer waits; a job for which nobody waits stops, and nothing of it is kept."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None:
                return
            job.waiting.discard(who)
            if not job.waiting and not job.finished:
                job.cancel.set()
                job.future.cancel()
                del self._jobs[key]

    def forget(self, key: Hashable) -> None:
        """Drop a job and its result, so that submitting it again does the work again."""
        with self._lock:
            job = self._jobs.pop(key, None)
            if job is not None:
                job.cancel.set()
                job.future.cancel()

    def loaded(self, name: str) -> DebugModel | None:
        """The model of this name where it is loaded; from any thread."""
        return self._models.get(name)

    def model(self, name: str, progress: Progress) -> DebugModel:
        """The model of this name, loaded when it is not. Call it on the worker's thread only."""
        if name not in self._models:
            progress(0.0, "Starting PyTorch" if not self._models else f"Loading {name}")
            from qwenvl_debug.model import load_model  # torch and transformers take seconds to import

            for other in [kept for kept in self._models if kept not in (BUNDLED, name)]:
                self._drop(other)
            self._models[name] = load_model(
                name,
                mode="basic" if name == BUNDLED else read_settings().mode,
                progress=lambda done, of, text: progress(done / of, f"Loading {name}: {text}"),
                cancel=self._cancel,
            )
        return self._models[name]

    def _drop(self, name: str) -> None:
        """Let go of a model, and of the results that would keep it in memory."""
        del self._models[name]
        with self._lock:
            for key in [key for key, job in self._jobs.items() if key[0] == name and job.finished]:
                del self._jobs[key]

    def _run(self, job: Job, work: Callable) -> Any:
        def progress(part: float, text: str) -> None:
            job.part, job.text = min(1.0, max(0.0, part)), text

        if job.cancelled:
            raise Cancelled("Stopped before it began.")
        self._cancel = job.cancel
        try:
            return work(self, progress, job.cancel)
        except QwenVLDebugError:
            raise
        except Exception:
            logger.exception("A job failed")
            raise

    def _forget_oldest(self) -> None:
        finished = [key for key, job in reversed(self._jobs.items()) if job.finished]
        filled = 0
        for place, key in enumerate(finished):
            filled += getattr(self._jobs[key].result, "nbytes", 0)
            if place >= KEPT_RESULTS or (place > 0 and filled > KEPT_BYTES):
                del self._jobs[key]


@st.cache_resource(show_spinner=False)
def worker(device: str = "default") -> Worker:
    """The one worker of a device, shared by all sessions."""
    return Worker()
