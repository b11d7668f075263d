"""Regions as they are typed: NAME=rect:x,y,w,h and the like, in pixels of the picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qwenvl_debug.errors import RegionError

if TYPE_CHECKING:
    from qwenvl_debug.regions import Region
    from qwenvl_debug.regions.shapes import Shape

SHAPES = "NAME=rect:x,y,w,h | ellipse:cx,cy,rx,ry | polygon:x1,y1,x2,y2,… | mask:FILE.png"
_COUNTS = {"rect": (4,), "ellipse": (4, 5), "polygon": range(6, 10_000, 2)}

Size = tuple[int, int]


def add_region(parser: argparse.ArgumentParser, flag: str, text: str, metavar="NAME=SHAPE", needed=False) -> None:
    """An option that may be given several times."""
    parser.add_argument(flag, action="append", default=[], required=needed, metavar=metavar, help=text)


def parsed(texts: Sequence[str], size: Size) -> list[Region]:
    """Regions on a picture of this size; shapes of one name form one region.

    Raises:
        RegionError: in one sentence, which text cannot be used and why.
    """
    from qwenvl_debug.regions import Region, region_mask
    from qwenvl_debug.regions.names import name_key

    shapes: dict[str, list[Shape]] = {}
    for text in texts:
        name, equals, shape = text.partition("=")
        if not equals or not name.strip():
            raise RegionError(f"A region is written {SHAPES}, not “{text}”.")
        shapes.setdefault(name_key(name), []).append(_shape(shape.strip(), text, size))
    regions = [Region(name, tuple(several)) for name, several in shapes.items()]
    for region in regions:
        region_mask(region, size)  # one that cannot be drawn is told before the model works
    return regions


def _shape(shape: str, text: str, size: Size) -> Shape:
    from qwenvl_debug.regions import Ellipse, Polygon, Rectangle, mask_from_png

    kind, _, rest = shape.partition(":")
    if kind == "mask":
        return mask_from_png(rest, size)
    if kind not in _COUNTS:
        raise RegionError(f"A region is written {SHAPES}, not “{text}”.")
    try:
        numbers = [float(part) for part in rest.replace("，", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in _COUNTS[kind]:
        wanted = {"rect": "four numbers", "ellipse": "four numbers, or five with a turn in degrees"}
        raise RegionError(f"In “{text}” {kind} needs {wanted.get(kind, 'at least three points')}, with commas between.")
    if kind == "rect":
        return Rectangle(*numbers)
    if kind == "ellipse":
        return Ellipse(*numbers)
    return Polygon(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
