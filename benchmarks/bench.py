"""What does it cost? Capture, scoring regions, opening a comparison: `make bench` writes docs/bench.md.

`python -m benchmarks.bench --only scores` runs one and leaves the others' recorded results as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import capture, comparing, scores

BENCHES = {
    "capture": ("What capture costs", capture),
    "scores": ("What scoring regions costs", scores),
    "comparing": ("What opening a comparison costs", comparing),
}


def main() -> None:
    """Run what was asked for, print the tables, and write JSON and Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=BENCHES, action="append", help="run this one; may be given again")
    parser.add_argument("--size", choices=("full", "small"), default="full", help="small: a quick look that it runs")
    parser.add_argument("--out", type=Path, help="folder for bench.json and bench.md (default for full: docs)")
    arguments = parser.parse_args()
    found = {name: BENCHES[name][1].run(arguments.size) for name in arguments.only or BENCHES}
    out = arguments.out or (Path("docs") if arguments.size == "full" else None)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write(found, out)
    sys.stdout.write("\n".join(BENCHES[name][1].table(one) for name, one in found.items()))


def write(found: dict[str, dict[str, Any]], out: Path) -> None:
    """Both files, with what was recorded before for the benches that were not run."""
    recorded = out / "bench.json"
    known = json.loads(recorded.read_text(encoding="utf-8")) if recorded.is_file() else {}
    known = {name: known[name] for name in BENCHES if name in known} | found
    recorded.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    parts = ["# What it costs", "Written by `make bench`; each part alone by `python -m benchmarks.bench --only NAME`."]
    for name, (title, bench) in BENCHES.items():
        if name in known:
            parts += [f"## {title} (`{name}`)", bench.table(known[name]).rstrip("\n")]
    (out / "bench.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
