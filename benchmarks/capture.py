"""What does capture cost? Time, memory and the time to read a layer, beside a plain answer and beside eager attention.

`python -m benchmarks.bench --only capture` makes a Qwen2.5-VL of about 200 million random parameters, asks it about one
picture of more than 1,200 tokens for exactly 32 tokens, and compares three ways to do so:

* plain: transformers' `generate` with its SDPA attention, nothing recorded;
* capture: `DebugModel.ask`, the queries and keys kept;
* eager: `generate` with eager attention and `output_attentions=True`, the usual way to attention maps.

Times are taken in one process, the three in turn, in an order that rotates; the ratio to plain is the median over the
rounds of the ratios within a round, so that a machine that slows down meanwhile slows both. Beside the time by the
clock stands the processor time, which other work on the machine does not lengthen (read it with OMP_NUM_THREADS=1:
threads that wait for each other count as busy). Peak memory is the
kernel's own count of resident memory (VmHWM), of one answer in a fresh process.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.tell import goals_table, report
from qwenvl_debug.case import Case
from qwenvl_debug.model import DebugModel, load_model
from qwenvl_debug.model.inputs import prompt
from tests.model.tiny import tiny_checkpoint

SIZES = {
    "full": {
        "text": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 18,
            "num_attention_heads": 12,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
        },
        "vision": {
            "depth": 12,
            "hidden_size": 512,
            "intermediate_size": 1408,
            "num_heads": 8,
            "out_hidden_size": 768,
            "window_size": 112,
            "fullatt_block_indexes": [2, 5, 8, 11],
        },
        "picture": (1120, 868),  # 40 x 31 cells of 28 pixels
        "rounds": 7,
    },
    "small": {"text": {}, "vision": {}, "picture": (280, 196), "rounds": 2},
}
NEW_TOKENS = 32
GOALS = {"time": 1.05, "memory": 0.05, "weights_ms": 20.0}


def bench_model(folder: Path, size: str) -> DebugModel:
    """Write the random checkpoint where it is not there yet, and load it; answers have exactly 32 tokens."""
    if not (folder / "config.json").is_file():
        tiny_checkpoint(folder, "qwen2_5_vl", text=SIZES[size]["text"], vision=SIZES[size]["vision"], most_cells=16_384)
    model = load_model(folder)
    model.network.generation_config.min_new_tokens = NEW_TOKENS
    return model


def bench_case(size: str) -> Case:
    """One picture of noise, which gives a random model no reason to look at one place only."""
    width, height = SIZES[size]["picture"]
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Case(pixels, "Which tower is this?")


def plain(model: DebugModel, case: Case) -> list[int]:
    """Transformers' generate with SDPA."""
    return model.plain(case, NEW_TOKENS)


def capture(model: DebugModel, case: Case) -> list[int]:
    """An ordinary question: the rows of the question and the answer are kept."""
    run = model.ask(case, max_new_tokens=NEW_TOKENS)
    return [run.tokens[n].id for n in run.answer_tokens]


def eager(model: DebugModel, case: Case) -> list[int]:
    """Every map of every layer, as `output_attentions=True` returns them."""
    asked = prompt(model, case)
    with model.turn(), model.attention("eager"), torch.no_grad():
        answer = model.network.generate(
            **asked.feed(model.device),
            max_new_tokens=NEW_TOKENS,
            output_attentions=True,
            return_dict_in_generate=True,
        )
    return answer.sequences[0, len(asked.ids) :].tolist()


WAYS: dict[str, Callable[[DebugModel, Case], list[int]]] = {"plain": plain, "capture": capture, "eager": eager}
CLOCKS: dict[str, Callable[[], float]] = {"clock": time.perf_counter, "processor": time.process_time}


def times(model: DebugModel, case: Case, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each way in each round, by the clock and of the processor, after one round that is not counted."""
    taken = {clock: {way: [] for way in WAYS} for clock in CLOCKS}
    names = list(WAYS)
    for turn in range(-1, rounds):
        for way in names[turn % len(names) :] + names[: turn % len(names)]:
            gc.collect()
            began = {clock: now() for clock, now in CLOCKS.items()}
            answer = WAYS[way](model, case)
            seconds = {clock: now() - began[clock] for clock, now in CLOCKS.items()}
            if len(answer) != NEW_TOKENS:
                raise RuntimeError(f"{way} answered {len(answer)} tokens, not {NEW_TOKENS}")
            if turn >= 0:
                for clock in CLOCKS:
                    taken[clock][way].append(seconds[clock])
            shown = ", ".join(f"{clock} {value:.2f} s" for clock, value in seconds.items())
            report(f"round {turn + 1}/{rounds} {way}: {shown}{' (warming up)' if turn < 0 else ''}")
    return taken


def ratios(taken: dict[str, list[float]]) -> dict[str, float]:
    """Of each way, the median over the rounds of its time as a multiple of plain's in the same round."""
    return {way: median(a / b for a, b in zip(taken[way], taken["plain"], strict=True)) for way in WAYS}


def weights_time(model: DebugModel, case: Case) -> dict[str, Any]:
    """Milliseconds of `Trace.weights` for all heads and all answer rows of one layer; the slowest layer counts."""
    run = model.ask(case, max_new_tokens=NEW_TOKENS)
    rows = [run.row_of(token) for token in run.answer_tokens]
    taken: dict[int, list[float]] = {layer: [] for layer in run.trace.layers}
    for _ in range(5):
        for layer in run.trace.layers:
            began = time.perf_counter()
            weights = run.trace.weights(layer, rows)
            taken[layer].append(1000 * (time.perf_counter() - began))
    return {
        "shape": list(weights.shape),
        "ms": max(median(values) for values in taken.values()),
        "trace_bytes": run.trace.nbytes,
        "kept_rows": len(run.trace.positions),
        "tokens": len(run.tokens),
        "image_tokens": len(run.grids[0].positions),
    }


def peak_memory(folder: Path, size: str, way: str) -> int:
    """Bytes by which resident memory peaked above where it stood before one answer, in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.capture", "--size", size, "--folder", str(folder), "--peak-of", way]
    # A fixed threshold makes freed tensors go back to the system at once, so the peak is of what was really held.
    environment = os.environ | {
        "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(1 << 20),
        "OMP_WAIT_POLICY": "PASSIVE",  # time does not count here
    }
    return int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.split()[-1])


def peak_of(folder: Path, size: str, way: str) -> int:
    """The measurement itself (Linux)."""
    model, case = bench_model(folder, size), bench_case(size)
    # Touch every code path and weight once, so that libraries and lazily read weights are not counted.
    WAYS[way](model, replace(case, pictures=(case.pictures[0].pixels[:112, :112],)))
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _status("VmRSS")
    WAYS[way](model, case)
    return _status("VmHWM") - before


def memory_share(peaks: dict[str, int], trace_bytes: int) -> float:
    """What capture needs more than a plain answer, as a share of what eager attention needs more.

    The peak may fall where nothing is captured yet (in the vision tower), so what a run keeps counts at least.
    """
    return max(peaks["capture"] - peaks["plain"], trace_bytes) / (peaks["eager"] - peaks["plain"])


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(field)).split()[1])


def measure(folder: Path, size: str) -> dict[str, Any]:
    """Everything, as one JSON-ready dictionary."""
    memory = {}
    bench_model(folder, size)
    for way in WAYS:
        memory[way] = median(peak_memory(folder, size, way) for _ in range(3))
        report(f"peak memory of {way}: {memory[way] / 1e6:,.0f} MB")
    model, case = bench_model(folder, size), bench_case(size)
    weights = weights_time(model, case)
    taken = times(model, case, SIZES[size]["rounds"])
    return {
        "model": {
            "family": model.family,
            "parameters": sum(weight.numel() for weight in model.network.parameters()),
            "layers": model.n_layers,
            "heads": model.n_heads,
            "dtype": str(model.dtype).removeprefix("torch."),
        },
        "new_tokens": NEW_TOKENS,
        "rounds": SIZES[size]["rounds"],
        "seconds": taken,
        "median_seconds": {clock: {way: median(values) for way, values in taken[clock].items()} for clock in CLOCKS},
        "ratio_to_plain": {clock: ratios(taken[clock]) for clock in CLOCKS},
        "peak_extra_bytes": memory,
        "memory_share_of_eager": memory_share(memory, weights["trace_bytes"]),
        "weights": weights,
        "machine": {"processor": platform.machine(), "cpus": os.cpu_count(), "threads": torch.get_num_threads()},
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    weights, model = found["weights"], found["model"]
    lines = [
        f"{model['family']}, {model['parameters'] / 1e6:.0f} M random parameters, {model['layers']} layers x "
        f"{model['heads']} heads, {model['dtype']}; {weights['image_tokens']:,} image tokens, {found['new_tokens']} "
        f"new tokens; threads: {found['machine']['threads']}, CPUs: {found['machine']['cpus']}; medians of "
        f"{found['rounds']} rounds.",
        "",
        "| | seconds | times plain | processor seconds | times plain | peak memory above rest, MB | above plain, MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for way in WAYS:
        peak = found["peak_extra_bytes"][way]
        cells = [f"| {way}"]
        for clock in CLOCKS:
            cells += [f"{found['median_seconds'][clock][way]:.2f}", f"{found['ratio_to_plain'][clock][way]:.3f}"]
        cells += [f"{peak / 1e6:,.0f}", f"{(peak - found['peak_extra_bytes']['plain']) / 1e6:,.1f} |"]
        lines.append(" | ".join(cells))
    lines += goals_table(
        [
            ("capture, times plain", found["ratio_to_plain"]["clock"]["capture"], GOALS["time"], "{:.3f}"),
            ("the same in processor time", found["ratio_to_plain"]["processor"]["capture"], GOALS["time"], "{:.3f}"),
            ("capture's extra memory, share of eager's", found["memory_share_of_eager"], GOALS["memory"], "{:.1%}"),
            ("`weights()` of a layer, ms", weights["ms"], GOALS["weights_ms"], "{:.1f}"),
        ]
    )
    lines += [
        "",
        f"`weights()`: all heads and answer rows of one layer, float32 {weights['shape']}. The trace holds "
        f"{weights['trace_bytes'] / 1e6:.1f} MB: {weights['kept_rows']} query rows and {weights['tokens']:,} keys of "
        "every layer.",
    ]
    return "\n".join(lines) + "\n"


def run(size: str = "full", folder: Path | None = None) -> dict[str, Any]:
    """Everything; the random checkpoint is written to `folder` where it is not there yet."""
    with tempfile.TemporaryDirectory() as temporary:
        return measure(folder or Path(temporary), size)


def main() -> None:
    """One answer's peak memory, in the fresh process that `peak_memory` starts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--peak-of", choices=WAYS, required=True)
    arguments = parser.parse_args()
    sys.stdout.write(f"{peak_of(arguments.folder, arguments.size, arguments.peak_of)}\n")


if __name__ == "__main__":
    main()
