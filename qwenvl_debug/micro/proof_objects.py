"""Is it the object asked about that is looked at, or whatever is there? Its mass beside chance and beside the others'.

The head of each task is the one chosen on other scenes for `proof_geometry`. Its map is measured on the true mask of
the object asked about and on that of every other object of the same scene; towers stand alone, so they take no part in
the second count.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.micro.proof_geometry import Best
from qwenvl_debug.micro.proof_look import Look

WANTED = {"times chance": 3.0, "lower": 0.9}
"""What this proof was set: the median of mass / chance, and the share of scenes where a wrong object has less mass."""


def objects(best: dict[str, Best], seen: dict[str, list[Look]]) -> dict:
    """The figures of this proof, by task and over all; see `proof_geometry.geometry` for the arguments."""
    rows = {task: [_row(one, best[task]) for one in mine] for task, mine in seen.items()}
    every = [row for mine in rows.values() for row in mine]
    return {"tasks": {task: _figures(mine) for task, mine in rows.items()}, "all": _figures(every), "wanted": WANTED}


def _row(one: Look, at: Best) -> dict[str, float]:
    """mass and chance of the asked object, and whether the most looked at other object has less (NaN without one)."""
    mass, chance = float(one.mass[at]), float(one.cover.mean())
    other = [(float((one.maps[at] * cover).sum()), float(cover.mean())) for cover in one.others]
    return {
        "mass": mass,
        "chance": chance,
        "lower": float(all(mass > m for m, _ in other)) if other else np.nan,
        "lower for its size": float(all(mass / chance > m / c for m, c in other)) if other else np.nan,
    }


def _figures(rows: list[dict[str, float]]) -> dict:
    mass, chance, lower, sized = (np.array([row[key] for row in rows]) for key in rows[0])
    several = ~np.isnan(lower)
    return {
        "scenes": len(rows),
        "median mass": float(np.median(mass)),
        "median chance": float(np.median(chance)),
        "median of mass / chance": float(np.median(mass / chance)),
        "scenes with other objects": int(several.sum()),
        "every other object has less mass": float(lower[several].mean()) if several.any() else None,
        "and less for its size": float(sized[several].mean()) if several.any() else None,
    }


def markdown(result: dict) -> list[str]:
    """The figures as lines of a page."""
    total, wanted = result["all"], result["wanted"]
    lines = [
        "## The object asked about, and the wrong ones",
        "",
        f"The same heads and scenes. Mass on the true mask of the object asked about is "
        f"**{total['median of mass / chance']:.1f} times** chance in the median (wanted: {wanted['times chance']:g}); "
        f"every other object of the scene has less in **{total['every other object has less mass']:.1%}** of the "
        f"{total['scenes with other objects']} scenes that hold another one (wanted: {wanted['lower']:.0%}), and less "
        f"for its size in {total['and less for its size']:.1%}.",
        "",
        "| task | scenes | median mass | median chance | median of mass / chance | scenes with other objects | "
        "every other object has less mass | and less for its size |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, row in {**result["tasks"], "all": total}.items():
        lower, sized = (row[key] for key in ("every other object has less mass", "and less for its size"))
        lines.append(
            f"| {task} | {row['scenes']} | {row['median mass']:.1%} | {row['median chance']:.1%} | "
            f"{row['median of mass / chance']:.1f} | {row['scenes with other objects']} | "
            f"{'–' if lower is None else f'{lower:.1%}'} | {'–' if sized is None else f'{sized:.1%}'} |"
        )
    return lines
