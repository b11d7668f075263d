"""How is a file kept so that it is either whole or not there? Content-addressed: its name is the hash of its content.

A file is written beside its place under another name, forced to the disk, and renamed into place; whoever looks sees
all of it or nothing. Equal content is one file. Names lie in two levels of folders, so that none of them grows large:

    files/<store>/3f/a0/3fa0…e2.safetensors
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from qwenvl_debug.errors import StoreError

NAME = re.compile(r"[0-9a-f]{64}\.(png|safetensors)")
UNFINISHED = ".unfinished-"
ABANDONED = 3600
"""Seconds after which an unfinished file cannot be one that someone is still writing."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def name_of(data: bytes, kind: str) -> str:
    """What a file of this content is called; kind is "png" or "safetensors"."""
    return f"{hashlib.sha256(data).hexdigest()}.{kind}"


def path_of(folder: Path, name: str) -> Path:
    """Where a file lies, or would lie.

    Raises:
        StoreError: the name is not one that `name_of` makes.
    """
    if not NAME.fullmatch(name):
        raise StoreError(f"{name!r} is not the name of a stored file: run qwenvl-debug store check.")
    return folder / name[:2] / name[2:4] / name


def put(folder: Path, data: bytes, kind: str) -> str:
    """Keep a file; when this returns it is safe on the disk.

    Returns:
        Its name.

    Raises:
        StoreError: the disk is full or cannot be written; nothing is left of the file then.
    """
    name = name_of(data, kind)
    path = path_of(folder, name)
    with suppress(OSError):
        if path.stat().st_size == len(data):
            return name
    try:
        _make_folder(path.parent)
        _write(path, data)
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(
                f"The disk that holds {folder} is full, so nothing was saved: free some space and try again."
            ) from None
        raise StoreError(f"Nothing can be written to {folder}: {error.strerror or error}.") from None
    return name


def get(folder: Path, name: str, verify: bool = False) -> bytes:
    """The content of a file.

    Args:
        folder: of the store's files.
        name: what `put` returned.
        verify: also work out its hash, about a second per gigabyte.

    Raises:
        StoreError: it is missing, cannot be read or, with `verify`, is not what was put there.
    """
    try:
        data = path_of(folder, name).read_bytes()
    except FileNotFoundError:
        raise StoreError(f"The stored file {name} is missing: run qwenvl-debug store check --repair.") from None
    except OSError as error:
        raise StoreError(f"The stored file {name} cannot be read: {error.strerror}.") from None
    if verify and name_of(data, name.partition(".")[2]) != name:
        raise StoreError(f"The stored file {name} was changed: run qwenvl-debug store check --repair.")
    return data


def unchanged(folder: Path, name: str) -> bool | None:
    """Whether a file is still what was put there, read piece by piece; None where it is missing or unreadable."""
    try:
        with path_of(folder, name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == name.partition(".")[0]
    except OSError:
        return None


def remove(folder: Path, name: str) -> None:
    """Delete a file; one that is not there is no mistake.

    Raises:
        StoreError: it may not be deleted.
    """
    try:
        path_of(folder, name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"The stored file {name} cannot be deleted: {error.strerror}.") from None


def names(folder: Path) -> Iterator[str]:
    """The names of all files that are kept."""
    for path in folder.glob("??/??/*"):
        if NAME.fullmatch(path.name) and path == path_of(folder, path.name):
            yield path.name


def abandoned(folder: Path, age: float = ABANDONED) -> list[Path]:
    """Unfinished files last written more than `age` seconds ago: whoever wrote them was killed."""
    found = []
    for path in folder.glob(f"??/??/{UNFINISHED}*"):
        with suppress(OSError):  # finished or removed meanwhile
            if time.time() - path.stat().st_mtime >= age:
                found.append(path)
    return found


def pack_arrays(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays by name as the bytes of a safetensors file."""
    return save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())})


def unpack_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays in a safetensors file.

    Raises:
        StoreError: these bytes are something else, or damaged.
    """
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise StoreError("A stored file of numbers is damaged: run qwenvl-debug store check --repair.") from error


def _write(path: Path, data: bytes) -> None:
    handle, unfinished = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise
    _sync(path.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each safe on the disk before anything is put in."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Force a folder's list of names to the disk, where the system can (Windows cannot)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
