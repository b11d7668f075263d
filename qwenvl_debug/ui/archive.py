"""How does the app keep things? Its one door to the store, open once per process for all sessions and the worker.

Nothing here is ever in the way: where the store cannot be opened, a store in a temporary folder takes its place until
the app ends; where something cannot be kept, the app goes on with what it has in memory. `notice` says so in one
sentence. No function here calls Streamlit, so the worker may use them all.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from qwenvl_debug import store as room
from qwenvl_debug.errors import ChangedMeanwhile, SettingsError, StoreError
from qwenvl_debug.settings import Settings, read_settings

if TYPE_CHECKING:
    from threading import Event

    import numpy as np

    from qwenvl_debug.case import Case, Picture
    from qwenvl_debug.compare import Comparison
    from qwenvl_debug.maps import Normalisation, Query
    from qwenvl_debug.model import DebugModel, Run
    from qwenvl_debug.regions import Region

T = TypeVar("T")
logger = logging.getLogger(__name__)


@dataclass
class Archive:
    """A store, and what went wrong with it.

    Attributes:
        store: the store, or None where not even a temporary one could be made.
        opening: why the store that was asked for is not this one, in a sentence, or None.
        trouble: what could not be kept or read last, in a sentence; None when the last attempt went well.
    """

    store: room.Store | None
    opening: str | None = None
    trouble: str | None = None


@dataclass
class _Desk:
    """All archives of this process by their settings, and the thread that keeps things behind everybody's back."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    archives: dict[Any, Archive] = field(default_factory=dict)
    clerk: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(max_workers=1, thread_name_prefix="archive")
    )
    kept: set[Any] = field(default_factory=set)
    waiting: list[Future] = field(default_factory=list)


_DESK = _Desk()


def opened() -> Archive:
    """The archive that the settings of now ask for."""
    try:
        settings = read_settings()
    except SettingsError as error:
        settings = str(error)
    with _DESK.lock:
        found = _DESK.archives.get(settings)
        if found is None:
            found = _DESK.archives[settings] = _open(settings)
        return found


def store() -> room.Store | None:
    """The store, or None where there is none at all."""
    return opened().store


def notice() -> str | None:
    """What a person should know about what is kept, in one or two sentences; None where all is well."""
    archive = opened()
    return " ".join(said for said in (archive.opening, archive.trouble) if said) or None


def attempt(do: Callable[[room.Store], T], otherwise: T, *, keeping: bool = False) -> T:
    """Do something with the store; where that is not possible, note why and go on with `otherwise`.

    Args:
        do: called with the store.
        otherwise: what is returned where it cannot be done.
        keeping: whether this keeps something; if so and it goes well, whatever went wrong before is over.

    Raises:
        ChangedMeanwhile: someone else was faster; that is for the caller to settle.
    """
    archive = opened()
    if archive.store is None:
        return otherwise
    try:
        done = do(archive.store)
    except ChangedMeanwhile:
        raise
    except StoreError as error:
        logger.warning("%s", error)
        archive.trouble = str(error)
        return otherwise
    if keeping:
        archive.trouble = None
    return done


@dataclass(frozen=True)
class Answer:
    """A run, made now or found.

    Attributes:
        run: the run; it holds its model.
        stored: whether it was found in the store; `run.provenance.created` says when it was made.
    """

    run: Run
    stored: bool


def answer(
    model: DebugModel,
    case: Case,
    *,
    target: str | None = None,
    fresh: bool = False,
    progress: Callable[[int, int, str], Any] | None = None,
    cancel: Event | None = None,
    **settings: Any,
) -> Answer:
    """The stored run in which this model was asked exactly this, or else a new one, which is then stored.

    Args:
        model: who is asked.
        case: what is asked.
        target, progress, cancel: as for `DebugModel.ask`.
        fresh: ask even when there is a stored run; it is kept beside the old one.
        settings: others of `DebugModel.ask`, such as max_new_tokens; runs of other settings are other runs.

    Raises:
        PictureError, CaseError, CaptureError, Cancelled: as `DebugModel.ask`. Never a StoreError: see `notice`.
    """
    if not fresh:
        found = attempt(lambda kept: room.find_run(kept, model, case, target=target, **settings), None)
        if found is not None:
            return Answer(replace(found.run, model=model), stored=True)
    run = model.ask(case, target=target, progress=progress, cancel=cancel, **settings)
    keep_run(run)
    return Answer(run, stored=False)


def keep_run(run: Run) -> None:
    """Keep a run with its case and pictures, in the background."""
    _later(("run", *_made(run)), lambda kept: room.save_run(kept, run))


def keep_case(case: Case) -> None:
    """Keep a case and its pictures, in the background."""
    # Not the case itself, whose pixels would be kept in memory.
    words = case.question, case.expected, case.system, case.history, case.seconds
    _later(("case", *(picture.sha256 for picture in case.pictures), *words), lambda kept: room.save_case(kept, case))


def find_picture(start: str) -> Picture | None:
    """The kept picture whose hash begins so (16 or more digits), or None."""
    return attempt(lambda kept: room.find_picture(kept, start), None)


def keep_comparison(comparison: Comparison) -> None:
    """Keep a comparison with its numbers, in the background, once: call it wherever one was made for a page.

    Costs the caller microseconds. Another choice of words, normalisation or run is another comparison; moving a
    slider makes none.
    """
    sides = comparison.left, comparison.right
    key = tuple(_made(run) for run in (comparison.correct, comparison.failing, *comparison.asked))
    asked = tuple((side.query.tokens, side.normalisation, side.grid.picture) for side in sides)
    laid = comparison.alignment.kind, comparison.alignment.stated
    _later(("comparison", key, asked, laid), lambda kept: room.save_comparison(kept, comparison))


def keep_scores(
    run: Run,
    region: Region,
    query: Query,
    values: Mapping[str, np.ndarray],
    picture: int = 0,
    normalisation: Normalisation = "picture",
) -> None:
    """Keep how a run's maps lie on a region, in the background, once per run, region, query and normalisation.

    Args:
        run: whose maps; it is kept too where it is not yet.
        region: as it is now.
        query: the tokens that asked.
        values: float64 [layers, heads + 1] by measure, the last place the heads' mean: one region of `score_stack`.
        picture: which picture of the case.
        normalisation: of the maps.
    """

    def keep(kept: room.Store) -> None:
        room.save_scores(kept, room.save_run(kept, run), region, query, values, picture, normalisation)

    _later(("scores", _made(run), hash(region), query.tokens, tuple(values), picture, normalisation), keep)


def settle(seconds: float = 30) -> None:
    """Wait until everything that was to be kept in the background is kept.

    Raises:
        TimeoutError: it took longer.
    """
    while _DESK.waiting:
        _DESK.waiting.pop().result(timeout=seconds)


KEPT_KEYS = 20_000
"""So many things are remembered as kept already; beyond that they are looked up in the store once more."""


def _made(run: Run) -> tuple[str, float]:
    """What tells this run from every other."""
    return run.provenance.created, run.provenance.seconds


def _later(key: tuple[Any, ...], keep: Callable[[room.Store], Any]) -> None:
    archive = opened()
    key = (id(archive), *key)
    with _DESK.lock:
        if archive.store is None or key in _DESK.kept:
            return
        if len(_DESK.kept) >= KEPT_KEYS:
            _DESK.kept.clear()
        _DESK.kept.add(key)
        _DESK.waiting = [one for one in _DESK.waiting if not one.done()]
        with suppress(RuntimeError):  # the app is ending
            _DESK.waiting.append(_DESK.clerk.submit(_keep, archive, key, keep))


def _keep(archive: Archive, key: tuple[Any, ...], keep: Callable[[room.Store], Any]) -> None:
    try:
        keep(archive.store)
    except StoreError as error:
        logger.warning("%s", error)
        archive.trouble = str(error)
        with _DESK.lock:
            _DESK.kept.discard(key)  # the next time it is made it is tried again
    except Exception:
        logger.exception("Something could not be kept")
    else:
        archive.trouble = None


def _open(settings: Settings | str) -> Archive:
    """The store of these settings (or the sentence that says why there are none), else a temporary one."""
    if isinstance(settings, Settings):
        try:
            return Archive(room.open_store(settings))
        except StoreError as error:
            problem = str(error)
    else:
        problem = settings
    logger.warning("%s", problem)
    try:
        folder = Path(tempfile.mkdtemp(prefix="qwenvl-debug-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Archive(
            room.open_store(Settings(folder)),
            opening=f"{problem} Until the app is started again, everything is kept for as long as it runs.",
        )
    except (OSError, StoreError) as error:
        logger.warning("%s", error)
        return Archive(None, opening=f"{problem} Only this browser keeps what you draw.")
