"""Towers over a skyline: the outlines that tell one tower from another, each with the part that tells it."""

from __future__ import annotations

import numpy as np

from qwenvl_debug.micro.canvas import Canvas, Colour, ellipse_points, lighten

TOWER, PART = 1, 2  # owners on the canvas: the tower, and the part of it that gives it away
PART_NAMES = {"pearl": "spheres", "canton": "waist", "eiffel": "legs", "taipei": "segments"}


class Style:
    """How one tower is painted: filled or drawn in outline, in which colours."""

    def __init__(self, rng: np.random.Generator, main: Colour, part: Colour, ink: Colour, filled: bool, stroke: float):
        self.main, self.part, self.ink, self.filled, self.stroke = main, part, ink, filled, stroke
        self.gradient = rng.random() < 0.5

    def shape(self, canvas: Canvas, points, owner: int, shade: float = 0.0, holes=()) -> None:
        colour = lighten(self.part if owner == PART else self.main, shade)
        if self.filled:
            paint = (lighten(colour, 0.25), lighten(colour, -0.2)) if self.gradient else colour
            canvas.polygon(points, paint, owner, holes=holes)
        else:
            canvas.polygon(points, colour, owner, opacity=0.12, holes=holes)
        if self.stroke or not self.filled:
            for ring in (points, *holes):
                canvas.line(ring, self.ink, max(self.stroke, 1.0), owner, closed=True)

    def stroke_line(self, canvas: Canvas, points, thickness: float, owner: int) -> None:
        canvas.line(points, self.main if self.filled else self.ink, thickness, owner)


def pearl(canvas: Canvas, style: Style, rng, cx: float, base: float, height: float) -> None:
    """Oriental Pearl Tower: a tripod, a large and a smaller sphere on a shaft, a bead and a spire."""
    h, wide = height, height * rng.uniform(0.85, 1.2)
    low, high = rng.uniform(0.24, 0.33), rng.uniform(0.56, 0.68)
    big, small = rng.uniform(0.085, 0.125) * wide, rng.uniform(0.055, 0.085) * wide
    bead = rng.uniform(0.018, 0.035) * wide
    shaft = rng.uniform(0.018, 0.035) * wide
    y = lambda t: base - t * h  # noqa: E731
    top = rng.uniform(0.76, 0.84)
    style.shape(canvas, [(cx - shaft * 0.25, y(top)), (cx, y(1.0)), (cx + shaft * 0.25, y(top))], TOWER)
    style.stroke_line(canvas, [(cx, y(top)), (cx, y(1.0))], h * 0.008, TOWER)
    columns = rng.choice([1, 3])
    for offset in (0,) if columns == 1 else (-1.1, 0, 1.1):
        half = shaft if columns == 1 else shaft * 0.45
        x = cx + offset * shaft
        style.shape(canvas, [(x - half, y(0)), (x - half, y(high)), (x + half, y(high)), (x + half, y(0))], TOWER)
    style.shape(
        canvas,
        [
            (cx - shaft * 0.6, y(high)),
            (cx - shaft * 0.4, y(top)),
            (cx + shaft * 0.4, y(top)),
            (cx + shaft * 0.6, y(high)),
        ],
        TOWER,
    )
    if rng.random() < 0.8:
        spread = rng.uniform(0.09, 0.16) * wide
        for side in (-1, 1):
            foot = cx + side * spread
            style.shape(
                canvas,
                [
                    (foot - shaft * 0.5, y(0)),
                    (cx + side * shaft * 0.4, y(low)),
                    (cx + side * shaft * 1.2, y(low)),
                    (foot + shaft * 0.5, y(0)),
                ],
                TOWER,
            )
    if rng.random() < 0.4:
        for _ in range(rng.integers(1, 4)):
            style.shape(
                canvas, ellipse_points(cx, y(rng.uniform(low + 0.13, high - 0.1)), bead * 0.9, bead * 0.9), TOWER
            )
    squash = rng.uniform(0.9, 1.0)
    for level, radius in ((low, big), (high, small), (top, bead)):
        style.shape(canvas, ellipse_points(cx, y(level), radius, radius * squash), PART)
        if style.filled and rng.random() < 0.6 and radius > 3:
            canvas.ellipse(
                cx - radius * 0.3,
                y(level) - radius * 0.35,
                radius * 0.3,
                radius * 0.22,
                lighten(style.part, 0.6),
                None,
                opacity=0.6,
            )
        if rng.random() < 0.4:
            style_band = ellipse_points(cx, y(level), radius, radius * 0.22)
            canvas.line(style_band, style.ink, max(1, radius * 0.06), None, closed=True)


def canton(canvas: Canvas, style: Style, rng, cx: float, base: float, height: float) -> None:
    """Canton Tower: a twisted lattice shaft, widest at the foot, narrow above the middle, with a mast."""
    h = height
    foot, waist, crown = rng.uniform(0.1, 0.15) * h, rng.uniform(0.028, 0.048) * h, rng.uniform(0.065, 0.1) * h
    neck, top = rng.uniform(0.5, 0.62), rng.uniform(0.72, 0.82)
    t = np.linspace(0, top, 40)
    below, above = np.clip((neck - t) / neck, 0, 1), np.clip((t - neck) / (top - neck), 0, 1)
    half = waist + (foot - waist) * below**1.6 + (crown - waist) * above**1.7
    slant = rng.uniform(-0.35, 0.35)
    left = np.stack([cx - half, base - t * h], 1)
    right = np.stack([cx + half, base - t * h], 1)
    left[-1, 1] += slant * crown
    right[-1, 1] -= slant * crown
    style.stroke_line(canvas, [(cx, base - top * h), (cx, base - h)], max(1.0, h * 0.012), TOWER)
    style.shape(canvas, [(cx - h * 0.008, base - top * h), (cx, base - h), (cx + h * 0.008, base - top * h)], TOWER)
    inside = (t > neck - 0.17) & (t < neck + 0.13)
    style.shape(canvas, np.concatenate([left, right[::-1]]), TOWER)
    canvas.owner[_mask(canvas, np.concatenate([left[inside], right[inside][::-1]]))] = PART
    turns, strands = rng.uniform(0.5, 1.1) * np.pi, int(rng.integers(4, 9))
    ink = lighten(style.main, -0.45 if sum(style.main) > 240 else 0.55) if style.filled else style.ink
    thin = max(1.0, h * 0.004)
    if rng.random() < 0.85:
        for strand in range(strands):
            phase = 2 * np.pi * strand / strands
            for direction in (1, -1):
                x = cx + half * np.cos(phase + direction * turns * t / top)
                canvas.line(np.stack([x, base - t * h], 1), ink, thin, None)
    if rng.random() < 0.7:
        for level in np.linspace(0.05, top - 0.03, int(rng.integers(5, 13))):
            reach = np.interp(level, t, half)
            canvas.line([(cx - reach, base - level * h), (cx + reach, base - level * h)], ink, thin, None)


def eiffel(canvas: Canvas, style: Style, rng, cx: float, base: float, height: float) -> None:
    """Eiffel Tower: four legs that sweep together, an arch between them, two platforms."""
    h = height
    spread, tip = rng.uniform(0.19, 0.27) * h, rng.uniform(0.008, 0.016) * h
    bend = rng.uniform(3.2, 4.6)
    t = np.linspace(0, 0.94, 40)
    half = tip + (spread - tip) * (np.exp(-bend * t) - np.exp(-bend)) / (1 - np.exp(-bend))
    left, right = np.stack([cx - half, base - t * h], 1), np.stack([cx + half, base - t * h], 1)
    first, second = rng.uniform(0.18, 0.23), rng.uniform(0.36, 0.43)
    gap = spread * rng.uniform(0.5, 0.66)
    rise = first * h * rng.uniform(0.7, 0.92)
    arch = ellipse_points(cx, base, gap, rise, start=np.pi, stop=2 * np.pi)
    outline = np.concatenate([left, [(cx, base - h)], right[::-1], [(cx + gap, base)], arch[::-1], [(cx - gap, base)]])
    style.shape(canvas, outline, TOWER)
    legs = np.concatenate([left[t < first + 0.12], right[t < first + 0.12][::-1], [(cx + gap, base)], arch[::-1]])
    canvas.owner[_mask(canvas, legs) & (canvas.owner == TOWER)] = PART
    ink = lighten(style.main, -0.35 if sum(style.main) > 240 else 0.45) if style.filled else style.ink
    if rng.random() < 0.7:
        for level in np.linspace(0.02, 0.9, int(rng.integers(8, 16))):
            reach, above = np.interp(level, t, half), np.interp(level + 0.05, t, half)
            for side in (-1, 1):
                inner = max(reach - spread * 0.35, 0) if level < first else 0
                canvas.line(
                    [(cx + side * reach, base - level * h), (cx + side * min(inner, above), base - (level + 0.05) * h)],
                    ink,
                    max(1.0, h * 0.003),
                    None,
                )
    for level, over in ((first, 1.12), (second, 1.18)):
        reach = np.interp(level, t, half) * over
        style.shape(
            canvas,
            [
                (cx - reach, base - level * h),
                (cx + reach, base - level * h),
                (cx + reach, base - (level + 0.022) * h),
                (cx - reach, base - (level + 0.022) * h),
            ],
            TOWER,
        )


def taipei(canvas: Canvas, style: Style, rng, cx: float, base: float, height: float) -> None:
    """Taipei 101: a tapered foot, eight flared segments one on the other, a stepped top and a spire."""
    h = height
    body = rng.uniform(0.075, 0.105) * h
    foot, top = rng.uniform(0.2, 0.27), rng.uniform(0.78, 0.86)
    style.shape(
        canvas,
        [
            (cx - body * 1.35, base),
            (cx - body * 0.95, base - foot * h),
            (cx + body * 0.95, base - foot * h),
            (cx + body * 1.35, base),
        ],
        TOWER,
    )
    count = int(rng.integers(7, 10))
    each = (top - foot) / count
    flare = rng.uniform(0.72, 0.85)
    for n in range(count):
        bottom, over = base - (foot + n * each) * h, base - (foot + (n + 1) * each) * h
        style.shape(
            canvas,
            [
                (cx - body * flare, bottom),
                (cx - body * 1.06, over),
                (cx + body * 1.06, over),
                (cx + body * flare, bottom),
            ],
            PART,
            shade=0.1 * (n % 2),
        )
    level, half = top, body * 0.7
    for step in (0.035, 0.03):
        style.shape(
            canvas,
            [
                (cx - half, base - level * h),
                (cx - half, base - (level + step) * h),
                (cx + half, base - (level + step) * h),
                (cx + half, base - level * h),
            ],
            TOWER,
        )
        level, half = level + step, half * 0.55
    style.shape(
        canvas, [(cx - half * 0.5, base - level * h), (cx, base - h), (cx + half * 0.5, base - level * h)], TOWER
    )


def _mask(canvas: Canvas, points) -> np.ndarray:
    probe = Canvas(canvas.height, canvas.width)
    probe.polygon(points, (0, 0, 0), 1)
    return probe.owner == 1


DRAW = {"pearl": pearl, "canton": canton, "eiffel": eiffel, "taipei": taipei}
USUAL = {  # the colours people know them by: (tower, telling part)
    "pearl": ((150, 152, 162), (196, 72, 108)),
    "canton": ((120, 150, 186), (120, 150, 186)),
    "eiffel": ((122, 96, 72), (122, 96, 72)),
    "taipei": ((86, 138, 140), (96, 156, 152)),
}
