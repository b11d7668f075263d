"""Do the maps lie where the objects are? `python -m qwenvl_debug.micro.proof`, checked against drawn ground truth.

Held-out scenes that the model answers right are asked; for each the maps of the answer's first word and of the
question's words are compared with the true mask of the object that was asked about. One head per task, and which of
the two asks, is chosen on other scenes than those it is judged on. The same scenes are then mirrored and transposed: a
map that follows the picture must move with it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from qwenvl_debug.case import Case
from qwenvl_debug.maps import answer_query, map_stack, question_query
from qwenvl_debug.micro.evaluate import Trial, held_out
from qwenvl_debug.micro.words import LANGUAGES, TASKS
from qwenvl_debug.model import DebugModel, load_model

ON = 0.5  # a cell lies on an object when the object covers at least this share of it (the pointing game's rule)
QUERIES = ("answer", "question")
CHOOSING, JUDGING = 5_000, 6_000  # where the scenes of either purpose begin among the held-out ones
TURNS = {
    "mirrored": lambda a: np.ascontiguousarray(a[:, ::-1]),
    "upside down": lambda a: np.ascontiguousarray(a[::-1]),
    "transposed": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)),
}


@dataclass(frozen=True)
class Look:
    """Where every head looked in one scene.

    maps: float32 [queries, layers, heads, rows, cols], queries as in `QUERIES`; cover: float32 [rows, cols], the
    asked object's share of each cell.
    """

    maps: np.ndarray
    cover: np.ndarray
    trial: Trial

    @property
    def hits(self) -> np.ndarray:
        """bool [queries, layers, heads]: the highest cell lies on the object."""
        top = self.maps.reshape(*self.maps.shape[:3], -1).argmax(-1)
        return self.cover.reshape(-1)[top] >= ON

    @property
    def mass(self) -> np.ndarray:
        """float [queries, layers, heads]: the share of the map on the object, by how much of each cell it covers."""
        return (self.maps * self.cover).sum((3, 4))

    @property
    def chance(self) -> float:
        """How often the highest cell of a map that knows nothing would lie on the object."""
        return float((self.cover >= ON).mean())


def look(model: DebugModel, trial: Trial, turn=None) -> Look | None:
    """Asks a trial (its picture turned, if told to); None where the model is wrong or no cell is the object's."""
    pixels, mask = trial.scene.pixels, trial.scene.object(trial.question.about).mask
    if turn is not None:
        pixels, mask = turn(pixels), turn(mask)
    run = model.ask(Case(pixels, trial.question.text, expected=trial.question.answer), max_new_tokens=24)
    if turn is None and not run.right:
        return None
    asking = (answer_query(run, 0) if run.answer_tokens else None, question_query(run))
    maps = np.stack([map_stack(run, query).values for query in asking])
    grid = run.grids[0]
    cover = cv2.resize(mask.astype(np.float32), (grid.cols, grid.rows), interpolation=cv2.INTER_AREA)
    if not (cover >= ON).any():
        return None
    return Look(maps, cover, trial)


def looks(model: DebugModel, task: str, count: int, start: int) -> list[Look]:
    """The first `count` usable looks at a task, languages in turn."""
    found: list[Look] = []
    for n in range(4 * count):
        (trial,) = held_out(task, LANGUAGES[n % 2], 1, start + n)
        one = look(model, trial)
        if one is not None:
            found.append(one)
            if len(found) == count:
                break
    return found


def best_head(seen: Iterable[Look]) -> tuple[int, int, int]:
    """The query (its number in `QUERIES`), layer and head whose highest cell lies on the object most often."""
    hits = np.mean([one.hits for one in seen], axis=0)
    return tuple(int(i) for i in np.unravel_index(hits.argmax(), hits.shape))


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two maps of one shape; b is resampled by area where the grids differ."""
    if a.shape != b.shape:
        b = cv2.resize(b, a.shape[::-1], interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def prove(model: DebugModel, choosing: int, judging: int) -> dict:
    """All figures of this proof.

    Args:
        model: the bundled model.
        choosing: scenes per task on which its head is chosen.
        judging: scenes per task on which the chosen head is judged.
    """
    result: dict = {"rule": f"a cell lies on an object that covers at least {ON:.0%} of it", "tasks": {}, "turns": {}}
    hits, chances, moved = [], [], {name: [] for name in TURNS}
    for task in TASKS:
        best = best_head(looks(model, task, choosing, CHOOSING))
        seen = looks(model, task, judging, JUDGING)
        lift = [float(s.mass[best] / s.cover.mean()) for s in seen]
        mine = [bool(s.hits[best]) for s in seen]
        hits += mine
        chances += [s.chance for s in seen]
        result["tasks"][task] = {
            "asks": QUERIES[best[0]],
            "layer": best[1],
            "head": best[2],
            "scenes": len(seen),
            "highest cell on the object": float(np.mean(mine)),
            "chance": float(np.mean([s.chance for s in seen])),
            "median lift of mass": float(np.median(lift)),
        }
        for name, turn in TURNS.items():
            for one in seen[: judging // 4]:
                turned = look(model, one.trial, turn)
                if turned is not None:
                    there, here = turned.maps[best], one.maps[best]
                    moved[name].append(
                        (correlation(turn(here), there), correlation(here, there), bool(turned.hits[best]))
                    )
    result["scenes"], result["hits"], result["chance"] = len(hits), float(np.mean(hits)), float(np.mean(chances))
    for name, rows in moved.items():
        follows, stays, on = (np.array(column, float) for column in zip(*rows, strict=True))
        result["turns"][name] = {
            "scenes": len(rows),
            "highest cell on the turned object": float(on.mean()),
            "map follows the picture better than it stays": float((follows > stays).mean()),
            "median correlation with the turned map": float(np.median(follows)),
        }
    return result


def markdown(result: dict) -> str:
    """The figures as a page."""
    lines = [
        "# Do the maps lie where the objects are?",
        "",
        f"{result['scenes']} held-out scenes that the bundled model answers right; one head per task (and "
        f"whether the answer's first word or the question asks), chosen on other scenes. Rule: {result['rule']}.",
        "",
        f"Over all: the highest cell lies on the object asked about in **{result['hits']:.1%}** of scenes; by chance "
        f"it would in {result['chance']:.1%}.",
        "",
        "| task | asks | layer | head | scenes | highest cell on the object | chance | median lift of mass |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, row in result["tasks"].items():
        lines.append(
            f"| {task} | {row['asks']} | {row['layer']} | {row['head']} | {row['scenes']} | "
            f"{row['highest cell on the object']:.1%} | {row['chance']:.1%} | {row['median lift of mass']:.1f} |"
        )
    lines += [
        "",
        "Turned pictures (whatever the model then answers): does the map turn with them?",
        "",
        "| picture | scenes | highest cell on the turned object | closer to the turned map than to the old one | "
        "median correlation with the turned map |",
        "|---|---|---|---|---|",
    ]
    for name, row in result["turns"].items():
        values = list(row.values())
        lines.append(f"| {name} | {values[0]} | {values[1]:.1%} | {values[2]:.1%} | {values[3]:.2f} |")
    lines += ["", "Rebuilt by `make proof`.", ""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="micro")
    parser.add_argument("--choosing", type=int, default=60, help="scenes per task to choose the head on")
    parser.add_argument("--judging", type=int, default=75, help="scenes per task to judge it on")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for proof.md and proof.json")
    options = parser.parse_args()
    result = prove(load_model(options.model), options.choosing, options.judging)
    options.out.mkdir(exist_ok=True)
    (options.out / "proof.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (options.out / "proof.md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))


if __name__ == "__main__":
    main()
