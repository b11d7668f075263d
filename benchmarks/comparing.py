"""How long does the page wait for the library, when a comparison of a large model opens and when a control is moved?

Two synthetic runs (see `synthetic`) are compared as the Compare page does it: opening is finding the alignment, the
maps of both sides, every figure, and the sinks of both sides (which the page gets ready at once, for the view without
them), with nothing remembered from before. A control is then moved: another normalisation, other tokens, a region, the
other ways to lay the pictures on each other. The answers themselves, and the noise floor's six runs, are the model's
time and not counted. Beside the clock stands the processor's time, which other work on the machine does not lengthen
(threads that wait for each other count as busy).
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any

import numpy as np

from benchmarks.synthetic import COLS, HEADS, LAYERS, ROWS, in_fog, picture_of_cells, synthetic_run
from benchmarks.tell import goals_table, report
from qwenvl_debug.compare import Alignment, compare, head_map, noise_floor
from qwenvl_debug.maps import NORMALISATIONS, answer_query, find_sinks, last_prompt_query, question_query, row_shares
from qwenvl_debug.regions import Ellipse, Region

GOALS = {"open": 3.0, "control": 0.3}
DISC = Region("disc", Ellipse(900, 400, 180, 120))
TILT = np.array([[0.98, -0.17, 40], [0.17, 0.98, -30], [0, 0, 1.0]])


def run(size: str = "full") -> dict[str, Any]:
    """Seconds to open, and of each control; the quickest of several rounds with runs that are new each time."""
    rounds = 5 if size == "full" else 1
    seconds: dict[str, list[float]] = {}
    for number in range(rounds):
        for name, taken in _once(number).items():
            seconds[name] = np.minimum(taken, seconds.get(name, [np.inf, np.inf])).tolist()
        report(f"round {number + 1}/{rounds}: opened in {seconds['open'][0]:.2f} s")
    return {
        "shape": [LAYERS, HEADS, ROWS * COLS],
        "seconds": seconds,  # by the clock, and of the processor
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count()},
    }


def _once(number: int) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of the processor, by what was done."""
    clear = picture_of_cells(number)
    foggy = in_fog(clear)
    correct, failing = synthetic_run(10 * number, clear), synthetic_run(10 * number + 1, foggy)
    neutral = tuple(synthetic_run(10 * number + 2 + n, one) for n, one in enumerate((clear, foggy)))
    copies = tuple((f"copy {n}", synthetic_run(10 * number + 4 + n, clear)) for n in range(2))
    taken: dict[str, tuple[float, float]] = {}

    def timed(name: str, work: Any) -> Any:
        began = time.perf_counter(), time.process_time()
        result = work()
        taken[name] = time.perf_counter() - began[0], time.process_time() - began[1]
        return result

    whole = {"correct_query": answer_query(correct), "failing_query": answer_query(failing)}
    made = timed("open", lambda: (compare(correct, failing, **whole), find_sinks(correct), find_sinks(failing)))[0]
    noise = timed("noise floor of two copies", lambda: noise_floor(correct, query=made.left.query, copies=copies))
    timed("ranking", lambda: made.with_noise(noise).ranking.top())
    timed("difference map", lambda: made.difference(0))
    timed("head map", lambda: head_map(made.left, made.right, made.pieces))
    timed("tables", lambda: (made.table(), made.layers()))
    for normalisation, text in NORMALISATIONS.items():
        if normalisation == "picture":
            continue
        held = {"neutral": neutral} if text.needs_neutral else {}
        timed(
            f"normalisation: {text.name}",
            lambda n=normalisation, h=held: compare(correct, failing, **whole, normalisation=n, **h),
        )
    last = {"correct_query": last_prompt_query(correct), "failing_query": last_prompt_query(failing)}
    words = {"correct_query": question_query(correct), "failing_query": question_query(failing)}
    timed("asks: end of the prompt", lambda: compare(correct, failing, **last))
    timed("asks: the question (8 tokens)", lambda: compare(correct, failing, **words))
    timed("a region on both sides", lambda: compare(correct, failing, **whole, regions=DISC))
    tilted = Alignment("registered", TILT, 100, 120, 0.5, "As for the benchmark.")
    timed("registered pictures", lambda: compare(correct, failing, **whole, alignment=tilted))
    timed("by region", lambda: compare(correct, failing, **whole, alignment="by region"))
    timed("rows by kind of token", lambda: (row_shares(correct, whole["correct_query"]), row_shares(failing)))
    return taken


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    layers, heads, cells = found["shape"]
    seconds = found["seconds"]
    controls = {name: value for name, value in seconds.items() if name not in ("open", "noise floor of two copies")}
    slowest = max(controls, key=lambda name: controls[name][0])
    lines = [
        f"Two synthetic runs of {layers} layers x {heads} heads x {cells:,} cells, 32 answer tokens, bfloat16; CPUs: "
        f"{found['machine']['cpus']}; the quickest of several rounds, with nothing remembered before opening.",
        "",
        "| | ms | processor, ms |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {1000 * clock:,.0f} | {1000 * busy:,.0f} |" for name, (clock, busy) in seconds.items()),
        *goals_table(
            [
                ("opening, s", seconds["open"][0], GOALS["open"], "{:.2f}"),
                (f"the slowest control ({slowest}), s", controls[slowest][0], GOALS["control"], "{:.2f}"),
            ]
        ),
    ]
    return "\n".join(lines) + "\n"
