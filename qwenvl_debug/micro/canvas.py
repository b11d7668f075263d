"""A picture that remembers which object owns each pixel: the drawing surface of every scene.

Everything is a polygon with a paint. What is drawn later hides what lies below, in the picture and in the
ground truth alike, so an object's mask is what a person can still see of it.
"""

from __future__ import annotations

import cv2
import numpy as np

SUBPIXEL = 4  # bits of sub-pixel position that OpenCV takes for anti-aliased drawing

Colour = tuple[float, float, float]


def lighten(colour: Colour, amount: float) -> Colour:
    """Mixes a colour with white (amount > 0) or black (amount < 0); amount in -1..1."""
    target = 255.0 if amount > 0 else 0.0
    return tuple(float(c + (target - c) * abs(amount)) for c in colour)


def ellipse_points(cx: float, cy: float, rx: float, ry: float, turn: float = 0.0, start=0.0, stop=2 * np.pi):
    """Points [n, 2] of an ellipse (or an arc of it) in pixels; `turn` in radians."""
    steps = int(np.clip(max(rx, ry) * abs(stop - start), 16, 96))
    angle = np.linspace(start, stop, steps, endpoint=abs(stop - start) < 2 * np.pi - 1e-6)
    x, y = rx * np.cos(angle), ry * np.sin(angle)
    return np.stack([cx + x * np.cos(turn) - y * np.sin(turn), cy + x * np.sin(turn) + y * np.cos(turn)], axis=1)


class Canvas:
    """An RGB picture with an owner per pixel.

    Attributes:
        pixels: float32 [height, width, 3], 0..255.
        owner: uint8 [height, width]; 0 is background, other numbers are given by the scene.
    """

    def __init__(self, height: int, width: int, background: Colour = (255, 255, 255)):
        self.height, self.width = height, width
        self.pixels = np.empty((height, width, 3), np.float32)
        self.pixels[:] = background
        self.owner = np.zeros((height, width), np.uint8)

    def polygon(self, points, paint, owner: int | None = 0, opacity: float = 1.0, holes=()) -> None:
        """Fills a polygon, anti-aliased.

        Args:
            points: [n, 2] x, y in pixels.
            paint: one colour, or two for a gradient from the top of the polygon to its bottom.
            owner: who owns these pixels from now on; None leaves the owner as it was (thin decoration).
            opacity: 0..1.
            holes: further point lists cut out by the even-odd rule.
        """
        rings = [np.asarray(ring, np.float64) for ring in (points, *holes)]
        low = np.floor(rings[0].min(axis=0)).astype(int) - 1
        high = np.ceil(rings[0].max(axis=0)).astype(int) + 2
        x0, y0 = np.maximum(low, 0)
        x1, y1 = np.minimum(high, (self.width, self.height))
        if x1 <= x0 or y1 <= y0:
            return
        fixed = [np.round((ring - (x0, y0)) * (1 << SUBPIXEL)).astype(np.int32) for ring in rings]
        cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(cover, fixed, 255, cv2.LINE_AA, SUBPIXEL)
        alpha = (cover.astype(np.float32) * (opacity / 255.0))[..., None]
        if isinstance(paint[0], tuple | list | np.ndarray):
            top, bottom = np.float32(paint[0]), np.float32(paint[1])
            step = np.clip((np.arange(y0, y1) - rings[0][:, 1].min()) / max(np.ptp(rings[0][:, 1]), 1), 0, 1)
            fill = (top + (bottom - top) * step[:, None].astype(np.float32))[:, None, :]
        else:
            fill = np.float32(paint)
        view = self.pixels[y0:y1, x0:x1]
        view += (fill - view) * alpha
        if owner is not None:
            self.owner[y0:y1, x0:x1][cover >= 128] = owner

    def line(self, points, colour: Colour, thickness: float, owner: int | None = None, closed: bool = False) -> None:
        """Draws a polyline of a thickness in pixels (at least one), anti-aliased, flat in colour."""
        points, width = np.asarray(points, np.float64), max(1, round(thickness))
        x0, y0 = np.maximum(np.floor(points.min(axis=0)).astype(int) - width - 1, 0)
        x1, y1 = np.minimum(np.ceil(points.max(axis=0)).astype(int) + width + 2, (self.width, self.height))
        if x1 <= x0 or y1 <= y0:
            return
        fixed = [np.round((points - (x0, y0)) * (1 << SUBPIXEL)).astype(np.int32)]
        cover = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.polylines(cover, fixed, closed, 255, width, cv2.LINE_AA, SUBPIXEL)
        view = self.pixels[y0:y1, x0:x1]
        view += (np.float32(colour) - view) * (cover.astype(np.float32) / 255.0)[..., None]
        if owner is not None:
            self.owner[y0:y1, x0:x1][cover >= 128] = owner

    def rectangle(self, x: float, y: float, width: float, height: float, paint, owner: int | None = 0) -> None:
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], paint, owner)

    def ellipse(self, cx: float, cy: float, rx: float, ry: float, paint, owner: int | None = 0, **kwargs) -> None:
        self.polygon(ellipse_points(cx, cy, rx, ry), paint, owner, **kwargs)

    def veil(self, colour: Colour, opacity) -> None:
        """Lays a colour over everything; opacity a number or [height, width] in 0..1. Owners stay."""
        amount = np.asarray(opacity, np.float32)
        amount = amount[..., None] if amount.ndim == 2 else amount
        self.pixels += (np.float32(colour) - self.pixels) * amount

    def picture(self) -> np.ndarray:
        """The picture as uint8 [height, width, 3] RGB."""
        return np.clip(np.round(self.pixels), 0, 255).astype(np.uint8)
