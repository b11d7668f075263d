"""Two pictures with known maps to draw on: what the small app of the editor shows, and what tests compute beside it."""

from types import SimpleNamespace

import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.maps import MapStack, Query

SIZES = ((640, 480), (320, 480))
LAYERS, HEADS = 3, 2


def picture(number: int) -> Picture:
    """A picture of slow waves; number 0 is the correct side, 1 the failing one, with a red disc on it."""
    width, height = SIZES[number]
    y, x = np.mgrid[:height, :width]
    channels = [128 + 90 * np.sin((x + 2 * y + 60 * number) / span) for span in (70, 110, 150)]
    pixels = np.stack(channels, axis=-1).astype(np.uint8)
    if number == 1:
        pixels[disc()] = (230, 20, 40)
    return Picture.open(pixels, name=f"waves-{number}.png")


def disc() -> np.ndarray:
    """bool [480, 320]: the red disc on the failing picture."""
    y, x = np.mgrid[:480, :320]
    return (x - 110) ** 2 + (y - 395) ** 2 < 55**2


def stack(number: int) -> MapStack:
    """Random maps on a grid of 12 x 16 or 12 x 8 cells, each summing to 1."""
    rows, cols = 12, SIZES[number][0] // 40
    values = np.random.default_rng(number).random((LAYERS, HEADS, rows, cols), np.float32) ** 4
    values /= values.sum((2, 3), keepdims=True)
    flat = np.ones((LAYERS, HEADS), np.float32)
    grid = SimpleNamespace(rows=rows, cols=cols, positions=np.arange(rows * cols), picture=0)
    return MapStack(values, flat, flat, grid, Query((0,), "known"), "picture")


def stamp() -> np.ndarray:
    """bool [480, 640]: a mask that the correct picture comes with, neither symmetric nor convex."""
    y, x = np.mgrid[:480, :640]
    return ((x - 480) ** 2 / 90**2 + (y - 330) ** 2 / 60**2 < 1) & ~((x > 480) & (y > 350))
