"""A region as plain data, to be stored or sent as JSON, and back to exactly the same region.

    {"version": 1, "name": "spheres", "expect": "look", "shapes": [{"kind": "ellipse", "cx": 210.0, …}, …]}

Coordinates are picture pixels; Python writes floating-point numbers to JSON so that reading gives the same number.
The pixels of a mask are COCO run lengths, see `rle`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import rle
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region, Shape

VERSION = 1
KINDS: dict[str, type] = {
    "rectangle": Rectangle,
    "ellipse": Ellipse,
    "polygon": Polygon,
    "brush": Brush,
    "mask": Mask,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def to_record(region: Region) -> dict[str, Any]:
    """A region as plain data: only dictionaries, lists, text, numbers and true or false."""
    return {
        "version": VERSION,
        "name": region.name,
        "expect": region.expect,
        "shapes": [_shape_record(shape) for shape in region.shapes],
    }


def from_record(record: Any) -> Region:
    """A region from what `to_record` made, or from anything that claims to be that.

    Raises:
        RegionError: in one sentence, what is missing or wrong.
    """
    if not isinstance(record, dict):
        raise RegionError("A region's record has a name and shapes: this is something else.")
    version = record.get("version")
    if version != VERSION:
        raise RegionError(f"A region's record is of version {VERSION}, not {version!r}: save it with this program.")
    name, shapes = record.get("name"), record.get("shapes")
    if not isinstance(name, str):
        raise RegionError("A region's record needs a name in words.")
    if not isinstance(shapes, list):
        raise RegionError(f"The record of region “{name}” needs a list of shapes.")
    return Region(name, tuple(_shape(shape, name) for shape in shapes), record.get("expect", "look"))


def _shape_record(shape: Shape) -> dict[str, Any]:
    kind = _NAMES[type(shape)]
    if isinstance(shape, Mask):
        return {"kind": kind, **rle.encode(shape.pixels)}
    return {"kind": kind, **{field.name: _plain(getattr(shape, field.name)) for field in fields(shape)}}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [[float(x), float(y)] for x, y in value]
    return bool(value) if isinstance(value, bool) else float(value)


def _shape(record: Any, region: str) -> Shape:
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise RegionError(f"A shape of region “{region}” is none of {', '.join(KINDS)}.")
    if kind == "mask":
        return Mask(rle.decode(record))
    values = {}
    for field in fields(KINDS[kind]):
        value = record.get(field.name, field.default)
        check = {"points": _are_points, "erase": lambda one: isinstance(one, bool)}.get(field.name, _is_number)
        if not check(value):
            raise RegionError(f"The {kind} of region “{region}” has no {field.name} that can be used.")
        values[field.name] = value
    return KINDS[kind](**values)


def _is_number(value: Any) -> bool:
    # beyond 1e300 a whole number need not fit into floating point any more
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not abs(value) > 1e300


def _are_points(value: Any) -> bool:
    pairs = isinstance(value, (list, tuple)) and all(isinstance(pair, (list, tuple)) for pair in value)
    return pairs and all(len(pair) == 2 and all(map(_is_number, pair)) for pair in value)
