"""What stands behind the objects: skies, rooms, papers and plain grounds, from a photo-like to an empty one."""

from __future__ import annotations

import cv2
import numpy as np

from qwenvl_debug.micro.canvas import Canvas, Colour, lighten

SKIES = {  # top and bottom of the sky, and how far lights are on
    "day": (((92, 158, 222), (206, 228, 242)), 0.0),
    "clear": (((46, 120, 205), (160, 205, 238)), 0.0),
    "overcast": (((150, 160, 172), (205, 210, 214)), 0.1),
    "dawn": (((118, 130, 190), (248, 206, 170)), 0.3),
    "sunset": (((70, 60, 120), (245, 150, 90)), 0.5),
    "night": (((8, 12, 34), (36, 42, 82)), 1.0),
}


def any_colour(rng: np.random.Generator, low: float = 0, high: float = 255) -> Colour:
    """A colour anywhere between two brightnesses, as often muted as not."""
    colour = rng.uniform(low, high, 3)
    return tuple(colour * 0.5 + colour.mean() * 0.5) if rng.random() < 0.5 else tuple(colour)


def plain(canvas: Canvas, rng: np.random.Generator, light: bool | None = None) -> Colour:
    """One flat colour (white most often); returns it."""
    draw = rng.random()
    if light is None:
        light = draw < 0.85
    if not light:
        colour = any_colour(rng, 5, 75)
    elif draw < 0.45:
        colour = (255, 255, 255)
    else:
        colour = any_colour(rng, 175, 255)
    canvas.pixels[:] = colour
    return colour


def gradient(canvas: Canvas, top: Colour, bottom: Colour) -> None:
    step = np.linspace(0, 1, canvas.height, dtype=np.float32)[:, None, None]
    canvas.pixels[:] = np.float32(top) + (np.float32(bottom) - np.float32(top)) * step


def grain(canvas: Canvas, rng: np.random.Generator, strength: float, size: int = 1) -> None:
    """Adds soft noise; size is the width of its blotches in pixels."""
    small = (max(2, canvas.height // size), max(2, canvas.width // size))
    noise = rng.normal(0, strength, (*small, 1)).astype(np.float32)
    canvas.pixels += cv2.resize(noise, (canvas.width, canvas.height), interpolation=cv2.INTER_LINEAR)[..., None]


def sky(canvas: Canvas, rng: np.random.Generator, name: str) -> float:
    """Paints a sky with clouds or stars; returns how far city lights are on, 0..1."""
    (top, bottom), lights = SKIES[name]
    shift = rng.uniform(-18, 18, 3)
    gradient(canvas, np.clip(top + shift, 0, 255), np.clip(bottom + shift, 0, 255))
    w, h = canvas.width, canvas.height
    if lights > 0.8:
        for _ in range(int(rng.integers(0, 40))):
            x, y = rng.uniform(0, w), rng.uniform(0, h * 0.6)
            canvas.ellipse(x, y, *(2 * [rng.uniform(0.4, 1.2)]), (235, 235, 220), None, opacity=rng.uniform(0.4, 1))
    elif rng.random() < 0.6:
        white = lighten(tuple(np.float32(bottom)), 0.6)
        for _ in range(int(rng.integers(1, 5))):
            x, y, size = rng.uniform(0, w), rng.uniform(0.03, 0.45) * h, rng.uniform(0.04, 0.12) * w
            for _ in range(int(rng.integers(3, 6))):
                canvas.ellipse(
                    x + rng.uniform(-1.2, 1.2) * size,
                    y + rng.uniform(-0.2, 0.2) * size,
                    size * rng.uniform(0.5, 1),
                    size * rng.uniform(0.22, 0.4),
                    white,
                    None,
                    opacity=0.4,
                )
    if rng.random() < 0.3:
        x, y, r = rng.uniform(0, w), rng.uniform(0.05, 0.35) * h, rng.uniform(0.025, 0.06) * min(w, h)
        canvas.ellipse(x, y, r, r, (240, 236, 215) if lights > 0.6 else (255, 236, 170), None)
    return lights


def skyline(canvas: Canvas, rng: np.random.Generator, ground: float, reach: float, lights: float, tint: Colour) -> None:
    """A row of houses that stands on `ground` (y in pixels) and rises up to `reach` pixels."""
    w, x = canvas.width, -rng.uniform(0, 0.05) * canvas.width
    while x < w:
        wide, tall = rng.uniform(0.035, 0.12) * w, rng.uniform(0.2, 1.0) * reach
        colour = lighten(tint, rng.uniform(-0.25, 0.25))
        canvas.rectangle(x, ground - tall, wide, tall + 2, colour)
        if rng.random() < 0.25:
            canvas.polygon(
                [(x, ground - tall), (x + wide / 2, ground - tall - wide * 0.4), (x + wide, ground - tall)], colour
            )
        if rng.random() < 0.7 and wide > 6:
            step = max(3.0, wide / rng.integers(3, 6))
            lit = (255, 222, 140) if lights > 0.3 else lighten(colour, 0.3)
            for wy in np.arange(ground - tall + step * 0.4, ground - step * 0.5, step):
                for wx in np.arange(x + step * 0.3, x + wide - step * 0.5, step):
                    if rng.random() < 0.55:
                        canvas.rectangle(wx, wy, step * 0.45, step * 0.5, colour if lit is None else lit)
        x += wide * rng.uniform(0.85, 1.25)


def waterfront(canvas: Canvas, rng: np.random.Generator, ground: float) -> None:
    """River, lawn or street below the houses."""
    w, h = canvas.width, canvas.height
    kind = rng.choice(["river", "lawn", "street", "none"])
    colour = {"river": (84, 122, 150), "lawn": (108, 150, 92), "street": (132, 132, 136), "none": None}[str(kind)]
    if colour is None:
        return
    dim = float(np.clip(canvas.pixels[0].mean() / 170, 0.3, 1.1))
    colour = tuple(np.clip(np.float32(colour) * dim, 0, 255))
    canvas.rectangle(0, ground, w, h - ground + 2, (lighten(colour, 0.15), lighten(colour, -0.2)))
    if kind == "river":
        for _ in range(int(rng.integers(3, 14))):
            x, y = rng.uniform(0, w), rng.uniform(ground, h)
            canvas.line([(x, y), (x + rng.uniform(0.03, 0.1) * w, y)], lighten(colour, 0.35), 1, None)


def paper(canvas: Canvas, rng: np.random.Generator) -> Colour:
    """A ground for coloured shapes: plain, graded, ruled or grainy; returns its mean colour."""
    kind = rng.choice(["plain", "plain", "gradient", "ruled", "blotchy", "bands"])
    colour = plain(canvas, rng, light=None if kind == "plain" else bool(rng.random() < 0.8))
    if kind == "gradient":
        gradient(canvas, lighten(colour, rng.uniform(-0.2, 0.2)), lighten(colour, rng.uniform(-0.3, 0.1)))
    elif kind == "ruled":
        ink, step = lighten(colour, -0.18 if sum(colour) > 300 else 0.25), rng.uniform(0.05, 0.14) * canvas.height
        for y in np.arange(rng.uniform(0, step), canvas.height, step):
            canvas.line([(0, y), (canvas.width, y)], ink, 1, None)
        if rng.random() < 0.6:
            for x in np.arange(rng.uniform(0, step), canvas.width, step):
                canvas.line([(x, 0), (x, canvas.height)], ink, 1, None)
    elif kind == "blotchy":
        grain(canvas, rng, rng.uniform(4, 14), int(rng.integers(4, 40)))
    elif kind == "bands":
        horizon = rng.uniform(0.4, 0.8) * canvas.height
        canvas.rectangle(
            0, horizon, canvas.width, canvas.height - horizon + 2, lighten(colour, rng.uniform(-0.3, -0.1))
        )
    return tuple(canvas.pixels.reshape(-1, 3).mean(0))


def room(canvas: Canvas, rng: np.random.Generator, floor: float) -> None:
    """A wall and a floor that meets it at `floor` (y in pixels), at times with a window, a frame or a rug."""
    w, h = canvas.width, canvas.height
    wall = plain(canvas, rng, light=bool(rng.random() < 0.9))
    if rng.random() < 0.3:
        return
    ground = lighten(wall, -0.15) if rng.random() < 0.3 else any_colour(rng, 90, 220)
    if rng.random() < 0.3:
        canvas.line([(0, floor), (w, floor)], lighten(wall, -0.5 if sum(wall) > 300 else 0.5), max(1, h * 0.006), None)
    else:
        canvas.rectangle(0, floor, w, h - floor + 2, (lighten(ground, 0.08), lighten(ground, -0.1)))
        if rng.random() < 0.4:
            for y in np.linspace(floor, h, int(rng.integers(4, 8)))[1:]:
                canvas.line([(0, y), (w, y)], lighten(ground, -0.15), 1, None)
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        x, y = rng.uniform(0.02, 0.75) * w, rng.uniform(0.03, 0.2) * h
        wide, tall = rng.uniform(0.1, 0.22) * w, rng.uniform(0.12, 0.22) * h
        inner = any_colour(rng, 110, 240)
        canvas.rectangle(x, y, wide, tall, lighten(wall, -0.4))
        canvas.rectangle(x + 2, y + 2, wide - 4, tall - 4, (lighten(inner, 0.2), inner))
        if rng.random() < 0.5:
            canvas.line([(x + wide / 2, y), (x + wide / 2, y + tall)], lighten(wall, -0.4), 2, None)
