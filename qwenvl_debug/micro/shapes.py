"""Coloured shapes, two to four in a picture, no two alike in shape or colour."""

from __future__ import annotations

import numpy as np

from qwenvl_debug.micro.canvas import Canvas, Colour, ellipse_points, lighten

# hue in degrees, saturation and value in 0..1: the ranges within which a colour keeps its name
RANGES = {
    "red": ((-10, 8), (0.72, 1.0), (0.66, 1.0)),
    "orange": ((22, 37), (0.8, 1.0), (0.88, 1.0)),
    "yellow": ((49, 60), (0.72, 1.0), (0.88, 1.0)),
    "green": ((92, 150), (0.5, 1.0), (0.42, 0.85)),
    "blue": ((200, 240), (0.62, 1.0), (0.55, 1.0)),
    "purple": ((268, 296), (0.42, 1.0), (0.42, 0.85)),
    "black": ((0, 360), (0.0, 0.25), (0.0, 0.13)),
    "white": ((0, 360), (0.0, 0.04), (0.95, 1.0)),
}


def shade_of(name: str, rng: np.random.Generator) -> Colour:
    """One RGB shade (0..255) that people call by this colour's name."""
    hue, saturation, value = (rng.uniform(*span) for span in RANGES[name])
    sector = (hue % 360) / 60
    part = 1 - abs(sector % 2 - 1)
    rgb = [(1, part, 0), (part, 1, 0), (0, 1, part), (0, part, 1), (part, 0, 1), (1, 0, part)][int(sector) % 6]
    return tuple(255 * value * (1 - saturation + saturation * c) for c in rgb)


def outline(name: str, cx: float, cy: float, r: float, turn: float, rng: np.random.Generator) -> np.ndarray:
    """Points [n, 2] of a shape of half-width r about its centre."""
    if name == "circle":
        return ellipse_points(cx, cy, r, r * rng.uniform(0.94, 1.0))
    if name == "square":
        points = np.float64([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * 0.88
    elif name == "triangle":
        peak = rng.uniform(-0.25, 0.25) if rng.random() < 0.4 else 0
        points = np.float64([(peak, -1.0), (1.02, 0.8), (-1.02, 0.8)]) * (1, rng.uniform(0.9, 1.1))
    elif name == "star":
        tips, inner = int(rng.choice([5, 5, 5, 5, 6])), rng.uniform(0.38, 0.5)
        angle = np.arange(2 * tips) * np.pi / tips - np.pi / 2
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * np.where(np.arange(2 * tips) % 2, inner, 1.05)[:, None]
    elif name == "heart":
        t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        points = (
            np.stack(
                [16 * np.sin(t) ** 3, -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))], 1
            )
            / 16.5
        )
    else:
        a = rng.uniform(0.26, 0.4)
        points = np.float64(
            [(-a, -1), (a, -1), (a, -a), (1, -a), (1, a), (a, a), (a, 1), (-a, 1), (-a, a), (-1, a), (-1, -a), (-a, -a)]
        )
    c, s = np.cos(turn), np.sin(turn)
    return points @ np.float64([[c, s], [-s, c]]) * r + (cx, cy)


def place(count: int, height: int, width: int, rng: np.random.Generator, size: tuple[float, float]) -> list[tuple]:
    """Centres and half-widths (cx, cy, r) of shapes that do not touch and lie inside the picture."""
    least = min(height, width)
    for shrink in np.linspace(1, 0.4, 60):
        found: list[tuple] = []
        for _ in range(count):
            r = rng.uniform(*size) * least * 0.5 * shrink
            margin = r * 1.12
            if 2 * margin >= least:
                break
            cx, cy = rng.uniform(margin, width - margin), rng.uniform(margin, height - margin)
            if any(np.hypot(cx - x, cy - y) < 1.32 * (r + q) for x, y, q in found):
                break
            found.append((cx, cy, r))
        if len(found) == count:
            return found
    return [(width * (i + 0.5) / count, height / 2, min(width / count, height) * 0.3) for i in range(count)]


def draw_shape(
    canvas: Canvas,
    rng,
    name: str,
    colour: Colour,
    spot: tuple,
    owner: int,
    ground: Colour,
    scale: float,
    simple: bool = False,
) -> None:
    """Draws one shape; an edge is added where the colour is close to the ground."""
    cx, cy, r = spot
    turn = 0.0 if simple or rng.random() < 0.55 else rng.uniform(-0.38, 0.38)
    points = outline(name, cx, cy, r, turn, rng)
    if not simple and rng.random() < 0.12:
        canvas.polygon(points + r * 0.09, (0, 0, 0), 0, opacity=0.22)
    faint = np.abs(np.float32(colour) - np.float32(ground)).max() < 70
    edge = 0.5 if simple else rng.random()
    hollow = edge < 0.07 and not faint and r > 0.1 * scale
    if hollow:
        inner = (points - points.mean(0)) * 0.62 + points.mean(0)
        canvas.polygon(points, colour, owner, holes=[inner])
        return
    graded = rng.random() < 0.3
    strong = 0.0 if max(colour) < 60 else 0.12
    canvas.polygon(points, (lighten(colour, strong), lighten(colour, -strong)) if graded else colour, owner)
    if faint or edge > 0.72:
        dark = sum(colour) < 200
        ink = (200, 200, 200) if dark and sum(ground) < 330 else lighten(colour, -0.75 if not dark else 0.6)
        if edge > 0.86 and not (dark and sum(ground) > 330):
            ink = (20, 20, 20) if not dark else (235, 235, 235)
        canvas.line(points, ink, max(1.0, min(scale * rng.uniform(0.004, 0.014), 0.09 * r)), owner, closed=True)
