"""Is the estimate of memory true? Three random checkpoints are written, loaded and asked, each in a process of its own.

    python -m benchmarks.memory     measure, print the table of docs/memory.md (ten minutes on two cores)

What a process holds is read from Linux (/proc): the resident memory beyond what it held with the program and the
bundled model loaded, at its peak while an answer is made. Pages of the checkpoint's file that the system keeps only as
a copy of the disk (while weights are converted) are given back by then.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SIZES = {
    "44 M": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 12, "num_attention_heads": 8},
    "146 M": {"hidden_size": 896, "intermediate_size": 2432, "num_hidden_layers": 16, "num_attention_heads": 14},
    "392 M": {"hidden_size": 1280, "intermediate_size": 3456, "num_hidden_layers": 22, "num_attention_heads": 20},
}
"""Language models of three sizes; each number of parameters is in fact counted."""

WAYS = ({}, {"dtype": "bfloat16"}, {"mode": "full"}, {"mode": "low memory"}, {"mode": "low memory", "bits": 4})


def checkpoint(folder: Path, text: dict) -> Path:
    """Write one of the random checkpoints, in float32."""
    from tests.model.tiny import tiny_checkpoint

    vision = {"depth": 6, "hidden_size": 256, "num_heads": 4, "intermediate_size": 1024, "patch_size": 16}
    vision |= {
        "out_hidden_size": text["hidden_size"],
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [1, 3],
    }
    text = text | {"num_key_value_heads": 2, "head_dim": 64}
    return tiny_checkpoint(folder, "qwen3_vl", text=text, vision=vision, most_cells=1024)


def measure(folder: str, options: dict) -> dict:
    """In a process of its own: load a checkpoint, ask it once, and tell what that took beside what was expected."""
    import gc

    import numpy as np

    from qwenvl_debug.case import Case
    from qwenvl_debug.model import load_model
    from qwenvl_debug.model.forecast import inspect
    from qwenvl_debug.model.memory import estimate

    small = {"bits": 8} if "bits" in options or options.get("mode") == "low memory" else {}  # imports bitsandbytes
    load_model("micro", **small).ask(Case(np.zeros((64, 64, 3), np.uint8), "?"), max_new_tokens=2)
    gc.collect()
    before = resident()
    began = time.perf_counter()
    model = load_model(folder, **options)
    seconds = time.perf_counter() - began
    gc.collect()
    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.005):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    pixels = np.random.default_rng(0).integers(0, 256, (448, 448, 3), dtype=np.uint8)
    run = model.ask(Case(pixels, "Which tower is this?"), max_new_tokens=16)
    done.set()
    watcher.join()
    cells = len(run.grids[0].positions)
    expected = estimate(
        inspect(folder).skeleton,
        model.generation,
        dtype=model.dtype,
        bits=model.bits,
        vision=model.mode.vision,
        image_tokens=cells,
        words=len(run.tokens) - cells - 16,
        answer=16,
    )
    return {
        "precision": model.precision,
        "mode": model.mode.name,
        "parameters": expected.parameters,
        "estimate": expected.total,
        "measured": peak - before,
        "seconds": seconds,
    }


def resident() -> int:
    """Bytes that this process holds in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def main() -> None:
    """Measure every size in every way, and print the table."""
    print("| parameters | mode, weights | estimate | measured | off by |")
    print("|---:|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as root:
        for name, text in SIZES.items():
            folder = checkpoint(Path(root) / name.replace(" ", ""), text)
            for options in WAYS:
                job = [sys.executable, "-m", "benchmarks.memory", str(folder), json.dumps(options)]
                found = json.loads(
                    subprocess.run(job, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
                )
                off = found["estimate"] / found["measured"] - 1
                print(
                    f"| {name} | {found['mode']}, {found['precision']} | {found['estimate'] / 1e6:,.0f} MB "
                    f"| {found['measured'] / 1e6:,.0f} MB | {off:+.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], json.loads(sys.argv[2]))))
    else:
        main()
