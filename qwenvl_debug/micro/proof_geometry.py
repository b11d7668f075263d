"""Do the maps lie where the objects are, and do they move with the picture?

One head per task, and which of the two asks, is chosen on other scenes than those it is judged on. The same scenes are
then mirrored and transposed: a map that follows the picture must move with it.
"""

from __future__ import annotations

import cv2
import numpy as np

from qwenvl_debug.micro.proof_look import ON, QUERIES, Look, look
from qwenvl_debug.model import DebugModel

TURNS = {
    "mirrored": lambda a: np.ascontiguousarray(a[:, ::-1]),
    "upside down": lambda a: np.ascontiguousarray(a[::-1]),
    "transposed": lambda a: np.ascontiguousarray(a.swapaxes(0, 1)),
}
Best = tuple[int, int, int]


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of two maps of one shape; b is resampled by area where the grids differ."""
    if a.shape != b.shape:
        b = cv2.resize(b, a.shape[::-1], interpolation=cv2.INTER_AREA)
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def geometry(model: DebugModel, best: dict[str, Best], seen: dict[str, list[Look]]) -> dict:
    """The figures of this proof.

    Args:
        model: the model, to ask again about turned pictures.
        best: query, layer and head chosen for each task on other scenes.
        seen: the scenes to judge them on, by task; every fourth of them is turned.
    """
    result: dict = {"rule": f"a cell lies on an object that covers at least {ON:.0%} of it", "tasks": {}, "turns": {}}
    hits, chances, moved = [], [], {name: [] for name in TURNS}
    for task, mine in seen.items():
        at = best[task]
        on = [bool(one.hits[at]) for one in mine]
        hits += on
        chances += [one.chance for one in mine]
        result["tasks"][task] = {
            "asks": QUERIES[at[0]],
            "layer": at[1],
            "head": at[2],
            "scenes": len(mine),
            "highest cell on the object": float(np.mean(on)),
            "chance": float(np.mean([one.chance for one in mine])),
            "median lift of mass": float(np.median([one.mass[at] / one.cover.mean() for one in mine])),
        }
        for name, turn in TURNS.items():
            for one in mine[: len(mine) // 4]:
                turned = look(model, one.trial, turn)
                if turned is not None:
                    there, here = turned.maps[at], one.maps[at]
                    moved[name].append(
                        (correlation(turn(here), there), correlation(here, there), bool(turned.hits[at]))
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


def markdown(result: dict) -> list[str]:
    """The figures as lines of a page."""
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
    return lines
