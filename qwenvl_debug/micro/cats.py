"""A cat and a table, in four relations: on, under, left of, right of."""

from __future__ import annotations

import numpy as np

from qwenvl_debug.micro.canvas import Canvas, Colour, lighten

CAT, TABLE = 1, 2
FURS = (
    (232, 148, 64),
    (120, 120, 124),
    (36, 34, 38),
    (240, 238, 232),
    (140, 96, 62),
    (198, 170, 130),
    (92, 98, 110),
    (250, 200, 120),
)
WOODS = (
    (160, 104, 60),
    (120, 76, 44),
    (196, 150, 100),
    (92, 64, 46),
    (230, 226, 220),
    (70, 72, 78),
    (170, 60, 50),
    (60, 110, 150),
    (90, 140, 96),
)


def draw_table(
    canvas: Canvas, rng, cx: float, floor: float, wide: float, tall: float, colour: Colour, ink: Colour | None
) -> None:
    """A table whose legs stand on `floor`; wide and tall in pixels."""
    slab = tall * rng.uniform(0.1, 0.2)
    top = floor - tall
    dark = lighten(colour, -0.25)
    kind = rng.choice(["legs", "legs", "splayed", "pedestal", "trestle"])
    leg = max(2.0, wide * rng.uniform(0.04, 0.09))

    def part(points, paint):
        canvas.polygon(points, paint, TABLE)
        if ink is not None:
            canvas.line(points, ink, max(1, tall * 0.02), TABLE, closed=True)

    if kind == "pedestal":
        part([(cx - leg, top), (cx + leg, top), (cx + leg, floor), (cx - leg, floor)], dark)
        part(
            [
                (cx - wide * 0.25, floor),
                (cx - leg, floor - tall * 0.1),
                (cx + leg, floor - tall * 0.1),
                (cx + wide * 0.25, floor),
            ],
            dark,
        )
    else:
        lean = {"legs": 0.0, "splayed": 0.06, "trestle": -0.05}[str(kind)] * wide
        if rng.random() < 0.35:
            for side in (-1, 1):
                x = cx + side * wide * 0.32
                part(
                    [
                        (x - leg * 0.4, top),
                        (x + leg * 0.4, top),
                        (x + leg * 0.4, floor - tall * 0.1),
                        (x - leg * 0.4, floor - tall * 0.1),
                    ],
                    lighten(dark, -0.15),
                )
        for side in (-1, 1):
            x = cx + side * (wide / 2 - leg * 0.8)
            part(
                [
                    (x - leg / 2, top),
                    (x + leg / 2, top),
                    (x + side * lean + leg / 2, floor),
                    (x + side * lean - leg / 2, floor),
                ],
                dark,
            )
    over = wide * rng.uniform(0.0, 0.04)
    if rng.random() < 0.2:  # seen a little from above
        depth = tall * rng.uniform(0.1, 0.25)
        part(
            [
                (cx - wide / 2 + depth, top - depth * 0.5),
                (cx + wide / 2 - depth, top - depth * 0.5),
                (cx + wide / 2 + over, top),
                (cx - wide / 2 - over, top),
            ],
            lighten(colour, 0.2),
        )
    part(
        [
            (cx - wide / 2 - over, top),
            (cx + wide / 2 + over, top),
            (cx + wide / 2 + over, top + slab),
            (cx - wide / 2 - over, top + slab),
        ],
        colour,
    )
    if rng.random() < 0.15:
        cloth = any_cloth(rng)
        drop = tall * rng.uniform(0.2, 0.4)
        part(
            [
                (cx - wide * 0.3, top),
                (cx + wide * 0.3, top),
                (cx + wide * 0.3, top + drop),
                (cx, top + drop * 1.2),
                (cx - wide * 0.3, top + drop),
            ],
            cloth,
        )


def any_cloth(rng) -> Colour:
    return tuple(rng.uniform(120, 250, 3))


def draw_cat(canvas: Canvas, rng, cx: float, base: float, size: float, fur: Colour, ink: Colour | None) -> None:
    """A cat of a height of about `size` pixels whose paws stand at y = base."""
    flip = -1 if rng.random() < 0.5 else 1
    dark = lighten(fur, -0.3) if sum(fur) > 160 else lighten(fur, 0.2)
    edge = max(1.0, size * 0.02)

    def at(points):
        points = np.asarray(points, np.float64)
        return points * (flip, 1) * size + (cx, base)

    def part(points, paint):
        canvas.polygon(at(points), paint, CAT)
        if ink is not None:
            canvas.line(at(points), ink, edge, CAT, closed=True)

    def unit_oval(x, y, rx, ry, turn=0.0):
        angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
        px, py = rx * np.cos(angle), ry * np.sin(angle)
        return np.stack([x + px * np.cos(turn) - py * np.sin(turn), y + px * np.sin(turn) + py * np.cos(turn)], 1)

    pose = rng.choice(["sitting", "sitting", "standing", "lying", "face"])
    hx, hy, hr = 0.0, -0.74, 0.22
    tail = rng.uniform(0.05, 0.08)
    if pose == "sitting":
        curve = [(0.22, -0.06), (0.45, -0.08), (0.5, -0.28), (0.42, -0.42)]
        canvas.line(at(curve), fur, tail * size * 1.3, CAT)
        part(unit_oval(0, -0.3, rng.uniform(0.22, 0.28), 0.31), fur)
        for x in (-0.1, 0.1):
            part(unit_oval(x, -0.05, 0.08, 0.055), fur)
    elif pose == "standing":
        hx, hy, hr = -0.42, -0.68, 0.2
        canvas.line(at([(0.4, -0.5), (0.56, -0.66), (0.54, -0.92)]), fur, tail * size * 1.3, CAT)
        for x in (-0.32, -0.18, 0.2, 0.34):
            part([(x - 0.05, -0.35), (x + 0.05, -0.35), (x + 0.045, 0), (x - 0.045, 0)], fur)
        part(unit_oval(0, -0.46, 0.45, 0.19), fur)
    elif pose == "lying":
        hx, hy, hr = -0.4, -0.42, 0.21
        canvas.line(at([(0.45, -0.1), (0.66, -0.06), (0.74, -0.14)]), fur, tail * size * 1.3, CAT)
        part(unit_oval(0.05, -0.22, 0.5, 0.22), fur)
    else:
        hx, hy, hr = 0.0, -0.42, 0.4
    for side in (-1, 1):
        ear = [
            (hx + side * hr * 0.92, hy - hr * 0.35),
            (hx + side * hr * 0.78, hy - hr * rng.uniform(1.3, 1.6)),
            (hx + side * hr * 0.15, hy - hr * 0.85),
        ]
        part(ear, fur)
        if rng.random() < 0.6:
            middle = np.mean(ear, 0)
            canvas.polygon(at((np.array(ear) - middle) * 0.5 + middle), (222, 150, 150), None)
    part(unit_oval(hx, hy, hr * 1.05, hr * 0.92), fur)
    if rng.random() < 0.45:
        for x in np.linspace(-0.5, 0.5, 3):
            canvas.line(at([(hx + x * hr, hy - hr * 0.85), (hx + x * hr * 0.8, hy - hr * 0.5)]), dark, edge, None)
    eye = [(90, 170, 80), (230, 190, 60), (30, 30, 30), (255, 255, 255)][int(rng.integers(0, 4))]
    if sum(fur) < 160 and eye == (30, 30, 30):
        eye = (230, 190, 60)
    for side in (-1, 1):
        canvas.polygon(at(unit_oval(hx + side * hr * 0.4, hy - hr * 0.08, hr * 0.16, hr * 0.2)), eye, None)
        canvas.polygon(at(unit_oval(hx + side * hr * 0.4, hy - hr * 0.08, hr * 0.06, hr * 0.16)), (15, 15, 15), None)
        if rng.random() < 0.7:
            whisker = [(hx + side * hr * 0.3, hy + hr * 0.35), (hx + side * hr * 1.3, hy + hr * rng.uniform(0.2, 0.5))]
            canvas.line(at(whisker), dark, 1, None)
    canvas.polygon(
        at([(hx - 0.12 * hr, hy + 0.2 * hr), (hx + 0.12 * hr, hy + 0.2 * hr), (hx, hy + 0.36 * hr)]),
        (210, 120, 120),
        None,
    )
