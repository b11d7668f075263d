"""How are runs kept, and found again when the same is asked? A row with tokens and provenance, a file with the traces.

What was asked is the model's revision, the pictures' pixels, the words, every setting and the target answer. The
expected answer is not part of it, for it changes nothing in what the model does. A fresh run of the same is kept
beside the old one, since comparisons may refer to that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaptureError, StoreError
from qwenvl_debug.store import files
from qwenvl_debug.store.cases import beyond_one_turn, enter_case, load_case, write_pictures
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.room import claim, key_of, make_room
from qwenvl_debug.store.tables import RunRow

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel, Run

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """A run that is in the store.

    Attributes:
        run: the run.
        id: its number in the store.
        stored: whether it was found there rather than made now; `run.provenance.created` says when.
    """

    run: Run
    id: int
    stored: bool


def answer(
    store: Store,
    model: DebugModel,
    case: Case,
    *,
    target: str | None = None,
    fresh: bool = False,
    max_new_tokens: int | None = None,
    rows: Literal["asked", "all"] = "asked",
    layers: Sequence[int] | None = None,
    vision_layers: Sequence[int] | None = None,
    top: int = 5,
    thinking: bool | None = None,
    progress: Callable[[int, int, str], Any] | None = None,
    cancel: Event | None = None,
) -> Answered:
    """The stored run of this question, or else a new one, which is then stored.

    Args:
        store: where to look and to keep it.
        model: who is asked; the run that is returned holds it, so that an answer can be forced.
        case: what is asked.
        fresh: ask even when there is a stored run.
        target, max_new_tokens, rows, layers, vision_layers, top, thinking, progress, cancel: as for `DebugModel.ask`.

    Raises:
        StoreError: the store cannot be used.
        PictureError, CaseError, CaptureError, Cancelled: as `DebugModel.ask`.
    """
    settings: dict[str, Any] = {"max_new_tokens": max_new_tokens, "rows": rows, "top": top, "thinking": thinking}
    settings |= {"layers": layers, "vision_layers": vision_layers}
    found = None if fresh else find_run(store, model, case, target=target, **settings)
    if found is not None:
        return replace(found, run=replace(found.run, model=model))
    run = model.ask(case, target=target, progress=progress, cancel=cancel, **settings)
    return Answered(run, save_run(store, run), stored=False)


def find_run(
    store: Store, model: DebugModel, case: Case, *, target: str | None = None, **settings: Any
) -> Answered | None:
    """The latest stored run in which this model was asked exactly this.

    Args:
        settings: as for `DebugModel.settings`.

    Returns:
        The run with this case (its own expected answer) and without a model, or None; also where its trace was
        removed to make room or its file is lost.
    """
    key = _key(model.revision, model.settings(**settings), case, target)
    with store.reading() as session:
        latest = select(RunRow).where(RunRow.key == key, RunRow.trace.is_not(None)).order_by(RunRow.id.desc()).limit(1)
        row = session.scalar(latest)
    if row is None:
        return None
    try:
        return Answered(_run(store, row, case), row.id, stored=True)
    except (StoreError, CaptureError) as error:
        logger.warning("Run %d is asked again: %s", row.id, error)
        return None


def save_run(store: Store, run: Run) -> int:
    """Keep a run with its case.

    Returns:
        Its number; a run that was saved before keeps its number, and gets back its trace where that was removed.

    Raises:
        StoreError: the disk is full, or the database cannot be used; then nothing is kept.
    """
    key = _key(run.provenance.revision, run.provenance.settings, run.case, run.target)
    provenance = asdict(run.provenance)
    with store.reading() as session:
        row = _same(session, key, provenance)
        if row is not None and row.trace is not None:
            return row.id
    from qwenvl_debug.model.trace_file import pack  # torch

    data = pack(run.trace, run.vision)
    trace = files.put(store.folder, data, "safetensors")
    written = write_pictures(store, run.case.pictures)
    with store.writing() as session:
        claim(store, session, trace, data)
        row = _same(session, key, provenance)
        if row is None:
            row = RunRow(
                key=key,
                case_id=enter_case(store, session, run.case, written),
                answer=run.answer,
                target=run.target,
                tokens=[asdict(token) for token in run.tokens],
                grids=[{**vars(grid), "positions": grid.positions.tolist()} for grid in run.grids],
                provenance=provenance,
                created=run.provenance.created,
            )
            session.add(row)
        row.trace = trace
        session.flush()
        number = row.id
    make_room(store)
    return number


def load_run(store: Store, run_id: int) -> Run:
    """A run by its number. Its `trace.weights` equal the original ones bit for bit; its `model` is None.

    Raises:
        StoreError: there is none, its trace was removed to make room, or a file of it is missing or was changed.
    """
    with store.reading() as session:
        row = session.get(RunRow, run_id)
    if row is None:
        raise StoreError(f"There is no run {run_id} in the store.")
    return _run(store, row, load_case(store, row.case_id))


def _run(store: Store, row: RunRow, case: Case) -> Run:
    from qwenvl_debug.model import Alternative, Grid, Provenance, Run, Token
    from qwenvl_debug.model.trace_file import unpack

    if row.trace is None:
        raise StoreError(f"The trace of run {row.id} was removed to make room: ask the case again.")
    trace, vision = unpack(files.get(store.folder, row.trace, verify=True))
    tokens = (
        Token(**token | {"alternatives": tuple(Alternative(**one) for one in token["alternatives"])})
        for token in row.tokens
    )
    grids = (Grid(**grid | {"positions": np.asarray(grid["positions"], dtype=np.int64)}) for grid in row.grids)
    return Run(
        case=case,
        answer=row.answer,
        tokens=tuple(tokens),
        grids=tuple(grids),
        trace=trace,
        vision=vision,
        provenance=Provenance(**row.provenance),
        target=row.target,
    )


def _key(revision: str, settings: dict[str, Any], case: Case, target: str | None) -> str:
    pictures = [picture.sha256 for picture in case.pictures]
    said = beyond_one_turn(case)
    return key_of(revision, settings, pictures, case.question, case.system, target and target.strip(), *said)


def _same(session: Session, key: str, provenance: dict[str, Any]) -> RunRow | None:
    """The row of this very run: asked alike, at the same moment, and answered in exactly the same time."""
    rows = session.scalars(select(RunRow).where(RunRow.key == key))
    return next((row for row in rows if row.provenance == provenance), None)
