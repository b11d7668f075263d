"""What a person draws: shapes on a picture, and the named region they form together.

Coordinates are picture pixels, origin at the top left corner of the top left pixel; fractions are allowed, and shapes
may reach beyond the picture. Shapes are drawn in their order; a brush that erases takes away what lies under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from qwenvl_debug.errors import RegionError

Expectation = Literal["look", "avoid", "measure"]
"""Whether the model should look there, should not, or is only to be measured."""


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle from its top left corner."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        _finite(self.x, self.y, self.width, self.height)
        if self.width < 0 or self.height < 0:
            raise RegionError("A rectangle's width and height cannot be negative.")


@dataclass(frozen=True)
class Ellipse:
    """An ellipse about a centre; `turn` in degrees, clockwise as seen."""

    cx: float
    cy: float
    rx: float
    ry: float
    turn: float = 0.0

    def __post_init__(self) -> None:
        _finite(self.cx, self.cy, self.rx, self.ry, self.turn)
        if self.rx < 0 or self.ry < 0:
            raise RegionError("An ellipse's radii cannot be negative.")


@dataclass(frozen=True)
class Polygon:
    """A closed outline of at least three points (x, y); where it crosses itself the even-odd rule holds."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _points(self.points))
        if len(self.points) < 3:
            raise RegionError("A polygon needs at least three points.")


@dataclass(frozen=True)
class Brush:
    """A freehand stroke of a round brush, `size` pixels wide; with `erase` it takes away instead."""

    points: tuple[tuple[float, float], ...]
    size: float
    erase: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _points(self.points))
        _finite(self.size)
        if not self.points or self.size <= 0:
            raise RegionError("A brush stroke needs at least one point and a size above zero.")


@dataclass(frozen=True, eq=False)
class Mask:
    """A region given pixel by pixel: bool [height, width], laid on the picture from its top left corner."""

    pixels: np.ndarray

    def __post_init__(self) -> None:
        pixels = np.asarray(self.pixels)
        if pixels.ndim != 2:
            raise RegionError("A mask has rows and columns: give a two-dimensional array.")
        pixels = pixels.astype(bool)
        pixels.setflags(write=False)
        object.__setattr__(self, "pixels", pixels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mask) and np.array_equal(self.pixels, other.pixels)

    def __hash__(self) -> int:
        return hash((self.pixels.shape, self.pixels.tobytes()))


Shape = Rectangle | Ellipse | Polygon | Brush | Mask


@dataclass(frozen=True)
class Region:
    """A named set of shapes on a picture.

    Attributes:
        name: what it is called, such as "spheres".
        shapes: drawn in this order; together they are the region.
        expect: "look" (the model should look here), "avoid" (it should not), or "measure" (no expectation).
    """

    name: str
    shapes: tuple[Shape, ...]
    expect: Expectation = "look"

    def __post_init__(self) -> None:
        shapes = (self.shapes,) if isinstance(self.shapes, Shape) else tuple(self.shapes)
        object.__setattr__(self, "shapes", shapes)
        if not self.name.strip():
            raise RegionError("A region needs a name.")
        if not all(isinstance(shape, Shape) for shape in shapes):
            raise RegionError("A region is made of rectangles, ellipses, polygons, brush strokes and masks.")
        if self.expect not in get_args(Expectation):
            raise RegionError(f"A region's expectation is look, avoid or measure, not {self.expect!r}.")


def _finite(*numbers: float) -> None:
    if not np.isfinite(numbers).all():
        raise RegionError("A shape's coordinates must be finite numbers.")


def _points(points: Sequence[Sequence[float]]) -> tuple[tuple[float, float], ...]:
    array = np.asarray(points, dtype=float)
    if array.ndim != 2 or array.shape[1] != 2:
        raise RegionError("Points are pairs of x and y.")
    _finite(*array.ravel())
    return tuple((float(x), float(y)) for x, y in array)
