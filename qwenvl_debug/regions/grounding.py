"""Which boxes does an answer name? Grounding output, read from the text and laid on the picture.

Three ways of writing are read, wherever they stand in an answer:

- `<ref>the tower</ref><box>(120,40),(380,900)</box>`, the first generation's, with one or several boxes, or `<quad>`;
- `<|object_ref_start|>the tower<|object_ref_end|><|box_start|>(120,40),(380,900)<|box_end|>`, Qwen2-VL's;
- JSON, alone or in a code fence, as later generations are asked for:
  `[{"bbox_2d": [120, 40, 380, 900], "label": "the tower"}]`. Of a list that was cut off the whole entries are read.

What the numbers mean is the generation's to say (`Family.boxes`): thousandths of the picture, or pixels of the picture
as it was prepared for the model. A model may write anything, so what is not a box is left out and nothing is raised.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qwenvl_debug.errors import QueryError
from qwenvl_debug.regions.shapes import Expectation, Rectangle, Region

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

NAMELESS = "box"
"""What a box is called that the answer gives no name."""

PUBLISHED_CELL = 28
"""Pixels a side of a cell in Qwen2.5-VL, for runs that were stored before a grid held it."""

LONGEST_NAME = 80

MOST_TRIES = 300
"""How often JSON is looked for in one answer: a model that stammers brackets must not hold anyone up."""

_NUMBER = r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*"
_POINT = re.compile(rf"\({_NUMBER},{_NUMBER}\)")
_TAGS = re.compile(
    r"<ref>(?P<ref>.{0,2000}?)</ref>|<\|object_ref_start\|>(?P<object>.{0,2000}?)<\|object_ref_end\|>"
    r"|<box>(?P<box>.{0,2000}?)</box>|<quad>(?P<quad>.{0,2000}?)</quad>|<\|box_start\|>(?P<start>.{0,2000}?)<\|box_end\|>",
    re.DOTALL,
)
_OPENS = re.compile(r"[\[{]")
_BOX_KEYS = ("bbox_2d", "bbox")
_NAME_KEYS = ("label", "text_content", "name")


@dataclass(frozen=True)
class Box:
    """A box that an answer names.

    Attributes:
        label: what the answer calls it; "box" where it says nothing.
        rectangle: in pixels of the picture, not beyond its edges.
        picture: which picture of the case it lies on.
    """

    label: str
    rectangle: Rectangle
    picture: int

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
        return {"label": self.label, "picture": self.picture, **corner, **sides}


def boxes(run: Run, picture: int | None = None) -> tuple[Box, ...]:
    """The boxes that a run's answer names, in the order in which it names them.

    Args:
        run: a model's answer to a case, fresh or stored.
        picture: which picture they lie on; by default the last that was shown, as in Qwen-VL's own drawing. An answer
            does not say.

    Returns:
        None that are empty or lie wholly outside the picture; nothing for a video, where no frame is named.

    Raises:
        QueryError: the case has no such picture.
    """
    written = list(named_corners(run.answer))
    if not written or run.case.seconds:
        return ()
    count = len(run.case.pictures)
    which = count - 1 if picture is None else picture
    if not 0 <= which < count:
        raise QueryError(f"This case has pictures 0 to {count - 1}: there is no picture {which}.")
    width, height = run.case.pictures[which].size
    across, down = _scale(run, which)
    found = []
    for label, (left, top, right, bottom) in written:
        left, right = (min(max(x / across * width, 0.0), width) for x in sorted((left, right)))
        top, bottom = (min(max(y / down * height, 0.0), height) for y in sorted((top, bottom)))
        if right > left and bottom > top:
            found.append(Box(label, Rectangle(left, top, right - left, bottom - top), which))
    return tuple(found)


def named_corners(answer: str) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    """Every box of a text as it is written: its name, and x1, y1, x2, y2 as they stand there."""
    tagged = list(_tagged(answer))
    yield from tagged or _in_json(answer)


def _scale(run: Run, picture: int) -> tuple[float, float]:
    """What the right and the lower edge of the picture have for a number in the answer."""
    from qwenvl_debug.model.families import FAMILIES  # torch

    rules = {family.title: family.boxes for family in FAMILIES}
    if rules.get(run.provenance.family, "thousandths") == "thousandths":
        return 1000.0, 1000.0
    grid = run.grids[picture]
    side = grid.side or PUBLISHED_CELL
    return float(grid.cols * side), float(grid.rows * side)


def _tagged(answer: str) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    label, end = NAMELESS, 0
    for tag in _TAGS.finditer(answer):
        kind, inner = next((kind, inner) for kind, inner in tag.groupdict().items() if inner is not None)
        if answer[end : tag.start()].strip(" ,;\n"):
            label = NAMELESS  # a name holds for the boxes right after it
        end = tag.end()
        if kind in ("ref", "object"):
            label = _name(inner)
            continue
        points = [(float(x), float(y)) for x, y in _POINT.findall(inner)]
        if len(points) == (4 if kind == "quad" else 2):
            across, down = zip(*points, strict=True)
            yield label, (min(across), min(down), max(across), max(down))


def _in_json(answer: str) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    decoder, place, tries = json.JSONDecoder(), 0, 0
    while tries < MOST_TRIES and (opened := _OPENS.search(answer, place)):
        tries += 1
        try:
            value, place = decoder.raw_decode(answer, opened.start())
        except (ValueError, RecursionError):
            place = opened.end()  # of something cut off, what is inside may be whole
            continue
        yield from _within(value)


def _within(value: Any) -> Iterator[tuple[str, tuple[float, float, float, float]]]:
    if isinstance(value, list):
        for part in value:
            yield from _within(part)
    if not isinstance(value, dict):
        return
    label = next((_name(value[key]) for key in _NAME_KEYS if isinstance(value.get(key), str)), NAMELESS)
    written = next((value[key] for key in _BOX_KEYS if isinstance(value.get(key), list)), None)
    if written is None:
        for part in value.values():
            yield from _within(part)
        return
    for corners in written if written and all(isinstance(one, list) for one in written) else [written]:
        if len(corners) == 4 and all(map(_is_number, corners)):
            yield label, tuple(float(corner) for corner in corners)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def _name(text: str) -> str:
    return " ".join(text.split())[:LONGEST_NAME].strip() or NAMELESS
