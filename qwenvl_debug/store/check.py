"""Is everything in the store still whole? Compares what the database says with what lies on the disk, and tidies up.

Killing a program while it saves can leave files behind that no row names; they are deleted. A trace that is missing or
was changed can be made again by asking, so its run loses it. What cannot be made again (pictures, drawn masks, scores)
keeps its row: the same picture saved once more heals it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from qwenvl_debug.store import files
from qwenvl_debug.store.engine import Store, sqlite_warning
from qwenvl_debug.store.room import release, sweep
from qwenvl_debug.store.tables import (
    CasePictureRow,
    CaseRow,
    FileRow,
    PictureRow,
    RegionRow,
    RunRow,
    ScoreRow,
)


@dataclass(frozen=True)
class Check:
    """What was found, and what of it was repaired.

    Attributes:
        where: folder of the files.
        database: its address without the password.
        files, size: how many files are kept, and their bytes.
        runs, without_trace: how many runs are kept, and how many of them have lost their trace or gave it up for room.
        missing: names of files that a row names and that are not there.
        changed: names of files whose content is not what was put there.
        orphaned: names of files that no row names.
        unfinished: paths of files that a killed program left half-written.
        lost: a sentence for each thing that cannot be used any more until it is saved again.
        damage: what the database itself says is wrong with it.
        repaired: whether all but `lost` and `damage` was put right.
        warning: what to know about this version of the database, or None.
    """

    where: str
    database: str
    files: int
    size: int
    runs: int
    without_trace: int
    missing: tuple[str, ...]
    changed: tuple[str, ...]
    orphaned: tuple[str, ...]
    unfinished: tuple[str, ...]
    lost: tuple[str, ...]
    damage: tuple[str, ...]
    repaired: bool
    warning: str | None

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong now."""
        found = self.missing or self.changed or self.orphaned or self.unfinished
        return not self.lost and not self.damage and (self.repaired or not found)

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self) | {"clean": self.clean}


def check(
    store: Store,
    repair: bool = False,
    progress: Callable[[int, int, str], Any] | None = None,
    abandoned: float = files.ABANDONED,
) -> Check:
    """Read every file of the store and compare.

    Args:
        store: what to check; others may use it meanwhile.
        repair: delete orphans and leftovers, and let runs go without a trace that is missing or was changed.
        progress: called as progress(files read, of, name).
        abandoned: seconds after which a half-written file counts as left over.

    Raises:
        StoreError: the database cannot be used, or a file may not be deleted.
    """
    with store.reading() as session:
        damage = _damage(session)
        entered = dict(session.execute(select(FileRow.name, FileRow.size)).all())
        runs = session.scalar(select(func.count()).select_from(RunRow))
    there = set(files.names(store.folder))
    missing, changed = [], []
    for place, name in enumerate(sorted(entered)):
        if progress is not None:
            progress(place, len(entered), name)
        state = files.unchanged(store.folder, name)
        if not state and _is_entered(store, name):  # it may have been removed for room meanwhile
            (missing if state is None else changed).append(name)
    orphaned = sorted(name for name in there - set(entered) if not _is_entered(store, name))
    unfinished = files.abandoned(store.folder, abandoned)
    with store.reading() as session:
        lost = [sentence for name in [*missing, *changed] for sentence in _lost(session, name)]
    if repair:
        _drop_traces(store, missing + changed)
        for name in changed:
            files.remove(store.folder, name)
        sweep(store, orphaned)
        for path in unfinished:
            with suppress(OSError):
                path.unlink()
    with store.reading() as session:
        bare = session.scalar(select(func.count()).select_from(RunRow).where(RunRow.trace.is_(None)))
    if progress is not None:
        progress(len(entered), len(entered), "")
    return Check(
        where=str(store.folder),
        database=store.engine.url.render_as_string(hide_password=True),
        files=len(entered),
        size=sum(entered.values()),
        runs=runs,
        without_trace=bare,
        missing=tuple(missing),
        changed=tuple(changed),
        orphaned=tuple(orphaned),
        unfinished=tuple(map(str, unfinished)),
        lost=tuple(dict.fromkeys(lost)),
        damage=damage,
        repaired=repair,
        warning=sqlite_warning() if store.engine.dialect.name == "sqlite" else None,
    )


def check_text(found: Check) -> str:
    """A check as a person reads it."""
    done = found.repaired
    lines = [
        f"Database  {found.database}",
        f"Files     {found.where}: {found.files:,} of {found.size / 1e6:,.1f} MB together",
        f"Runs      {found.runs:,}, {found.without_trace:,} of them without a trace",
        "",
    ]
    kinds = (
        (found.missing, "missing", "their runs go without a trace now"),
        (found.changed, "not what was saved", "deleted"),
        (found.orphaned, "needed by nothing", "deleted"),
        (found.unfinished, "half-written by a program that was stopped", "deleted"),
    )
    for names, what, remedy in kinds:
        if names:
            files_are = "1 file is" if len(names) == 1 else f"{len(names):,} files are"
            lines += [f"{files_are} {what}{f' ({remedy})' if done else ''}:", *(f"  {name}" for name in names)]
    lines += [*found.lost, *(f"The database says: {said}" for said in found.damage)]
    if found.clean:
        lines.append("Everything is whole now." if len(lines) > 4 else "Everything is whole.")
    elif not done:
        lines.append("Run qwenvl-debug store check --repair to put right what can be put right.")
    if found.warning:
        lines += ["", found.warning]
    return "\n".join(lines)


def _is_entered(store: Store, name: str) -> bool:
    with store.reading() as session:
        return session.get(FileRow, name) is not None


def _drop_traces(store: Store, names: list[str]) -> None:
    if not names:
        return
    with store.writing() as session:
        session.execute(update(RunRow).where(RunRow.trace.in_(names)).values(trace=None))
        release(session, names)


def _lost(session: Session, name: str) -> list[str]:
    """What cannot be used without this file, beside traces, in sentences."""
    shown = (
        select(CaseRow.id, PictureRow.sha256, CaseRow.pictures)
        .join(CasePictureRow, CasePictureRow.case_id == CaseRow.id)
        .join(PictureRow, PictureRow.sha256 == CasePictureRow.picture)
        .where(PictureRow.file == name)
    )
    said = []
    for number, sha256, pictures in session.execute(shown):
        title = next(one["name"] for one in pictures if one["sha256"] == sha256)
        said.append(f"The picture “{title}” of case {number} is lost: open that picture and ask again to restore it.")
    if not said and session.scalar(select(PictureRow.sha256).where(PictureRow.file == name)):
        said.append("A picture that regions are drawn on is lost: draw on that picture again to restore it.")
    for row in session.scalars(select(RegionRow).where(RegionRow.masks == name)):
        said.append(f"The mask of region “{row.record['name']}” is lost: draw or import it again.")
    for number in session.scalars(select(ScoreRow.run_id).where((ScoreRow.values == name) | (ScoreRow.masks == name))):
        said.append(f"Scores of run {number} are lost: score that run again.")
    return said


def _damage(session: Session) -> tuple[str, ...]:
    if session.get_bind().dialect.name != "sqlite":
        return ()
    said = [row[0] for row in session.execute(text("PRAGMA quick_check"))]
    return () if said == ["ok"] else tuple(said[:10])
