"""What did a browser say about a drawing? Data of unknown origin, taken for what it can be and nothing else.

    {picture's hash: {"version": 7, "regions": [{…record, "key", "change", "base", "trail"}], "gone": [{"key", …}]}}

Each region names itself (`key`), its last change, the change it had when it was last given to the browser (`base`) and,
where the browser has changed it since, the browser's changes before the last (`trail`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import Region, unique_names
from qwenvl_debug.regions.record import from_record
from qwenvl_debug.store import Change

MOST_REGIONS = 100
"""More on one picture is a mistake, or someone else's data."""

GIVEN = "given"
"""The change that made a region which a picture came with."""

_MARKS = ("key", "change", "base", "trail")
_NAME = re.compile(r"[\w-]{1,64}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST_TRAIL = 400


@dataclass(frozen=True)
class Drawing:
    """What is drawn on one picture.

    Attributes:
        version: how many changes led here; 0 for regions that came with the picture.
        records: the regions as plain data (see `regions.record`), each perhaps with its "colour" as "#rrggbb"; of two
            that come with one name, the second gets another.
    """

    version: int = 0
    records: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "records", with_unique_names(self.records))

    def regions(self) -> tuple[tuple[Region, ...], tuple[str, ...]]:
        """The regions, and for each record that is none, one sentence that says why."""
        found, wrong = [], []
        for record in self.records:
            try:
                found.append(from_record(record))
            except RegionError as error:
                wrong.append(str(error))
        return tuple(found), tuple(wrong)


@dataclass(frozen=True)
class Sent:
    """What a browser sent about one picture.

    Attributes:
        drawing: the drawing as it has it.
        changes: what it changed and does not know to be kept, and the regions that came with the picture.
        has: the regions it has, by key: the last change it knows of, and the record.
    """

    drawing: Drawing
    changes: tuple[Change, ...] = ()
    has: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)


def received(sent: Any) -> dict[str, Sent]:
    """What the editor sent, by picture; anything that cannot be from it is left aside."""
    found = {}
    for sha, drawing in sent.items() if isinstance(sent, dict) else ():
        version, records = (drawing.get("version"), drawing.get("regions")) if isinstance(drawing, dict) else (0, 0)
        if not isinstance(version, int) or version < 0 or not isinstance(records, list):
            continue
        marked = [one for one in records[:MOST_REGIONS] if isinstance(one, dict)]
        gone = drawing.get("gone")
        gone = [one for one in gone if isinstance(one, dict)] if isinstance(gone, list) else []
        changes = (*(_change(one, deleted=True) for one in gone), *map(_change, marked))
        plain = [{name: value for name, value in one.items() if name not in _MARKS} for one in marked]
        found[sha] = Sent(
            Drawing(version, tuple(plain)),
            tuple(change for change in changes if change is not None),
            {
                one["key"]: (one["change"], record)
                for one, record in zip(marked, plain, strict=True)
                if _is_name(one.get("key")) and _is_name(one.get("change"))
            },
        )
    return found


def with_unique_names(records: Sequence[dict[str, Any]], taken: Iterable[str] = ()) -> tuple[dict[str, Any], ...]:
    """The records, with a number behind each name that comes again or is taken."""
    named = [number for number, record in enumerate(records) if isinstance(record.get("name"), str)]
    found = list(records)
    for number, name in zip(named, unique_names([records[one]["name"] for one in named], taken), strict=True):
        if name != found[number]["name"]:
            found[number] = {**found[number], "name": name}
    return tuple(found)


def colour_of(record: dict[str, Any]) -> str | None:
    """How a region is drawn, as "#rrggbb", or None."""
    colour = record.get("colour")
    return colour if isinstance(colour, str) and _COLOUR.fullmatch(colour) else None


def _change(record: dict[str, Any], deleted: bool = False) -> Change | None:
    """What a browser changed in one region; None where it did not, or where that cannot be used."""
    key, change, base, trail = (record.get(name) for name in _MARKS)
    given = change == GIVEN
    if not _is_name(key) or not _is_name(change) or not (given or isinstance(trail, list)):
        return None
    try:
        region = None if deleted else from_record(record)
    except RegionError:
        return None
    after = tuple(one for one in (base, *(trail or ())[-_LONGEST_TRAIL:]) if _is_name(one))
    seen = _is_name(base) and base != GIVEN
    return Change(key, change, after, seen, region, colour_of(record), given and not deleted)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
