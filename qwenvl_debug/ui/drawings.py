"""What has been drawn on a picture? The same for every window: kept in the store, one change after the other.

The browser has the drawing in hand (see `editor/drawing.js`) and sends it after each finished change, naming what it
changed and what each change was built upon. What the store takes is the drawing from then on; what it refuses, since
someone else changed the same region meanwhile, stays in the browser, which asks which one counts. A light fragment
looks every other second whether anyone else has drawn, and tells the browser what it does not have yet.

Each session remembers the drawing as its browser has it, so that a page shows and scores what its person sees even
while the disk is full. Regions that a picture merely comes with are not stored before somebody changes something.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.regions import Region, unique_names
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.store import (
    Change,
    Store,
    StoredDrawing,
    StoredRegion,
    changes_on,
    drawing_of,
    instead_of,
    keep_changes,
)
from qwenvl_debug.ui import archive
from qwenvl_debug.ui.drawing_messages import (
    GIVEN,
    MOST_REGIONS,
    Drawing,
    colour_of,
    received,
    with_unique_names,
)
from qwenvl_debug.ui.sentence import plain

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture

__all__ = [
    "MOST_REGIONS",
    "Drawing",
    "bring",
    "follow",
    "load",
    "put",
    "receive",
    "replace",
    "save",
    "show",
    "with_unique_names",
]

LOOK_EVERY = 2.0
"""Seconds after which a page that shows drawings looks whether someone else has drawn."""

_FOLLOW = st.components.v2.component(
    "qwenvl_debug_drawings",
    js=(files("qwenvl_debug.ui") / "editor" / "follow.js").read_text(encoding="utf-8"),
)


@dataclass
class _Link:
    """How far one session, its browser and the store agree about one picture.

    Attributes:
        stored: the drawing as it was last read from the store; None where nobody has drawn.
        given: the regions that the picture came with.
        records: of the stored regions, else of the given ones, in their order.
        has: the regions that the browser has, by key: the last change it knows of, and the record.
        taken: the last change of each region that this browser sent and the store took.
        open: whether the browser has changes that are not kept; then what it has is shown.
        undoable: how many changes this session's server has made, for the browser to undo.
    """

    stored: StoredDrawing | None = None
    given: tuple[StoredRegion, ...] = ()
    records: tuple[dict[str, Any], ...] = ()
    has: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)
    open: bool = False
    undoable: int = 0

    @property
    def changes(self) -> int:
        """How many changes the store knows of."""
        return self.stored.changes if self.stored else 0

    @property
    def regions(self) -> tuple[StoredRegion, ...]:
        """What is drawn, as far as the store knows."""
        return self.stored.regions if self.stored else self.given


def load(picture_sha: str) -> Drawing | None:
    """The drawing on the picture of this hash, or None where nobody has drawn and it came with nothing."""
    _look(picture_sha)
    return _drawings().get(picture_sha)


def save(picture_sha: str, drawing: Drawing) -> None:
    """Show a drawing in this session, unless a newer one is shown; the store does not hear of it."""
    before = _drawings().get(picture_sha)
    if before is None or drawing.version >= before.version:
        _drawings()[picture_sha] = drawing


def bring(picture_sha: str, regions: Iterable[Region]) -> None:
    """Start a picture with the regions it comes with; whatever anyone has drawn on it counts more."""
    link = _link(picture_sha)
    regions = list(regions)
    names = unique_names([region.name for region in regions])
    link.given = tuple(
        StoredRegion(0, 0, picture_sha, dataclasses.replace(region, name=name), key=f"{GIVEN}-{number}", change=GIVEN)
        for number, (name, region) in enumerate(zip(names, regions, strict=True))
    )
    given = tuple(_record(one) for one in link.given)
    if link.stored is None:
        link.records = given
    save(picture_sha, Drawing(0, given))


def replace(picture_sha: str, regions: Iterable[Region]) -> None:
    """Put other regions in place of what is drawn, as one more change that the browser can undo."""
    put(picture_sha, [to_record(region) for region in regions])


def put(picture_sha: str, records: Sequence[dict[str, Any]]) -> None:
    """Put other records in place of what is drawn, as one more change that the browser can undo.

    A region whose name stays is the same region, and keeps its colour where the record says none. Of two records with
    one name the second gets another.

    Raises:
        RegionError: a record is none; nothing is changed then.
    """
    records = with_unique_names(records)
    wanted = [(from_record(record), colour_of(record)) for record in records]
    before = load(picture_sha) or Drawing()
    link, picture = _link(picture_sha), _pictures().get(picture_sha)

    def keep(store: Store) -> bool:
        for _ in range(3):  # someone else may draw between the reading and the keeping
            stored = drawing_of(store, picture_sha)
            changes = instead_of(stored or StoredDrawing(0, link.given), wanted)
            changed = {one.key for one in changes}
            given = () if stored else (_as_given(one) for one in link.given if one.key not in changed)
            if not keep_changes(store, picture, (*given, *changes)):
                return True
        return False

    link.undoable += 1
    kept = picture is not None and archive.attempt(keep, False, keeping=True)
    link.open = link.open and not kept
    save(picture_sha, Drawing(before.version + 1, records))
    _look(picture_sha, anew=kept)


def show(pictures: Sequence[Picture], appeared: bool) -> None:
    """Say which pictures the editor shows, before it is mounted; `appeared` where it was not there before."""
    shown = _pictures()
    shown.clear()
    shown.update((picture.sha256, picture) for picture in pictures)
    for sha in shown if appeared else ():
        _link(sha).has = {}


def receive(sent: Any) -> None:
    """Take over what the editor sent, and keep what it changed."""
    for sha, one in received(sent).items():
        picture = _pictures().get(sha)
        if picture is not None:
            link = _link(sha)
            link.has = one.has
            link.open = not _keep(picture, one.changes, link.taken)
            _drawings()[sha] = one.drawing
            _look(sha, anew=True)


@st.fragment(run_every=LOOK_EVERY)
def follow(shas: tuple[str, ...], key: str) -> None:
    """Tell the browser what is drawn on the editor's pictures, now and whenever someone else has drawn.

    Args:
        shas: the pictures' hashes, in the editor's order.
        key: the component's key.
    """
    store = archive.store()
    _FOLLOW(
        data={"store": store.folder.name if store else "", "pictures": [_told(sha) for sha in shas]}, key=key, height=1
    )
    if (said := archive.opened().trouble) and any(_link(sha).open for sha in shas):
        st.caption(plain(f"{said} Your drawing stays in this browser until then."))


def _keep(picture: Picture, changes: tuple[Change, ...], taken: dict[str, str]) -> bool:
    """Whether all of these changes are kept now; those that are, are entered in `taken`."""
    if not changes:
        return True
    refused = archive.attempt(lambda store: keep_changes(store, picture, changes), None, keeping=True)
    if refused is None:
        return False
    for one in changes:
        if one.region is None:
            taken.pop(one.key, None)
        elif one.key not in refused:
            taken[one.key] = one.change
    return not refused


def _told(sha: str) -> dict[str, Any]:
    """What is drawn on a picture, without the records that the browser has."""
    _look(sha)
    link = _link(sha)
    regions = []
    for one, record in zip(link.regions, link.records, strict=True):
        marks = {"key": one.key, "change": one.change}
        regions.append(marks if link.has.get(one.key) == (one.change, record) else {**record, **marks})
    there = {one.key for one in link.regions}
    return {
        "sha": sha,
        "changes": link.changes,
        "undoable": link.undoable,
        "regions": regions,
        "taken": {key: change for key, change in link.taken.items() if key not in there},
    }


def _look(sha: str, anew: bool = False) -> None:
    """See whether the stored drawing is another than last time; if so, or `anew`, it is what this session shows."""
    link = _link(sha)
    known = {(one.key, one.change, one.colour): record for one, record in zip(link.regions, link.records, strict=True)}
    before, counted = link.stored, archive.attempt(lambda store: changes_on(store, [sha]).get(sha, 0), link.changes)
    if counted != link.changes:
        regions = before.regions if before else ()
        link.stored = archive.attempt(lambda store: drawing_of(store, sha, regions), before)
        records = [known.get((one.key, one.change, one.colour)) or _record(one) for one in link.regions]
        records = [{**record, "name": one.region.name} for record, one in zip(records, link.regions, strict=True)]
        link.records = with_unique_names(records)  # older stores may have two of one name
    if link.stored and not link.open and (anew or link.stored is not before):
        shown = _drawings().get(sha) or Drawing()
        if shown.version == 0 or link.records != shown.records:
            _drawings()[sha] = Drawing(max(link.changes, shown.version + 1), link.records)


def _drawings() -> dict[str, Drawing]:
    return st.session_state.setdefault("drawings", {})


def _pictures() -> dict[str, Picture]:
    return st.session_state.setdefault("drawing_pictures", {})


def _link(sha: str) -> _Link:
    return st.session_state.setdefault("drawing_links", {}).setdefault(sha, _Link())


def _record(one: StoredRegion) -> dict[str, Any]:
    record = to_record(one.region)
    return record if one.colour is None else {**record, "colour": one.colour}


def _as_given(one: StoredRegion) -> Change:
    return Change(one.key, GIVEN, region=one.region, colour=one.colour, given=True)
