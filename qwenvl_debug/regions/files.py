"""What every import of other people's files shares: reading JSON, choosing the picture meant, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.names import unique_names
from qwenvl_debug.regions.shapes import Region

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Imported:
    """What a file gave.

    Attributes:
        regions: at least one.
        left_out: for each thing that could not be taken over, one sentence that says what and why.
    """

    regions: tuple[Region, ...]
    left_out: tuple[str, ...] = ()


def read_json(source: Path | bytes | str | dict | list) -> Any:
    """JSON from a file, from bytes or text, or as it is.

    Raises:
        RegionError: it cannot be read, or is not JSON.
    """
    if isinstance(source, (dict, list)):
        return source
    try:
        return json.loads(source.read_bytes() if isinstance(source, Path) else source)
    except OSError as error:
        raise RegionError(f"{source} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):  # JSON and Unicode errors are ValueErrors
        raise RegionError("This file is not JSON: export it again as JSON.") from None


def choose(
    entries: Sequence[Entry],
    name: str | None,
    size: tuple[int, int],
    name_of: Callable[[Entry], str],
    size_of: Callable[[Entry], tuple[int, int] | None],
) -> Entry:
    """The one image of a file that is meant by a picture: by its file name, or else by its size.

    Args:
        entries: the file's images.
        name: the picture's file name, or None.
        size: its width, height in pixels.
        name_of: an entry's file name or address.
        size_of: an entry's width, height, or None where the file does not say.

    Raises:
        RegionError: none or several could be meant, or the one that is meant has another size.
    """
    named = [entry for entry in entries if name and _same_name(name_of(entry), name)]
    left = named or list(entries)
    if len(left) > 1:
        left = [entry for entry in left if size_of(entry) == size]
    if len(left) != 1:
        called = f" called {name}" if name else ""
        raise RegionError(
            f"The file has {len(entries)} images, and it is not clear which is meant: {len(named)} are{called} and "
            f"{len(left)} of {size[0]} x {size[1]} pixels; keep only one of them in the file."
        )
    found = size_of(left[0])
    if found is not None and found != size:
        raise RegionError(
            f"The file's regions belong to a picture of {found[0]} x {found[1]} pixels and this one has {size[0]} x "
            f"{size[1]}: open the picture they were drawn on."
        )
    return left[0]


def numbered(names: Sequence[str]) -> list[str]:
    """Names of which no two are the same, see `unique_names`."""
    return unique_names(names)


def is_number(value: Any) -> bool:
    """A number as JSON has them, not true or false."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _same_name(one: str, other: str) -> bool:
    """Whether two paths or addresses end in the same file; Label Studio puts eight characters and a dash before it."""
    ends = [PurePosixPath(path.replace("\\", "/").replace(" ", "_")).name.casefold() for path in (one, other)]
    return bool(ends[0]) and (ends[0] == ends[1] or (ends[0][8:9] == "-" and ends[0][9:] == ends[1]))
