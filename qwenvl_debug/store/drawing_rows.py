"""How does what a browser draws become rows, so that several windows can draw on one picture and none loses anything?

Every region of a picture has a *key*, every change a name that no other change has. A browser that changes a region
says which changes it built upon: the one it was last given, and its own since. If the stored region's last change is
one of them, the new one takes its place; if not, someone else has changed the region, and this change is refused: the
browser keeps it, shows both, and asks which one counts. So no clock is compared, and a message that comes twice does
nothing twice.

Regions that merely came with a picture are not stored before somebody changes something; then all of them are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from qwenvl_debug.case import Picture
from qwenvl_debug.regions.names import free_name, unique_names
from qwenvl_debug.regions.shapes import Region
from qwenvl_debug.store.cases import enter_picture, write_pictures
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.region_rows import StoredRegion, count_change, join, new_name, split, stored
from qwenvl_debug.store.room import claim, make_room, release, sweep
from qwenvl_debug.store.tables import DrawingRow, RegionRow, now


@dataclass(frozen=True)
class Change:
    """One region as it is from now on.

    Attributes:
        key: the region's name among those of its picture.
        change: this change's name.
        after: names of the changes it was built upon.
        seen: whether the region was seen in the store before; if so and it is gone, someone else deleted it.
        region: the region, or None where it was deleted.
        colour: how it is drawn on screen, or None.
        given: whether the region came with the picture and was not changed; it is kept with the first change to it.
    """

    key: str
    change: str
    after: tuple[str, ...] = ()
    seen: bool = False
    region: Region | None = None
    colour: str | None = None
    given: bool = False


@dataclass(frozen=True)
class StoredDrawing:
    """What is drawn on a picture.

    Attributes:
        changes: how many changes led here.
        regions: in the order they were first drawn.
    """

    changes: int
    regions: tuple[StoredRegion, ...]


def keep_changes(store: Store, picture: Picture, changes: Sequence[Change]) -> tuple[str, ...]:
    """Keep what was changed on a picture, all at once.

    A region whose name another one of this picture has is given a free one.

    Args:
        store: where to keep it.
        picture: what is drawn on.
        changes: what was changed, each region once, in the order in which regions are to be listed.

    Returns:
        Keys of the regions that someone else has changed meanwhile; these changes were not kept.

    Raises:
        StoreError: the disk is full, or the database cannot be used; then nothing is kept.
    """
    if all(one.given for one in changes):
        return ()
    parts = {one.key: split(store, one.region) for one in changes if one.region is not None}
    written = write_pictures(store, (picture,))
    refused: list[str] = []
    old: list[str | None] = []
    with store.writing() as session:
        sha256 = enter_picture(store, session, picture, written)
        found = session.scalars(select(RegionRow).where(RegionRow.picture == sha256).order_by(RegionRow.id))
        rows = {row.key: row for row in found}
        drawn_on = session.get(DrawingRow, sha256) is not None
        for one in changes:
            if one.given and drawn_on:
                continue  # kept long ago, or deleted since
            if not _fits(rows.get(one.key), one, parts.get(one.key)):
                refused.append(one.key)
            elif one.region is None:
                old += _strike(session, rows.pop(one.key, None))
            elif one.key not in rows or rows[one.key].change != one.change:
                old += _write(store, session, sha256, rows, one, parts[one.key])
        if len(refused) < sum(not one.given for one in changes):
            count_change(session, sha256)
        struck = release(session, old)
    sweep(store, struck)
    make_room(store)
    return tuple(refused)


def drawing_of(store: Store, picture: str, known: Iterable[StoredRegion] = ()) -> StoredDrawing | None:
    """What is drawn on the picture of this hash; None where nobody has drawn on it, in this store.

    Args:
        store: where it is kept.
        picture: the picture's hash.
        known: regions that were read before; those that have not changed since are not read again.

    Raises:
        StoreError: the file of a mask is missing or was changed.
    """
    before = {(one.picture, one.key, one.change): one.region for one in known}
    with store.reading() as session:
        changes = session.scalar(select(DrawingRow.changes).where(DrawingRow.picture == picture))
        rows = session.scalars(select(RegionRow).where(RegionRow.picture == picture).order_by(RegionRow.id)).all()
    if changes is None:
        return None
    regions = (before.get((picture, row.key, row.change)) or join(store, row.record, row.masks) for row in rows)
    return StoredDrawing(changes, tuple(stored(row, region) for row, region in zip(rows, regions, strict=True)))


def changes_on(store: Store, pictures: Iterable[str]) -> dict[str, int]:
    """How often the pictures of these hashes were drawn on; those that nobody has drawn on are left out."""
    with store.reading() as session:
        found = session.execute(
            select(DrawingRow.picture, DrawingRow.changes).where(DrawingRow.picture.in_(set(pictures)))
        )
        return dict(found.all())


def _fits(row: RegionRow | None, one: Change, part: tuple | None) -> bool:
    """Whether a change can be made without overwriting someone else's."""
    if row is None:
        return one.region is None or not one.seen
    if row.change == one.change or row.change in one.after:
        return True
    if part is None:
        return False
    record, masks = part
    return (row.record, row.masks, row.colour) == (record, masks and masks[0], one.colour)


def _strike(session: Session, row: RegionRow | None) -> list[str | None]:
    if row is None:
        return []
    session.delete(row)
    session.flush()
    return [row.masks]


def _write(
    store: Store, session: Session, sha256: str, rows: dict[str, RegionRow], one: Change, part: tuple
) -> list[str | None]:
    record, masks = part
    others = {other.record["name"] for key, other in rows.items() if key != one.key}
    values = {
        "record": {**record, "name": free_name(record["name"], others)},
        "masks": masks and claim(store, session, *masks),
        "colour": one.colour,
        "change": one.change,
    }
    row = rows.get(one.key)
    if row is None:
        rows[one.key] = RegionRow(picture=sha256, key=one.key, created=now(), **values)
        session.add(rows[one.key])
        session.flush()
        return []
    old = row.masks
    for name, value in values.items():
        setattr(row, name, value)
    session.flush()
    return [old]


def instead_of(found: StoredDrawing | None, wanted: Iterable[tuple[Region, str | None]]) -> tuple[Change, ...]:
    """What leads from a stored drawing to other regions (each with its colour); those of the same name stay the same.

    A region whose colour is None keeps the one it had.
    """
    old = found.regions if found else ()
    before = dict(zip(unique_names([one.region.name for one in old]), old, strict=True))  # older stores had doubles
    wanted = list(wanted)
    names = {region.name for region, _ in wanted}
    gone = [Change(one.key, new_name(), (one.change,), True) for name, one in before.items() if name not in names]
    kept = []
    for region, colour in wanted:
        old = before.pop(region.name, None)
        if old is None:
            kept.append(Change(new_name(), new_name(), region=region, colour=colour))
        elif (old.region, old.colour) != (region, colour or old.colour):
            kept.append(Change(old.key, new_name(), (old.change,), True, region, colour or old.colour))
    return (*gone, *kept)
