"""How are regions kept, so that a drawing is never lost and never silently overwritten by another window?

A region belongs to a picture. Whoever changes or deletes one says which version was in front of them; where someone
else was faster they are told, and nothing happens. Masks lie in a file, one bit per pixel, everything else in the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from qwenvl_debug.case import Picture
from qwenvl_debug.errors import ChangedMeanwhile, RegionError
from qwenvl_debug.regions.names import name_key
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.shapes import Mask, Region
from qwenvl_debug.store import files
from qwenvl_debug.store.cases import enter_picture, write_pictures
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.room import claim, make_room, release, sweep
from qwenvl_debug.store.tables import DrawingRow, RegionRow, now


@dataclass(frozen=True)
class StoredRegion:
    """A region that is in the store.

    Attributes:
        id: its number.
        version: counts its changes from 1.
        picture: hash of the picture it is drawn on.
        region: the region.
        colour: how it is drawn on screen, such as "#e69f00", or None.
        key: its name among the regions of its picture, the same through all changes.
        change: the name of its last change.
    """

    id: int
    version: int
    picture: str
    region: Region
    colour: str | None = None
    key: str = ""
    change: str = ""


def add_region(store: Store, picture: Picture, region: Region, colour: str | None = None) -> StoredRegion:
    """Keep a new region, and the picture it is drawn on.

    Raises:
        RegionError: the picture has a region of this name.
        StoreError: the disk is full, or the database cannot be used; then nothing is kept.
    """
    record, masks = split(store, region)
    written = write_pictures(store, (picture,))
    with store.writing() as session:
        sha256 = enter_picture(store, session, picture, written)
        _check_name(session, sha256, region)
        row = RegionRow(
            picture=sha256,
            key=new_name(),
            change=new_name(),
            record=record,
            masks=masks and claim(store, session, *masks),
            colour=colour,
            created=now(),
        )
        session.add(row)
        count_change(session, row.picture)
        session.flush()
        added = stored(row, region)
    make_room(store)
    return added


def change_region(store: Store, seen: StoredRegion, region: Region, colour: str | None = None) -> StoredRegion:
    """Replace a region by another.

    Args:
        store: where it is kept.
        seen: the region as it was when the change was made.
        region, colour: what it is from now on.

    Raises:
        ChangedMeanwhile: someone else changed or deleted it after it was seen; theirs stays.
        RegionError: the picture has another region of this name; the old one stays.
        StoreError: the disk is full, or the database cannot be used; the old one stays.
    """
    record, masks = split(store, region)
    with store.writing() as session:
        row = _row(session, seen)
        _check_name(session, row.picture, region, but=row.id)
        old = row.masks
        row.record, row.colour, row.change = record, colour, new_name()
        row.masks = masks and claim(store, session, *masks)
        count_change(session, row.picture)
        struck = release(session, [old])
        changed = stored(row, region)
    sweep(store, struck)
    return changed


def delete_region(store: Store, seen: StoredRegion) -> None:
    """Delete a region; scores that were made with it stay.

    Raises:
        ChangedMeanwhile: someone else changed or deleted it after it was seen.
    """
    with store.writing() as session:
        row = _row(session, seen)
        old = row.masks
        count_change(session, row.picture)
        session.delete(row)
        struck = release(session, [old])
    sweep(store, struck)


def regions_of(store: Store, picture: Picture | str) -> tuple[StoredRegion, ...]:
    """The regions on a picture (or on the picture of this hash), in the order they were added.

    Raises:
        StoreError: the file of a mask is missing or was changed.
    """
    sha256 = picture if isinstance(picture, str) else picture.sha256
    with store.reading() as session:
        rows = session.scalars(select(RegionRow).where(RegionRow.picture == sha256).order_by(RegionRow.id)).all()
    return tuple(stored(row, join(store, row.record, row.masks)) for row in rows)


def new_name() -> str:
    """A name for a region or a change that nobody else gives."""
    return uuid4().hex[:16]


def stored(row: RegionRow, region: Region) -> StoredRegion:
    """A row as what it is to others."""
    return StoredRegion(row.id, row.version, row.picture, region, row.colour, row.key, row.change)


def count_change(session: Session, picture: str) -> int:
    """Note that a picture's drawing changes; call it within `Store.writing`. Returns how many changes there were."""
    row = session.get(DrawingRow, picture)
    if row is None:
        row = DrawingRow(picture=picture, changes=0)
        session.add(row)
    row.changes += 1
    return row.changes


def split(store: Store, region: Region) -> tuple[dict[str, Any], tuple[str, bytes] | None]:
    """A region as plain data with its masks put into a file.

    Returns:
        The record, whose masks are {"kind": "mask", "size": [height, width]}, and the file's name and content for
        `claim`; None where there are no masks.
    """
    record = to_record(Region(region.name, [s for s in region.shapes if not isinstance(s, Mask)], region.expect))
    plain, arrays, shapes = iter(record["shapes"]), {}, []
    for place, shape in enumerate(region.shapes):
        if isinstance(shape, Mask):
            arrays[str(place)] = np.packbits(shape.pixels, axis=1)
            shapes.append({"kind": "mask", "size": list(shape.pixels.shape)})
        else:
            shapes.append(next(plain))
    record["shapes"] = shapes
    if not arrays:
        return record, None
    data = files.pack_arrays(arrays)
    return record, (files.put(store.folder, data, "safetensors"), data)


def join(store: Store, record: dict[str, Any], masks: str | None) -> Region:
    """The region that `split` took apart.

    Raises:
        StoreError: the file of its masks is missing or was changed.
    """
    arrays = files.unpack_arrays(files.get(store.folder, masks, verify=True)) if masks else {}
    plain = from_record(record | {"shapes": [shape for shape in record["shapes"] if shape["kind"] != "mask"]})
    others, shapes = iter(plain.shapes), []
    for place, shape in enumerate(record["shapes"]):
        if shape["kind"] == "mask":
            height, width = shape["size"]
            bits = arrays[str(place)].reshape(height, -1)
            shapes.append(Mask(np.unpackbits(bits, axis=1, count=width)))
        else:
            shapes.append(next(others))
    return Region(plain.name, shapes, plain.expect)


def _check_name(session: Session, picture: str, region: Region, but: int | None = None) -> None:
    """Refuse a name that another region of the picture has; `but` is the region that is changed."""
    others = session.scalars(select(RegionRow).where(RegionRow.picture == picture))
    if any(name_key(row.record["name"]) == name_key(region.name) for row in others if row.id != but):
        raise RegionError(f"The picture has a region “{region.name}” already: give this one another name.")


def _row(session: Session, seen: StoredRegion) -> RegionRow:
    row = session.get(RegionRow, seen.id)
    name = seen.region.name
    if row is None:
        raise ChangedMeanwhile(f"The region “{name}” was deleted in another window: draw it anew if you need it.")
    if row.version != seen.version:
        raise ChangedMeanwhile(f"The region “{name}” was changed in another window: reload to see it, then change it.")
    return row
