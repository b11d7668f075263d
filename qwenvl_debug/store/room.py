"""Which files does a row need, which does none need any more, and what goes when they fill too much of the disk?"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from typing import Any

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from qwenvl_debug.store import files
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.tables import REFERENCES, FileRow, RunRow


def key_of(*parts: Any) -> str:
    """A hash of plain data: equal keys, equal data."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def is_there(store: Store, name: str, size: int) -> bool:
    """Whether a file lies in its place with its size."""
    with suppress(OSError):
        return files.path_of(store.folder, name).stat().st_size == size
    return False


def claim(store: Store, session: Session, name: str, data: bytes) -> str:
    """Enter a file that `files.put` has written, so that rows can name it; call it within `Store.writing`.

    A cleaner may have removed the file since, as no row named it; then it is written once more.
    """
    if not is_there(store, name, len(data)):
        files.put(store.folder, data, name.partition(".")[2])
    if session.get(FileRow, name) is None:
        session.add(FileRow(name=name, size=len(data)))
        session.flush()
    return name


def release(session: Session, names: Iterable[str | None]) -> list[str]:
    """Strike out those files that no row names any more; call it within `Store.writing`, and `sweep` after it.

    Returns:
        The files that were struck out, still on the disk.
    """
    session.flush()
    struck = []
    for name in {name for name in names if name is not None}:
        if not any(session.scalar(select(exists().where(column == name))) for column in REFERENCES):
            row = session.get(FileRow, name)
            if row is not None:
                session.delete(row)
                struck.append(name)
    session.flush()
    return struck


def sweep(store: Store, names: Iterable[str]) -> list[str]:
    """Delete those of these files that are not entered. Killed before it, a program leaves orphans, never gaps.

    Returns:
        The files that were deleted.
    """
    names = list(names)
    if not names:
        return []
    with store.writing() as session:
        unneeded = [name for name in names if session.get(FileRow, name) is None]
        for name in unneeded:
            files.remove(store.folder, name)
    return unneeded


def make_room(store: Store) -> int:
    """Remove traces, the oldest run's first, until all files together fill no more than `Store.disk`.

    Pictures, regions and scores are never removed, nor is any row: a run without its trace keeps its answer, and the
    comparisons and scores made from it keep their numbers.

    Returns:
        How many runs lost their trace.
    """
    with store.reading() as session:
        if _filled(session) <= store.disk:
            return 0
    struck: list[str] = []
    removed = 0
    with store.writing() as session:
        filled = _filled(session)
        oldest = select(RunRow).where(RunRow.trace.is_not(None)).order_by(RunRow.created, RunRow.id).limit(1)
        while filled > store.disk and (row := session.scalar(oldest)) is not None:
            name, row.trace = row.trace, None
            struck += release(session, [name])
            filled = _filled(session)
            removed += 1
    sweep(store, struck)
    return removed


def _filled(session: Session) -> int:
    return int(session.scalar(select(func.coalesce(func.sum(FileRow.size), 0))))
