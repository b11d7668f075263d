"""Pictures of the same kinds in another hand: drawn with Pillow, by other rules, as in a paint program.

None of this goes through the scene generator, and the model never trains on it. It tells whether the model has
learnt towers, cats and shapes or only the generator's way of drawing them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from qwenvl_debug.micro.words import COLOURS, LANGUAGES, PLACES, QUESTIONS, SHAPES, TOWERS, say

INKS = {
    "red": "#e02020",
    "orange": "#ff8c1a",
    "yellow": "#ffd91a",
    "green": "#1f9a3c",
    "blue": "#2255dd",
    "purple": "#8a3cc0",
    "black": "#000000",
    "white": "#ffffff",
}
SIZES = ((800, 600), (512, 512), (1200, 800), (600, 800), (400, 300), (1024, 640))


@dataclass(frozen=True)
class Painted:
    """A painted picture with one question and its right answer."""

    picture: Image.Image
    question: str
    answer: str
    task: str
    language: str


def painted(seed: int, task: str) -> list[Painted]:
    """One picture for a task ("tower", "cat", "colour" or "shape"), asked in both languages by the plain wording."""
    rng = np.random.default_rng((seed, 77))
    size = SIZES[seed % len(SIZES)]
    ground = "#ffffff" if rng.random() < 0.5 else ["#dfeaf5", "#f4ecd8", "#e8e8e8", "#d5e8d4"][int(rng.integers(4))]
    picture = Image.new("RGB", size, ground)
    paint = ImageDraw.Draw(picture)
    if task == "tower":
        key = list(TOWERS)[seed % 4]
        _tower(paint, rng, size, key)
        facts = [(say(TOWERS, key, lang), None) for lang in LANGUAGES]
    elif task == "cat":
        key = list(PLACES)[seed % 4]
        _cat(paint, rng, size, key)
        facts = [(say(PLACES, key, lang), None) for lang in LANGUAGES]
    else:
        shapes = [str(s) for s in rng.permutation(list(SHAPES))[: rng.integers(2, 5)]]
        pool = [c for c in COLOURS if c != "white" or ground != "#ffffff"]
        colours = [str(c) for c in rng.permutation(pool)[: len(shapes)]]
        _shapes(paint, rng, size, shapes, colours)
        table, slot = (COLOURS, (SHAPES, shapes[0])) if task == "colour" else (SHAPES, (COLOURS, colours[0]))
        key = colours[0] if task == "colour" else shapes[0]
        facts = [(say(table, key, lang), say(*slot, lang)) for lang in LANGUAGES]
    return [
        Painted(
            picture, QUESTIONS[task, lang][0].format(word) if word else QUESTIONS[task, lang][0], answer, task, lang
        )
        for lang, (answer, word) in zip(LANGUAGES, facts, strict=True)
    ]


def _tower(paint, rng, size, key) -> None:
    w, h = size
    ink = ["#30343c", "#5a4a7a", "#7a2c3c", "#2c5a6a"][int(rng.integers(4))]
    cx, base, top = w * rng.uniform(0.35, 0.65), h * 0.95, h * rng.uniform(0.06, 0.2)
    tall = base - top
    y = lambda t: base - t * tall  # noqa: E731
    if key == "pearl":
        paint.rectangle([cx - tall * 0.02, y(0.78), cx + tall * 0.02, base], fill=ink)
        paint.line([cx, y(0.78), cx, y(1)], fill=ink, width=max(2, int(tall * 0.012)))
        for side in (-1, 1):
            paint.line([cx + side * tall * 0.12, base, cx, y(0.28)], fill=ink, width=max(2, int(tall * 0.025)))
        for level, r in ((0.28, 0.1), (0.62, 0.068), (0.79, 0.026)):
            paint.ellipse(
                [cx - r * tall, y(level) - r * tall, cx + r * tall, y(level) + r * tall],
                fill="#c8506e" if rng.random() < 0.6 else ink,
            )
    elif key == "canton":
        levels = np.linspace(0, 0.78, 24)
        half = tall * (
            0.04
            + 0.085 * np.clip((0.55 - levels) / 0.55, 0, 1) ** 1.5
            + 0.045 * np.clip((levels - 0.55) / 0.23, 0, 1) ** 1.5
        )
        outline = [(cx - a, y(t)) for a, t in zip(half, levels, strict=True)] + [
            (cx + a, y(t)) for a, t in zip(half[::-1], levels[::-1], strict=True)
        ]
        paint.polygon(outline, outline=ink, fill="#c9d6e2")
        for i in range(0, 24, 3):
            for k in (4, -4):
                j = min(23, i + abs(k))
                paint.line(
                    [
                        cx + (half[i] if k > 0 else -half[i]),
                        y(levels[i]),
                        cx + (-half[j] if k > 0 else half[j]),
                        y(levels[j]),
                    ],
                    fill=ink,
                    width=2,
                )
        paint.line([cx, y(0.78), cx, y(1)], fill=ink, width=max(2, int(tall * 0.015)))
    elif key == "eiffel":
        levels = np.linspace(0, 1, 24)
        half = tall * (0.006 + 0.2 * (1 - levels) ** 2.6)
        paint.polygon(
            [(cx - a, y(t)) for a, t in zip(half, levels, strict=True)]
            + [(cx + a, y(t)) for a, t in zip(half[::-1], levels[::-1], strict=True)],
            fill=ink,
        )
        ground = paint._image.getpixel((2, 2))
        paint.pieslice([cx - tall * 0.12, y(0.16), cx + tall * 0.12, y(-0.16)], 180, 360, fill=ground)
        for level in (0.2, 0.4):
            reach = np.interp(level, levels, half) * 1.2
            paint.rectangle([cx - reach, y(level) - tall * 0.012, cx + reach, y(level) + tall * 0.012], fill=ink)
    else:
        paint.polygon(
            [
                (cx - tall * 0.12, base),
                (cx - tall * 0.085, y(0.24)),
                (cx + tall * 0.085, y(0.24)),
                (cx + tall * 0.12, base),
            ],
            fill=ink,
        )
        for n in range(8):
            a, b = 0.24 + n * 0.072, 0.24 + (n + 1) * 0.072
            paint.polygon(
                [
                    (cx - tall * 0.07, y(a)),
                    (cx - tall * 0.095, y(b)),
                    (cx + tall * 0.095, y(b)),
                    (cx + tall * 0.07, y(a)),
                ],
                fill=ink,
                outline="#a8b8b8",
            )
        paint.rectangle([cx - tall * 0.045, y(0.87), cx + tall * 0.045, y(0.81)], fill=ink)
        paint.line([cx, y(0.87), cx, y(1)], fill=ink, width=max(2, int(tall * 0.012)))


def _cat(paint, rng, size, key) -> None:
    w, h = size
    least = min(size)
    floor, wide, tall = h * 0.86, w * 0.4, least * 0.4
    s = least * 0.13  # half the cat's width
    tx = {"left": w * 0.66, "right": w * 0.34}.get(key, w * 0.5)
    cx = {"left": w * 0.22, "right": w * 0.78}.get(key, tx + rng.uniform(-0.15, 0.15) * wide)
    foot = floor - tall if key == "on" else floor
    wood = ["#8b5a2b", "#5a3a22", "#a8743c"][int(rng.integers(3))]
    thick = least * 0.05
    paint.rectangle([tx - wide / 2, floor - tall, tx + wide / 2, floor - tall + thick], fill=wood)
    for side in (-1, 1):
        x = tx + side * (wide / 2 - thick * 0.8)
        paint.rectangle([x - thick * 0.4, floor - tall, x + thick * 0.4, floor], fill=wood)
    fur = ["#e08a30", "#707070", "#303034", "#b08050"][int(rng.integers(4))]
    paint.ellipse([cx - s * 0.8, foot - s * 1.3, cx + s * 0.8, foot], fill=fur)
    paint.ellipse([cx - s * 0.55, foot - s * 2.0, cx + s * 0.55, foot - s * 1.0], fill=fur)
    for side in (-1, 1):
        paint.polygon(
            [
                (cx + side * s * 0.52, foot - s * 1.6),
                (cx + side * s * 0.48, foot - s * 2.3),
                (cx + side * s * 0.05, foot - s * 1.9),
            ],
            fill=fur,
        )
        paint.ellipse(
            [cx + side * s * 0.22 - s * 0.08, foot - s * 1.62, cx + side * s * 0.22 + s * 0.08, foot - s * 1.46],
            fill="#f8f8c0",
        )
    paint.arc(
        [cx + s * 0.3, foot - s * 1.2, cx + s * 1.3, foot - s * 0.05], 270, 90, fill=fur, width=max(3, int(s * 0.18))
    )


def _shapes(paint, rng, size, shapes, colours) -> None:
    w, h = size
    cells = [(x, y) for x in (0.25, 0.75) for y in (0.27, 0.73)]
    order = rng.permutation(4)
    for n, (shape, colour) in enumerate(zip(shapes, colours, strict=True)):
        x, y = cells[order[n]]
        cx, cy, r = (
            w * (x + rng.uniform(-0.05, 0.05)),
            h * (y + rng.uniform(-0.04, 0.04)),
            min(size) * rng.uniform(0.09, 0.18),
        )
        kwargs = {"fill": INKS[colour]} | ({"outline": "#333333"} if colour == "white" or rng.random() < 0.3 else {})
        if shape == "circle":
            paint.ellipse([cx - r, cy - r, cx + r, cy + r], **kwargs)
        elif shape == "square":
            paint.rectangle([cx - r, cy - r, cx + r, cy + r], **kwargs)
        elif shape == "triangle":
            paint.polygon([(cx, cy - r), (cx + r, cy + r), (cx - r, cy + r)], **kwargs)
        elif shape == "star":
            angle = np.arange(10) * np.pi / 5 - np.pi / 2
            reach = np.where(np.arange(10) % 2, 0.42, 1.1) * r
            paint.polygon(list(zip(cx + reach * np.cos(angle), cy + reach * np.sin(angle), strict=True)), **kwargs)
        elif shape == "heart":
            t = np.linspace(0, 2 * np.pi, 50)
            x = 16 * np.sin(t) ** 3
            y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
            paint.polygon(list(zip(cx + x * r / 16, cy + y * r / 16, strict=True)), **kwargs)
        else:
            a = r * 0.33
            paint.polygon(
                [
                    (cx - a, cy - r),
                    (cx + a, cy - r),
                    (cx + a, cy - a),
                    (cx + r, cy - a),
                    (cx + r, cy + a),
                    (cx + a, cy + a),
                    (cx + a, cy + r),
                    (cx - a, cy + r),
                    (cx - a, cy + a),
                    (cx - r, cy + a),
                    (cx - r, cy - a),
                    (cx - a, cy - a),
                ],
                **kwargs,
            )
