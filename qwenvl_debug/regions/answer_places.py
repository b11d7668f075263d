"""Which boxes and points does an answer write down, and what in it looks like one but cannot be read?

Read wherever they stand, in the order in which they stand:

- `<ref>the tower</ref><box>(120,40),(380,900)</box>`, the first generation's, with one or several boxes, or `<quad>`;
- `<|object_ref_start|>the tower<|object_ref_end|><|box_start|>(120,40),(380,900)<|box_end|>`, Qwen2-VL's;
- `<points x1="394" y1="105" alt="the tower">the tower</points>`, Qwen2.5-VL's points;
- JSON, alone or in a code fence, as later generations are asked for, as well as they write it (see `lenient_json`):
  `[{"bbox_2d": [120, 40, 380, 900], "label": "the tower"}, {"point_2d": [394, 105], "label": "its top"}]`.

Numbers are taken as they are written; what they mean is for `grounding` to say. Nothing is raised and nothing dropped
in silence: each kind of thing that was not understood is one sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from qwenvl_debug.regions.lenient_json import Cut, Fields, read

NAMELESS = "box"
"""What a box or point is called that the answer gives no name."""

LONGEST_NAME = 80

_INNER = r"[^<]{0,2000}"
_TAGS = re.compile(
    r"<ref>(?P<ref>.{0,2000}?)</ref>|<\|object_ref_start\|>(?P<object>.{0,2000}?)<\|object_ref_end\|>"
    rf"|<box>(?P<box>{_INNER})</box>|<\|box_start\|>(?P<box2>{_INNER})<\|box_end\|>"
    rf"|<quad>(?P<quad>{_INNER})</quad>|<\|quad_start\|>(?P<quad2>{_INNER})<\|quad_end\|>"
    rf"|<points?\b(?P<point>[^<>]{{0,2000}})>(?P<said>{_INNER})</points?>",
    re.DOTALL,
)
_OPENING = re.compile(r"<box>|<\|box_start\|>|<quad>|<\|quad_start\|>|<points?\s")
_PLAIN = re.compile(r"[-−－]?\d{1,9}(?:[.．]\d{1,9})?")
_XY = re.compile(r"""\b([xy])\d*\s*=\s*["']?\s*([-\d.]{1,20})""")
_ALT = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BOX_KEYS = ("bbox_2d", "bbox")
_POINT_KEYS = ("point_2d", "points_2d", "point")
_NAME_KEYS = ("label", "text_content", "name", "category", "ref", "object", "class")
_SIDES = (("x1", "y1", "x2", "y2"), ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"))
_LIKE_A_PLACE = re.compile(r"box|point|poly|coord|rect|quad|mask|region|location", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A box or a point as an answer writes it.

    Attributes:
        label: what the answer calls it; "box" where it says nothing.
        corners: x1, y1, x2, y2 as they are written; of a point x, y, x, y.
        is_point: whether it is a point.
    """

    label: str
    corners: tuple[float, float, float, float]
    is_point: bool = False


@dataclass(frozen=True)
class Reading:
    """What an answer holds.

    Attributes:
        places: boxes and points, in the order of the answer.
        unread: one sentence for each kind of thing that looks like a box or point and is none.
    """

    places: tuple[Place, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True)
class _Unread:
    """Something that was not understood: why (see `_REASONS`), how it is written, and whether it was to be a point."""

    kind: str
    text: str = ""
    is_point: bool = False


_REASONS = {
    "shares": "{n} with coordinates between 0 and 1, such as {text}, {was} left out: whether shares of the image or "
    "its first pixels are meant cannot be known; ask for the coordinates that this model was trained to write.",
    "numbers": "{n} {was} left out, because a box has four numbers and a point two: {text}.",
    "cut": "The answer ends before {n} {was} complete, and that part was left out: allow more new tokens.",
    "unclosed": "The list of boxes is not closed: if some are missing, allow more new tokens.",
    "open": "{n} {was} left out, because the closing tag is missing.",
    "unknown": "Numbers under {text} were not read: boxes are expected under bbox_2d and points under point_2d.",
    "bare": "Four numbers in brackets, {text}, were not read as a box, because nothing names them: ask for bbox_2d.",
}


def read_places(answer: str) -> Reading:
    """The boxes and points of a text.

    Args:
        answer: what the model said, without its thoughts.
    """
    found = list(_tagged(answer))
    rest = _TAGS.sub(lambda tag: " " * len(tag.group()), answer)
    found += [(tag.start(), _Unread("open")) for tag in _OPENING.finditer(rest)]
    for start, value in read(rest):
        found += [(start, one) for one in _within(value)]
    found.sort(key=lambda one: one[0])
    places, unread = [], []
    for _, one in found:
        if isinstance(one, Place) and _are_shares(one):
            one = _Unread("shares", _written(one.corners[: 2 if one.is_point else 4]), one.is_point)
        (places if isinstance(one, Place) else unread).append(one)
    return Reading(tuple(places), tuple(_sentences(unread)))


def _tagged(answer: str) -> Iterator[tuple[int, Place | _Unread]]:
    label, end = NAMELESS, 0
    for tag in _TAGS.finditer(answer):
        kind = next(kind for kind, inner in tag.groupdict().items() if inner is not None)
        inner = tag.group(kind)
        if answer[end : tag.start()].strip(" ,;，；、\n"):
            label = NAMELESS  # a name holds for the boxes right after it
        end = tag.end()
        if kind in ("ref", "object"):
            label = _name(inner)
        elif kind == "point":
            yield from ((tag.start(), one) for one in _xml_points(inner, tag.group("said")))
        else:
            numbers = [
                float(one.replace("−", "-").replace("－", "-").replace("．", ".")) for one in _PLAIN.findall(inner)
            ]
            each = 8 if kind.startswith("quad") else 4
            if not numbers or len(numbers) % each:
                yield tag.start(), _Unread("numbers", inner.strip()[:LONGEST_NAME] or "nothing")
                continue
            for first in range(0, len(numbers), each):
                yield tag.start(), _around(label, numbers[first : first + each])


def _xml_points(attributes: str, said: str) -> Iterator[Place | _Unread]:
    alt = _ALT.search(attributes)
    label = _name(next(filter(None, alt.groups()), "") if alt else said)
    written = [(axis, _float(text)) for axis, text in _XY.findall(attributes)]
    across = [value for axis, value in written if axis == "x"]
    down = [value for axis, value in written if axis == "y"]
    if not across or len(across) != len(down) or None in (*across, *down):
        yield _Unread("numbers", (attributes.strip() or said.strip())[:LONGEST_NAME] or "nothing", True)
        return
    for x, y in zip(across, down, strict=True):
        yield Place(label, (x, y, x, y), True)


def _within(value: Any) -> Iterator[Place | _Unread]:
    """The places in a piece of JSON, however deep; without recursion, since a model may nest thousands of brackets."""
    waiting: list[tuple[str | None, Any]] = [(None, value)]
    while waiting:
        name, value = waiting.pop()
        inner: list[tuple[str | None, Any]] = []
        if isinstance(value, Fields):
            yield from _entry(value)
            inner = [pair for pair in value.pairs if pair[0] not in (*_BOX_KEYS, *_POINT_KEYS)]
        elif isinstance(value, Cut):
            known = {*_BOX_KEYS, *_POINT_KEYS}
            names = {value.name, *(name for name, _ in value.pairs)}
            if names & known:
                yield _Unread("cut", is_point=not names & {*_BOX_KEYS})
            elif any(isinstance(one, Fields) and one.all(*known) for _, one in value.pairs):
                yield _Unread("unclosed")
            inner = [pair for pair in value.pairs if pair[0] not in known and isinstance(pair[1], (list, Fields))]
        elif isinstance(value, list):
            numbers = _numbers(value)
            if numbers is None:
                inner = [(name, one) for one in value]
            elif name is not None and (len(numbers) == 4 or (len(numbers) > 1 and _LIKE_A_PLACE.search(name))):
                yield _Unread("unknown", f"“{name[:LONGEST_NAME]}”")
            elif name is None and len(numbers) == 4:
                yield _Unread("bare", _written(numbers))
        waiting += reversed(inner)


def _entry(fields: Fields) -> Iterator[Place | _Unread]:
    """The boxes and points of one JSON object; repeated names go with repeated labels."""
    labels = [_name(one) for one in fields.all(*_NAME_KEYS) if isinstance(one, str)]
    written = [(name, value) for name, value in fields.pairs if name in (*_BOX_KEYS, *_POINT_KEYS)]
    each = len(labels) == len(written)
    for number, (name, value) in enumerate(written):
        label = labels[number] if each else (labels or [NAMELESS])[0]
        is_point = name in _POINT_KEYS
        yield from _of_value(label, value, is_point)


def _of_value(label: str, value: Any, is_point: bool) -> Iterator[Place | _Unread]:
    size = 2 if is_point else 4
    if isinstance(value, str):
        value = [float(one) for one in re.findall(r"-?\d{1,9}(?:\.\d{1,9})?", value)] or value
    if isinstance(value, Fields):
        value = _by_sides(value, is_point) or value
    numbers = _numbers(value)
    if numbers is not None and len(numbers) == size:
        yield _around(label, numbers)
        return
    parts = [_numbers(one) for one in value] if isinstance(value, list) and value else [None]
    if None in parts:
        yield _Unread("numbers", _written(value), is_point)
    elif not is_point and all(len(one) == 2 for one in parts) and len(parts) in (2, 4):
        yield _around(label, [number for one in parts for number in one])  # two corners, or all four
    else:
        for one in parts:
            yield _around(label, one) if len(one) == size else _Unread("numbers", _written(one), is_point)


def _by_sides(fields: Fields, is_point: bool) -> list[float] | None:
    """A box or point whose numbers have names: corners, or a corner with width and height."""
    named = {name: value for name, value in fields.pairs if _is_number(value)}
    if is_point:
        return [named["x"], named["y"]] if {"x", "y"} <= set(named) else None
    for sides in _SIDES:
        if set(sides) <= set(named):
            return [named[side] for side in sides]
    if {"x", "y", "width", "height"} <= set(named):
        x, y = named["x"], named["y"]
        return [x, y, x + named["width"], y + named["height"]]
    return None


def _around(label: str, numbers: list[float]) -> Place:
    """A point, a box of two corners, or the upright box about four corners."""
    across, down = numbers[::2], numbers[1::2]
    if len(numbers) == 4:
        return Place(label, tuple(numbers))
    return Place(label, (min(across), min(down), max(across), max(down)), len(numbers) == 2)


def _are_shares(place: Place) -> bool:
    """Whether all numbers are between 0 and 1. A point in the very corner may be meant; so small a box may not."""
    if not all(0 <= value <= 1 for value in place.corners):
        return False
    return not place.is_point or any(value % 1 for value in place.corners)


def _sentences(unread: list[_Unread]) -> Iterator[str]:
    for kind, reason in _REASONS.items():
        some = [one for one in unread if one.kind == kind]
        if not some or (kind == "unclosed" and any(one.kind == "cut" for one in unread)):
            continue
        texts = list(dict.fromkeys(one.text for one in some))
        text = ", ".join(texts[:5]) + (" and others" if len(texts) > 5 else "") if kind == "unknown" else texts[0]
        yield reason.format(n=_many([one.is_point for one in some]), was="was" if len(some) == 1 else "were", text=text)


def _many(are_points: list[bool]) -> str:
    """How many boxes and points, in words."""
    points, boxes = sum(are_points), len(are_points) - sum(are_points)
    counts = [(boxes, "box", "boxes"), (points, "point", "points")]
    return " and ".join(f"{count} {one if count == 1 else more}" for count, one, more in counts if count)


def _numbers(value: Any) -> list[float] | None:
    """A flat list of usable numbers, or None."""
    if not isinstance(value, list) or not value or not all(map(_is_number, value)):
        return None
    return [float(one) for one in value]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9 and math.isfinite(value)


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _written(value: Any, depth: int = 3) -> str:
    if isinstance(value, (list, tuple)) and depth:
        shown = ", ".join(_written(one, depth - 1) for one in value[:8])
        return f"[{shown}{', …' if len(value) > 8 else ''}]"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value)[:LONGEST_NAME] if isinstance(value, (str, bool, type(None))) else "…"


def _name(text: str) -> str:
    return " ".join(text.split())[:LONGEST_NAME].strip() or NAMELESS
