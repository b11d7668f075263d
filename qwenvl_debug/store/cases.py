"""How are pictures and cases kept? Each picture once, by its pixels; each case once, by all that makes it up."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from qwenvl_debug.case import Case, Picture, Turn
from qwenvl_debug.errors import PictureError, StoreError
from qwenvl_debug.store import files
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.room import claim, is_there, key_of, make_room
from qwenvl_debug.store.tables import CasePictureRow, CaseRow, FileRow, PictureRow, now

_START = re.compile(r"[0-9a-f]{16,64}")


def save_case(store: Store, case: Case) -> int:
    """Keep a case.

    Returns:
        Its number; one that was saved before keeps its number, and its pictures the names they had first.

    Raises:
        StoreError: the disk is full, or the database cannot be used; then nothing is kept.
    """
    written = write_pictures(store, case.pictures)
    with store.writing() as session:
        number = enter_case(store, session, case, written)
    make_room(store)
    return number


def load_case(store: Store, case_id: int) -> Case:
    """A case by its number.

    Raises:
        StoreError: there is none, or a picture of it is missing or was changed.
    """
    with store.reading() as session:
        row = session.get(CaseRow, case_id)
        if row is None:
            raise StoreError(f"There is no case {case_id} in the store.")
        shown = [(one, _file_of(session, one["sha256"])) for one in row.pictures]
        question, expected, system, said = row.question, row.expected, row.system, row.conversation or {}
    pictures = tuple(_read(store, *one) for one in shown)
    history = tuple(Turn(**turn) for turn in said.get("history", ()))
    return Case(pictures, question, expected=expected, system=system, history=history, seconds=said.get("seconds", ()))


def load_picture(store: Store, sha256: str, name: str = "picture") -> Picture:
    """A picture by the hash of its pixels.

    Raises:
        StoreError: there is none, or its file is missing or was changed.
    """
    with store.reading() as session:
        file = _file_of(session, sha256)
    if file is None:
        raise StoreError("There is no such picture in the store.")
    return _read(store, {"sha256": sha256, "name": name}, file)


def find_picture(store: Store, start: str) -> Picture | None:
    """The picture whose hash begins so, called as in the last case that shows it; None where there is none.

    Args:
        store: where to look.
        start: at least 16 hexadecimal digits.

    Raises:
        StoreError: its file is missing or was changed.
    """
    if not _START.fullmatch(start):
        return None
    with store.reading() as session:
        found = session.execute(
            select(PictureRow.sha256, PictureRow.file).where(PictureRow.sha256.startswith(start)).limit(1)
        ).first()
        if found is None:
            return None
        shown = select(CaseRow.pictures).join(CasePictureRow, CasePictureRow.case_id == CaseRow.id)
        last = session.scalar(shown.where(CasePictureRow.picture == found.sha256).order_by(CaseRow.id.desc()).limit(1))
    unnamed = {"sha256": found.sha256, "name": "picture"}
    about = next((one for one in last or () if one["sha256"] == found.sha256), unnamed)
    return _read(store, about, found.file)


def write_pictures(store: Store, pictures: tuple[Picture, ...]) -> dict[str, tuple[str, bytes]]:
    """Put those pictures on the disk that are not there yet.

    Returns:
        By the picture's hash, the file's name and content, for `enter_picture`.
    """
    written = {}
    with store.reading() as session:
        for picture in pictures:
            name = _file_of(session, picture.sha256)
            row = name and session.get(FileRow, name)
            if picture.sha256 not in written and not (row and is_there(store, row.name, row.size)):
                data = picture.png()
                written[picture.sha256] = (files.put(store.folder, data, "png"), data)
    return written


def enter_picture(store: Store, session: Session, picture: Picture, written: dict[str, tuple[str, bytes]]) -> str:
    """Enter a picture that `write_pictures` has seen; call it within `Store.writing`. Returns its hash."""
    row = session.get(PictureRow, picture.sha256)
    if picture.sha256 in written:
        file = claim(store, session, *written[picture.sha256])
        if row is None:
            session.add(PictureRow(sha256=picture.sha256, file=file))
        else:
            row.file = file  # its old file was lost
        session.flush()
    return picture.sha256


def enter_case(store: Store, session: Session, case: Case, written: dict[str, tuple[str, bytes]]) -> int:
    """Enter a case whose pictures `write_pictures` has seen; call it within `Store.writing`. Returns its number."""
    hashes = [enter_picture(store, session, picture, written) for picture in case.pictures]
    key = key_of(hashes, case.question, case.expected, case.system, *beyond_one_turn(case))
    number = session.scalar(select(CaseRow.id).where(CaseRow.key == key))
    if number is not None:
        return number
    row = CaseRow(
        key=key,
        question=case.question,
        expected=case.expected,
        system=case.system,
        pictures=[_about(picture) for picture in case.pictures],
        conversation=next(iter(beyond_one_turn(case)), None),
        created=now(),
    )
    session.add(row)
    session.flush()
    session.add_all(CasePictureRow(case_id=row.id, picture=sha256) for sha256 in sorted(set(hashes)))
    return row.id


def beyond_one_turn(case: Case) -> tuple[dict[str, Any], ...]:
    """What a case holds beside pictures and one question, JSON-ready, to be part of its key; nothing for most cases.

    The keys of those are then what they were before there were conversations and videos.
    """
    if not case.history and not case.seconds:
        return ()
    return ({"history": [asdict(turn) for turn in case.history], "seconds": list(case.seconds)},)


def _about(picture: Picture) -> dict[str, Any]:
    name = picture.name.encode("utf-8", "backslashreplace").decode()  # a file's name need not be valid Unicode
    turned = {"orientation": picture.orientation} if picture.orientation != 1 else {}
    return {"sha256": picture.sha256, "name": name, **turned}


def _file_of(session: Session, sha256: str) -> str | None:
    return session.scalar(select(PictureRow.file).where(PictureRow.sha256 == sha256))


def _read(store: Store, about: dict[str, Any], file: str) -> Picture:
    """A stored picture; `about` is what `_about` made of it."""
    data = files.get(store.folder, file)
    try:
        picture = Picture.open(data, about["name"])
    except PictureError:
        picture = None
    if picture is None or picture.sha256 != about["sha256"]:
        raise StoreError(f"The stored picture “{about['name']}” was changed: run qwenvl-debug store check --repair.")
    return replace(picture, orientation=about.get("orientation", 1))  # it is stored the right way up
