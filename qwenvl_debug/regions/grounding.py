"""Which boxes does an answer name? Grounding output, read from the text and placed on the picture.

`answer_places` reads what is written; here it becomes regions. What the numbers mean is the generation's to say
(`Family.boxes`): thousandths of the picture, or pixels of the picture as it was prepared for the model. A model may
write anything, so nothing is raised for it: what is not a place on the picture is left out, and `unread_boxes` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qwenvl_debug.errors import QueryError
from qwenvl_debug.regions.answer_places import Place, read_places
from qwenvl_debug.regions.shapes import Expectation, Rectangle, Region

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

PUBLISHED_CELL = 28
"""Pixels a side of a cell in Qwen2.5-VL, for runs that were stored before a grid held it."""

POINT_CELLS = 2
"""A point becomes a rectangle about it, this many cells of the run's grid wide and high: wherever the point falls, at
least one cell is then wholly inside, so that every measure has a value. In pixels of the picture its sides are
2 * width / cols and 2 * height / rows, less what the edge of the picture cuts off."""


@dataclass(frozen=True)
class Box:
    """A box or a point that an answer names.

    Attributes:
        label: what the answer calls it; "box" where it says nothing.
        rectangle: in pixels of the picture, not beyond its edges; of a point the place about it, see `POINT_CELLS`.
        picture: which picture of the case it lies on.
        is_point: whether the answer names a point.
    """

    label: str
    rectangle: Rectangle
    picture: int
    is_point: bool = False

    def region(self, expect: Expectation = "measure") -> Region:
        """The box as a region, to be scored or drawn.

        Args:
            expect: what is expected of the model there; it named the place itself, so nothing by default.
        """
        return Region(self.label, self.rectangle, expect)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        corner = {"x": self.rectangle.x, "y": self.rectangle.y}
        sides = {"width": self.rectangle.width, "height": self.rectangle.height}
        return {
            "label": self.label,
            "picture": self.picture,
            **corner,
            **sides,
            **({"point": True} if self.is_point else {}),
        }


def boxes(run: Run, picture: int | None = None) -> tuple[Box, ...]:
    """The boxes and points that a run's answer names, in the order in which it names them.

    Args:
        run: a model's answer to a case, fresh or stored.
        picture: which picture they lie on; by default the last that was shown, as in Qwen-VL's own drawing. An answer
            does not say.

    Returns:
        None that are empty or wholly outside the picture; nothing for a video, where no frame is named.

    Raises:
        QueryError: the case has no such picture.
    """
    return _placed(run, picture)[0]


def unread_boxes(run: Run, picture: int | None = None) -> tuple[str, ...]:
    """What of a run's answer looks like a box or a point and is missing from `boxes`, or changed in it.

    Args:
        run, picture: as for `boxes`.

    Returns:
        One sentence for each kind of thing, with the reason; nothing where all was read.

    Raises:
        QueryError: the case has no such picture.
    """
    return _placed(run, picture)[1]


def named_corners(answer: str) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Every box of a text as it is written: its name, and x1, y1, x2, y2 as they stand there; of a point x, y, x, y."""
    yield from ((place.label, place.corners) for place in read_places(answer).places)


def _placed(run: Run, picture: int | None) -> tuple[tuple[Box, ...], tuple[str, ...]]:
    """The boxes, and a sentence for each kind of thing that is not among them as it was written."""
    reading = read_places(run.answer)
    count = len(run.case.pictures)
    if not reading.places:
        return (), reading.unread
    if run.case.seconds:
        return (), (*reading.unread, f"{how_many(reading.places)} in the answer cannot be placed: no frame is named.")
    which = count - 1 if picture is None else picture
    if not 0 <= which < count:
        raise QueryError(f"This case has pictures 0 to {count - 1}: there is no picture {which}.")
    across, down = _scale(run, which)
    found, outside, empty, clipped = [], [], [], []
    for place in reading.places:
        left, right = sorted((place.corners[0] / across, place.corners[2] / across))
        top, bottom = sorted((place.corners[1] / down, place.corners[3] / down))
        if min(right, bottom) < 0 or max(left, top) > 1:
            outside.append(place)
        elif not place.is_point and (left == right or top == bottom):
            empty.append(place)
        else:
            if min(left, top) < 0 or max(right, bottom) > 1:
                clipped.append(place)
            found.append((place, (left, top, right, bottom)))
    grid = run.grids[which] if any(place.is_point for place in reading.places) else None
    made = [_box(place, shares, which, run.case.pictures[which].size, grid) for place, shares in found]
    empty += [place for (place, _), box in zip(found, made, strict=True) if box is None]
    clipped = [place for place in clipped if place not in empty]
    said = [
        (outside, "{n} left out, because {it} outside the picture: {names}."),
        (empty, "{n} left out, because {it} without area: {names}."),
        (clipped, "{n} cut off at the edge of the picture, because {it} partly outside: {names}."),
    ]
    sentences = [_sentence(some, text) for some, text in said if some]
    return tuple(box for box in made if box is not None), (*reading.unread, *sentences)


def _box(place: Place, shares: tuple[float, ...], which: int, size: tuple[int, int], grid: Any) -> Box | None:
    """A place as a box on the picture; None where nothing is left of it."""
    width, height = size
    left, top, right, bottom = shares
    if place.is_point:
        wide, high = POINT_CELLS / grid.cols / 2, POINT_CELLS / grid.rows / 2
        left, top, right, bottom = left - wide, top - high, right + wide, bottom + high
    left, right = (min(max(x * width, 0.0), width) for x in (left, right))
    top, bottom = (min(max(y * height, 0.0), height) for y in (top, bottom))
    if right <= left or bottom <= top:
        return None
    return Box(place.label, Rectangle(left, top, right - left, bottom - top), which, place.is_point)


def _sentence(some: list[Place], text: str) -> str:
    was, it = ("was", "it is") if len(some) == 1 else ("were", "they are")
    names = list(dict.fromkeys(f"“{place.label}”" for place in some))
    shown = ", ".join(names[:5]) + (" and others" if len(names) > 5 else "")
    return text.format(n=f"{how_many(some)} {was}", it=it, names=shown)


def how_many(places: Sequence[Box | Place]) -> str:
    """Boxes and points in words, such as "2 boxes and 1 point"."""
    points = sum(place.is_point for place in places)
    counts = [(len(places) - points, "box", "boxes"), (points, "point", "points")]
    return " and ".join(f"{count} {one if count == 1 else more}" for count, one, more in counts if count)


def _scale(run: Run, picture: int) -> tuple[float, float]:
    """What the right and the lower edge of the picture have for a number in the answer."""
    from qwenvl_debug.model.families import FAMILIES  # torch

    rules = {family.title: family.boxes for family in FAMILIES}
    if rules.get(run.provenance.family, "thousandths") == "thousandths":
        return 1000.0, 1000.0
    grid = run.grids[picture]
    side = grid.side or PUBLISHED_CELL
    return float(grid.cols * side), float(grid.rows * side)
