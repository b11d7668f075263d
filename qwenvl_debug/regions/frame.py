"""Are a file's coordinates of a photo as it is shown, or as its pixels are stored before EXIF turns it?

Cameras store pixels as the sensor is held and write into EXIF how to turn them. This program shows photos turned, as
browsers do; some annotation tools do not, and some write the sizes of the stored pixels beside coordinates of the shown
photo (Label Studio's COCO export). Swapped sides tell that something is turned, and coordinates beyond one of the two
frames tell which one they are of. Where neither tells, a person is asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.files import Question, Size, UnclearFile, swapped
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Shape

Frame = Literal["shown", "stored"]
SLACK = 1.0
"""Pixels by which coordinates may leave their image: tools round, and some count edges from 1."""

_TURNS: dict[int, tuple[tuple[int, int], tuple[int, int]]] = {
    1: ((1, 0), (0, 1)),
    2: ((-1, 0), (0, 1)),
    3: ((-1, 0), (0, -1)),
    4: ((1, 0), (0, -1)),
    5: ((0, 1), (1, 0)),
    6: ((0, -1), (1, 0)),
    7: ((0, -1), (-1, 0)),
    8: ((0, 1), (-1, 0)),
}
"""What each EXIF orientation does to a direction: rows of the matrix that takes stored (x, y) to shown (x, y)."""

_WORDS = {2: "mirrored", 3: "turned by 180°", 4: "mirrored", 5: "mirrored and turned", 6: "turned by 90°",
          7: "mirrored and turned", 8: "turned by 90°"}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """How a file's coordinates are to be read.

    Attributes:
        size: width, height of the frame that they are in.
        orientation: the EXIF orientation that takes them to the shown photo; 1 where they are of the shown photo.
        sentence: what a person should know about that, or no text.
        question: set where it may be otherwise and nothing in the file tells.
    """

    size: Size
    orientation: int = 1
    sentence: str = ""
    question: Question | None = None


def frame_of(
    found: Size | None, size: Size, exif: int | None, frame: Frame | None, fits: Callable[[Size], bool]
) -> Reading:
    """Decide which frame a file's coordinates are of.

    Args:
        found: width, height that the file gives its image; None where it does not.
        size: width, height of the photo as it is shown.
        exif: the orientation that was applied to it (`Picture.orientation`), or None where that is not known.
        frame: what the caller says, or None.
        fits: whether all coordinates lie within a size, as far as can be told; for any size where nothing can.

    Raises:
        UnclearFile: sides are swapped, and coordinates fit both frames, or how the photo was turned is not known.
        RegionError: the caller says "stored" where it is not known how the photo was turned.
    """
    stored = swapped(size) if exif is None or exif >= 5 else size
    if frame not in (None, "shown", "stored"):
        raise RegionError(f'frame is "shown" or "stored", not {frame!r}.')
    if frame == "stored":
        if exif in (None, 1):
            raise RegionError("How this photo was turned is not known: pass its EXIF orientation, such as exif=6.")
        return Reading(stored, exif, f"The regions were {_WORDS[exif]} as EXIF says of this photo.")
    if found is None or found == size or frame == "shown":
        return Reading(size, 1, question=_doubt(size, exif) if frame is None else None)
    turned = exif is not None and exif >= 5
    if turned and fits(size) != fits(stored):
        if fits(size):
            return Reading(size, 1, "The file gives the size of the photo before EXIF turns it; coordinates fit after.")
        return Reading(stored, exif, f"The regions were {_WORDS[exif]} as EXIF says of this photo.")
    raise UnclearFile(
        Question(
            f"The file gives {found[0]} x {found[1]} pixels and the photo is shown with {size[0]} x {size[1]}, so it "
            "may be a photo that its EXIF orientation turns, and coordinates may be of the photo as shown or as stored",
            "frame",
            ("shown", "stored") if turned or exif is None else ("shown",),
        )
    )


def upright(shape: Shape, reading: Reading) -> Shape:
    """A shape of a file's frame as it is on the shown photo."""
    if reading.orientation == 1:
        return shape
    turn = np.array(_TURNS[reading.orientation], dtype=float)
    # the frame's centre stays the centre; only its sides may be swapped
    middle = np.array(reading.size) / 2
    shown = np.array(swapped(reading.size) if reading.orientation >= 5 else reading.size) / 2

    def moved(points):
        return [tuple(float(value) for value in turn @ (np.array(one) - middle) + shown) for one in points]

    match shape:
        case Rectangle(x, y, width, height):
            (x1, y1), (x2, y2) = moved([(x, y), (x + width, y + height)])
            return Rectangle(min(x1, x2), min(y1, y2), abs(x2 - x1), abs(y2 - y1))
        case Ellipse(cx, cy, rx, ry, degrees):
            ((cx, cy),) = moved([(cx, cy)])
            along = turn @ (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
            return Ellipse(cx, cy, rx, ry, math.degrees(math.atan2(along[1], along[0])))
        case Polygon(points):
            return Polygon(moved(points))
        case Brush(points, size, erase):
            return Brush(moved(points), size, erase)
        case Mask(pixels):
            return Mask(_turned_pixels(pixels, reading.orientation))
    raise TypeError(f"{type(shape).__name__} is not a shape")


def _turned_pixels(pixels: np.ndarray, orientation: int) -> np.ndarray:
    (a, b), (c, d) = _TURNS[orientation]
    if orientation >= 5:
        pixels = pixels.T
    return pixels[:: c + d, :: a + b]


def _doubt(size: Size, exif: int | None) -> Question | None:
    """Of a photo whose sides tell nothing, since turning it leaves its size."""
    if exif in (None, 1) or (exif >= 5 and size[0] != size[1]):
        return None
    return Question(
        f"This photo is {_WORDS[exif]} by EXIF, and its size does not tell whether the file's coordinates are of the "
        "photo as shown or as stored",
        "frame",
        ("shown", "stored"),
    )
