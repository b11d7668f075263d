"""How long does it take to score regions for every layer, head and token of a large model?

36 layers x 32 heads x 32 tokens over 1,300 cells are 48 million numbers; every measure is taken of every map on five
regions, through the call that the pages and the command line use. The quickest of several rounds counts.
"""

from __future__ import annotations

import os
import platform
from typing import Any

import numpy as np

from benchmarks.synthetic import COLS, HEADS, LAYERS, ROWS
from benchmarks.tell import goals_table, quickest, report
from qwenvl_debug.regions import REGION_MEASURES, Ellipse, Polygon, Rectangle, Region, covers_of, score_maps

TOKENS, SIZE = 32, (1600, 832)
GOALS = {"quick": 0.5, "every": 10.0}
QUICK = ("mass", "chance", "lift")
REGIONS = (
    Region("box", Rectangle(200, 100, 300, 200)),
    Region("disc", Ellipse(900, 400, 180, 120)),
    Region("triangle", Polygon(((100, 700), (600, 700), (300, 400)))),
    Region("strip", Rectangle(0, 0, 1600, 60)),
    Region("dot", Ellipse(1400, 700, 40, 40)),
)


def run(size: str = "full") -> dict[str, Any]:
    """Seconds of the three quick measures together, and of all there are."""
    layers, tokens, rounds = (LAYERS, TOKENS, 5) if size == "full" else (4, 4, 1)
    maps = np.random.default_rng(0).random((layers, HEADS, tokens, ROWS * COLS), dtype=np.float32)
    covers = covers_of(REGIONS, SIZE, (ROWS, COLS))
    quick = quickest(lambda: score_maps(maps, covers, QUICK), rounds)
    report(f"mass, chance and lift: {quick:.2f} s")
    told: list[int] = []
    every = quickest(lambda: score_maps(maps, covers, progress=lambda done, of: told.append(done)), max(1, rounds // 2))
    report(f"every measure: {every:.2f} s")
    single = {}
    for name in REGION_MEASURES:
        single[name] = quickest(lambda name=name: score_maps(maps, covers, [name]), 1)
        report(f"{name}: {single[name]:.2f} s")
    return {
        "shape": list(maps.shape),
        "regions": len(REGIONS),
        "seconds": {"quick": quick, "every": every, **single},
        "progress_calls": len(told),
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count()},
    }


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    layers, heads, tokens, cells = found["shape"]
    seconds = found["seconds"]
    lines = [
        f"{layers} layers x {heads} heads x {tokens} tokens over {cells:,} cells, {found['regions']} regions, float32; "
        f"CPUs: {found['machine']['cpus']}; the quickest of several rounds. Each measure is timed alone; together they "
        "share the ordering of the cells, which takes most of the time.",
        "",
        "| measure | seconds |",
        "| --- | ---: |",
        *(f"| {one.name} | {seconds[key]:.2f} |" for key, one in REGION_MEASURES.items()),
        *goals_table(
            [
                ("mass, chance and lift together, s", seconds["quick"], GOALS["quick"], "{:.2f}"),
                ("every measure, s", seconds["every"], GOALS["every"], "{:.1f}"),
            ]
        ),
    ]
    return "\n".join(lines) + "\n"
