"""Pairs of pictures of which the bundled model gets one right and the other wrong: found, never written.

`python -m qwenvl_debug.micro.gallery` draws scenes, makes them harder, asks the model, and keeps what it really
gets wrong; `--check` asks again for the pairs that are shipped. Each pair carries the masks of its objects.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from qwenvl_debug.case import Case, is_right
from qwenvl_debug.micro.perturb import PERTURBATIONS
from qwenvl_debug.micro.scenes import Scene, questions, scene

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel

HERE = Path(__file__).parent / "gallery"
STEPS = (0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92)  # strengths tried, mildest first


@dataclass(frozen=True)
class Wish:
    """What kind of failure to look for. `mistaken`, where given, is the wrong answer wanted."""

    id: str
    title: str
    kind: str
    task: str
    language: str
    perturbation: str
    size: tuple[int, int] = (640, 480)
    choices: dict | None = None
    mistaken: str | None = None


WISHES = (
    Wish(
        "pearl-fog",
        "Pearl Tower in fog",
        "tower",
        "tower",
        "en",
        "fog",
        (640, 480),
        {"tower": "pearl", "plain": False},
        "Canton Tower",
    ),
    Wish("cat-far", "Cat and table, far away", "cat", "cat", "en", "far", (640, 480)),
    Wish(
        "pearl-board-zh",
        "东方明珠 behind a board",
        "tower",
        "tower",
        "zh",
        "occlude",
        (600, 450),
        {"tower": "pearl", "plain": False},
    ),
    Wish(
        "cat-under-zh", "猫 under the table, in leaves", "cat", "cat", "zh", "clutter", (640, 480), {"place": "under"}
    ),
    Wish("cat-tilt", "Cat beside a tilted table", "cat", "cat", "en", "tilt", (600, 450), {"place": "left"}),
    Wish(
        "canton-dusk",
        "Canton Tower at dusk",
        "tower",
        "tower",
        "en",
        "dusk",
        (480, 640),
        {"tower": "canton", "plain": False},
    ),
    Wish("taipei-blur", "Taipei 101 out of focus", "tower", "tower", "en", "blur", (480, 480), {"tower": "taipei"}),
    Wish("eiffel-close", "Eiffel Tower, too close", "tower", "tower", "en", "crop", (640, 480), {"tower": "eiffel"}),
    Wish("shape-noise", "Which shape, in noise", "shapes", "shape", "en", "noise", (600, 400), {"count": 4}),
    Wish("colour-dusk-zh", "颜色 in little light", "shapes", "colour", "zh", "dusk", (640, 480), {"count": 3}),
    Wish("shape-far", "Small shapes", "shapes", "shape", "en", "far", (640, 480), {"count": 3}),
    Wish("cat-negative", "Cat in unusual colours", "cat", "cat", "en", "negative", (640, 480)),
)


@dataclass(frozen=True)
class Pair:
    """A shipped pair. recorded holds what the model said when the gallery was made, by side."""

    id: str
    title: str
    task: str
    language: str
    perturbation: str
    strength: float
    question: str
    expected: str
    correct: Path
    failing: Path
    recorded: dict[str, dict]
    regions: dict[str, dict[str, Path]]


def pairs(folder: Path = HERE) -> tuple[Pair, ...]:
    """The shipped pairs, in the order they are shown; empty when there is no gallery."""
    index = folder / "gallery.json"
    if not index.exists():
        return ()
    found = []
    for entry in json.loads(index.read_text(encoding="utf-8")):
        regions = {
            side: {name: folder / file for name, file in masks.items()} for side, masks in entry["regions"].items()
        }
        files = {side: folder / entry[side] for side in ("correct", "failing")}
        found.append(
            Pair(**{k: v for k, v in entry.items() if k not in ("regions", "seed", *files)}, **files, regions=regions)
        )
    return tuple(found)


@dataclass(frozen=True)
class Found:
    wish: Wish
    seed: int
    strength: float
    question: str
    expected: str
    about: str
    scenes: tuple[Scene, Scene]
    recorded: dict[str, dict]


def attempt(model: DebugModel, wish: Wish, seed: int) -> Found | None:
    """Draws one scene, asks, makes it harder step by step, and stops at the first wrong answer."""
    clean = scene((seed, 3), wish.kind, wish.size, grain=False, **(wish.choices or {}))
    asked = questions(clean, np.random.default_rng(seed), plainest=True)
    asked = [q for q in asked if q.task == wish.task and q.language == wish.language]
    q = asked[seed % len(asked)]

    def ask(drawn: Scene) -> dict:
        run = model.ask(Case(drawn.pixels, q.text, expected=q.answer), max_new_tokens=24)
        sure = [run.tokens[i].probability for i in run.answer_tokens]
        return {
            "answer": run.answer,
            "right": bool(is_right(run.answer, q.answer)),
            "least_probability": round(min(sure, default=0.0), 3),
        }

    first = ask(clean)
    if not first["right"] or first["least_probability"] < 0.9:
        return None
    for strength in STEPS:
        if wish.perturbation == "negative" and strength < 0.8:
            continue
        hard = PERTURBATIONS[wish.perturbation](clean, strength, np.random.default_rng((seed, 9)))
        still = next(o for o in hard.objects if o.name == q.about).mask.sum()
        if still < 0.12 * next(o for o in clean.objects if o.name == q.about).mask.sum() * (
            1 if wish.perturbation != "far" else 0
        ):
            return None  # nothing left to see: not a fair failure
        second = ask(hard)
        if not second["right"] and second["least_probability"] > 0.35:
            if wish.mistaken and second["answer"] != wish.mistaken:
                return None
            return Found(
                wish, seed, strength, q.text, q.answer, q.about, (clean, hard), {"correct": first, "failing": second}
            )
    return None


def search(model: DebugModel, wish: Wish, tries: int = 60, enough: int = 3) -> Found | None:
    """The mildest of the first few real failures of a kind: the one a person would least expect."""
    found: list[Found] = []
    for seed in range(tries):
        one = attempt(model, wish, seed)
        if one is not None:
            found.append(one)
            if len(found) == enough:
                break
    return min(found, key=lambda f: (f.strength, f.seed)) if found else None


def write(found: list[Found], folder: Path) -> None:
    """Writes pictures, masks and the index, replacing what was there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    index = []
    for one in found:
        entry = {
            "id": one.wish.id,
            "title": one.wish.title,
            "task": one.wish.task,
            "language": one.wish.language,
            "perturbation": one.wish.perturbation,
            "strength": one.strength,
            "seed": one.seed,
            "question": one.question,
            "expected": one.expected,
            "recorded": one.recorded,
            "regions": {},
        }
        for side, drawn in zip(("correct", "failing"), one.scenes, strict=True):
            entry[side] = f"{one.wish.id}-{side}.png"
            Image.fromarray(drawn.pixels).save(folder / entry[side], optimize=True)
            masks = {o.name: o.mask for o in drawn.objects} | drawn.parts
            entry["regions"][side] = {}
            for name, mask in masks.items():
                file = f"{one.wish.id}-{side}-{name}.png"
                Image.fromarray(mask.astype(np.uint8) * 255).convert("1").save(folder / file, optimize=True)
                entry["regions"][side][name] = file
        index.append(entry)
    text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
    (folder / "gallery.json").write_text(text, encoding="utf-8")


def check(model: DebugModel, folder: Path = HERE) -> list[str]:
    """Asks every shipped pair again; returns one line for each answer that is no longer what was recorded."""
    changed = []
    for pair in pairs(folder):
        for side, picture in (("correct", pair.correct), ("failing", pair.failing)):
            answer = model.ask(Case(picture, pair.question, expected=pair.expected), max_new_tokens=24).answer
            if answer != pair.recorded[side]["answer"]:
                changed.append(f"{pair.id}, {side}: recorded {pair.recorded[side]['answer']!r}, now {answer!r}")
    return changed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="ask the shipped pairs again and compare")
    parser.add_argument("--model", default="micro")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    from qwenvl_debug.model import load_model  # seconds of torch, which a page that lists the pairs need not wait for

    model = load_model(options.model)
    if options.check:
        changed = check(model, options.out)
        print("\n".join(changed) or f"All {len(pairs(options.out))} pairs answer as recorded.")
        return 1 if changed else 0
    found = []
    for wish in WISHES:
        one = search(model, wish)
        said = (
            f"{one.recorded['correct']['answer']} → {one.recorded['failing']['answer']} at {one.strength}"
            if one
            else "no failure found"
        )
        print(f"{wish.id}: {said}", flush=True)
        found += [one] if one else []
    write(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
