"""Scenes that the bundled model learns from and is tried on: a picture, its ground truth, and what may be asked.

`scene(seed, task)` draws one. Every number in it comes from the seed, so a scene can be drawn again at any
time, in any size of picture, with the mask of each object to the pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from qwenvl_debug.micro import backdrop, cats, shapes, towers
from qwenvl_debug.micro.canvas import Canvas, lighten
from qwenvl_debug.micro.words import COLOURS, LANGUAGES, PLACES, QUESTIONS, SHAPES, TASKS, TOWERS, say


@dataclass(frozen=True)
class SceneObject:
    """One object as drawn. mask: bool [height, width], the part of it that can be seen."""

    name: str
    mask: np.ndarray
    kind: str
    colour: str | None = None


@dataclass(frozen=True)
class Question:
    """A question in one language, its only right answer, and the name of the object it is about."""

    text: str
    answer: str
    task: str
    language: str
    about: str


@dataclass(frozen=True)
class Scene:
    """A drawn picture with its ground truth.

    Attributes:
        pixels: uint8 [height, width, 3] RGB.
        objects: what is in it.
        task: "tower", "cat" or "shapes".
        facts: what the answers follow from, e.g. {"tower": "pearl"}.
        parts: bool masks of telling parts, e.g. the spheres of the tower.
    """

    pixels: np.ndarray
    objects: tuple[SceneObject, ...]
    task: str
    facts: dict
    parts: dict[str, np.ndarray] = field(default_factory=dict)

    def object(self, name: str) -> SceneObject:
        return next(o for o in self.objects if o.name == name)


KINDS = ("tower", "cat", "shapes")


def scene(seed: int | tuple[int, ...], kind: str, size: tuple[int, int] = (320, 240), **choices) -> Scene:
    """Draws a scene.

    Args:
        seed: any integer (or tuple of them); the same seed draws the same scene.
        kind: "tower", "cat" or "shapes".
        size: width, height in pixels.
        **choices: fix a fact instead of drawing it: tower=, place=, count=, sky=, plain=; reach= (size of shapes as a
            share of the picture's shorter side), simple= (shapes upright, filled, on a plain ground); grain=False for
            no camera noise.

    Raises:
        ValueError: for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no kind of scene {kind!r}; choose one of {', '.join(KINDS)}.")
    rng = np.random.default_rng(seed)
    draw = {"tower": _tower, "cat": _cat, "shapes": _shapes}[kind]
    return draw(rng, Canvas(size[1], size[0]), **choices)


def _tower(
    rng,
    canvas: Canvas,
    tower: str | None = None,
    sky: str | None = None,
    plain: bool | None = None,
    grain: bool = True,
    **_,
) -> Scene:
    name = tower or str(rng.choice(list(TOWERS)))
    w, h = canvas.width, canvas.height
    empty = rng.random() < 0.28 if plain is None else plain
    lights = 0.0
    ground = h * rng.uniform(0.78, 0.99)
    if empty:
        back = backdrop.plain(canvas, rng)
    else:
        chosen = sky or str(rng.choice(list(backdrop.SKIES)))
        lights = backdrop.sky(canvas, rng, chosen)
        back = tuple(canvas.pixels[h // 2].mean(0))
        tint = lighten(back, -0.35 if lights < 0.8 else 0.12)
        if rng.random() < 0.75:
            backdrop.skyline(canvas, rng, ground, h * rng.uniform(0.08, 0.32), lights, tint)
        backdrop.waterfront(canvas, rng, ground)
    bright = sum(back) / 3
    main, part = (tuple(np.clip(np.float32(c) + rng.uniform(-25, 25, 3), 0, 255)) for c in towers.USUAL[name])
    look = rng.random()
    if look < 0.3:
        main = part = (rng.uniform(0, 50),) * 3 if bright > 110 else (rng.uniform(205, 255),) * 3
    elif look < 0.5:
        main, part = backdrop.any_colour(rng), backdrop.any_colour(rng)
        if rng.random() < 0.5:
            part = main
    if abs(sum(main) / 3 - bright) < 45:
        main = lighten(main, -0.55 if bright > 110 else 0.6)
    if abs(sum(part) / 3 - bright) < 45:
        part = lighten(part, -0.55 if bright > 110 else 0.6)
    ink = (25, 25, 30) if bright > 110 else (235, 235, 235)
    filled = rng.random() > 0.12
    stroke = max(1.0, h * rng.uniform(0.003, 0.009)) if rng.random() < 0.25 or not filled else 0.0
    style = towers.Style(rng, main, part, ink, filled, stroke)
    tall = (ground - h * 0.02) * rng.uniform(0.62, 0.98)
    tall = min(tall, w * 2.2)
    cx = w * rng.uniform(0.24, 0.76)
    towers.DRAW[name](canvas, style, rng, cx, ground, tall)
    if not empty and rng.random() < 0.4:
        backdrop.skyline(
            canvas, rng, ground + 1, h * rng.uniform(0.02, 0.1), lights, lighten(back, -0.5 if lights < 0.8 else 0.05)
        )
    if not empty and rng.random() < 0.35:
        canvas.veil(lighten(back, 0.3), rng.uniform(0.05, 0.3))
    _finish(canvas, rng, grain)
    whole = canvas.owner > 0
    return Scene(
        canvas.picture(),
        (SceneObject("tower", whole, name),),
        "tower",
        {"tower": name},
        {towers.PART_NAMES[name]: canvas.owner == towers.PART},
    )


def _cat(rng, canvas: Canvas, place: str | None = None, grain: bool = True, **_) -> Scene:
    where = place or str(rng.choice(list(PLACES)))
    w, h = canvas.width, canvas.height
    least = min(w, h)
    floor = h * rng.uniform(0.76, 0.95)
    backdrop.room(canvas, rng, floor - h * rng.uniform(0.0, 0.2))
    back = tuple(canvas.pixels.reshape(-1, 3).mean(0))
    wide = w * rng.uniform(0.28, 0.5)
    tall = least * rng.uniform(0.24, 0.42)
    if where == "under":
        tall = least * rng.uniform(0.36, 0.5)
    if where == "on":
        tall = min(tall, floor - least * 0.3)
    cat = least * rng.uniform(0.2, 0.38)
    if where in ("left", "right"):
        wide = min(wide, w * 0.46)
        cat = min(cat, (w - wide) * 0.5)
        gap = rng.uniform(0.02, 0.16) * w
        total = wide + gap + cat
        start = rng.uniform(0.02 * w, max(w * 0.98 - total, 0.03 * w))
        cat_x = start + cat / 2 if where == "left" else start + wide + gap + cat / 2
        table_x = start + cat + gap + wide / 2 if where == "left" else start + wide / 2
        cat_y = floor + least * rng.uniform(-0.04, 0.04)
    else:
        table_x = rng.uniform(wide / 2 + 0.02 * w, w - wide / 2 - 0.02 * w)
        cat_x = table_x + rng.uniform(-0.26, 0.26) * wide
        cat_y = floor - tall + 1 if where == "on" else floor + least * rng.uniform(-0.02, 0.02)
        cat = min(cat, tall * 0.72, wide * 0.7) if where == "under" else min(cat, (floor - tall) * 0.92)

    def against(colour):
        near = np.abs(np.float32(colour) - np.float32(back)).max() < 55
        return lighten(colour, -0.55 if sum(back) > 330 else 0.6) if near else colour

    ink = None if rng.random() < 0.6 else ((30, 28, 30) if sum(back) > 250 else (230, 230, 230))
    fur = against(
        tuple(np.clip(np.float32(cats.FURS[int(rng.integers(len(cats.FURS)))]) + rng.uniform(-15, 15, 3), 0, 255))
    )
    wood = against(
        tuple(np.clip(np.float32(cats.WOODS[int(rng.integers(len(cats.WOODS)))]) + rng.uniform(-20, 20, 3), 0, 255))
    )
    if np.abs(np.float32(fur) - np.float32(wood)).max() < 45:
        fur = lighten(fur, 0.55 if sum(fur) < 380 else -0.6)
    steps = [
        lambda: cats.draw_table(canvas, rng, table_x, floor, wide, tall, wood, ink),
        lambda: cats.draw_cat(canvas, rng, cat_x, cat_y, cat, fur, ink),
    ]
    for step in steps:
        step()
    _finish(canvas, rng, grain)
    objects = (
        SceneObject("cat", canvas.owner == cats.CAT, "cat"),
        SceneObject("table", canvas.owner == cats.TABLE, "table"),
    )
    return Scene(canvas.picture(), objects, "cat", {"place": where})


def _shapes(
    rng,
    canvas: Canvas,
    count: int | None = None,
    reach: tuple[float, float] = (0.16, 0.5),
    simple: bool = False,
    grain: bool = True,
    **_,
) -> Scene:
    number = int(count or rng.integers(2, 5))
    ground = backdrop.plain(canvas, rng) if simple else backdrop.paper(canvas, rng)
    names = [str(n) for n in rng.permutation(list(SHAPES))[:number]]
    colours = [str(c) for c in rng.permutation(list(COLOURS))[:number]]
    spots = shapes.place(number, canvas.height, canvas.width, rng, reach)
    for owner, (name, colour, spot) in enumerate(zip(names, colours, spots, strict=True), 1):
        shade = shapes.shade_of(colour, rng)
        shapes.draw_shape(canvas, rng, name, shade, spot, owner, ground, min(canvas.height, canvas.width), simple)
    _finish(canvas, rng, grain)
    objects = [SceneObject(n, canvas.owner == i, n, c) for i, (n, c) in enumerate(zip(names, colours, strict=True), 1)]
    order = np.argsort([spot[0] for spot in spots])
    return Scene(canvas.picture(), tuple(objects[i] for i in order), "shapes", {"count": number})


def _finish(canvas: Canvas, rng, grain: bool) -> None:
    if grain and rng.random() < 0.35:
        backdrop.grain(canvas, rng, rng.uniform(1, 7))


def questions(drawn: Scene, rng: np.random.Generator, describe: bool = False, plainest: bool = False) -> list[Question]:
    """All that may be asked of a scene, in both languages, each with a wording drawn at random (or the plain one)."""
    asked: list[Question] = []

    def ask(task: str, answer: dict | tuple, key: str | None, about: str, slot: tuple[dict, str] | None = None) -> None:
        for n, language in enumerate(LANGUAGES):
            wordings = QUESTIONS[task, language]
            text = wordings[0 if plainest else int(rng.integers(len(wordings)))]
            if slot:
                text = text.format(say(*slot, language))
            right = say(answer, key, language) if key else answer[n]
            asked.append(Question(text, right, task, language, about))

    if drawn.task == "tower":
        ask("tower", TOWERS, drawn.facts["tower"], "tower")
    elif drawn.task == "cat":
        ask("cat", PLACES, drawn.facts["place"], "cat")
    else:
        for thing in drawn.objects:
            ask("colour", COLOURS, thing.colour, thing.name, (SHAPES, thing.kind))
            ask("shape", SHAPES, thing.kind, thing.name, (COLOURS, thing.colour))
    if describe:
        ask("describe", _description(drawn), None, drawn.objects[0].name)
    return asked


def _description(drawn: Scene) -> tuple[str, str]:
    if drawn.task == "tower":
        return tuple(
            f"{a}{say(TOWERS, drawn.facts['tower'], lang)}"
            for a, lang in zip(("a picture of the ", "一张图："), LANGUAGES, strict=True)
        )
    if drawn.task == "cat":
        return f"a cat {say(PLACES, drawn.facts['place'], 'en')}", f"一只猫{say(PLACES, drawn.facts['place'], 'zh')}"
    english = " and ".join(f"a {say(COLOURS, o.colour, 'en')} {say(SHAPES, o.kind, 'en')}" for o in drawn.objects)
    chinese = "和".join(f"{say(COLOURS, o.colour, 'zh')}的{say(SHAPES, o.kind, 'zh')}" for o in drawn.objects)
    return english, chinese


__all__ = ["KINDS", "TASKS", "Question", "Scene", "SceneObject", "questions", "scene"]
