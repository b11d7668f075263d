"""What do a checkpoint's .safetensors files hold? Names, types and shapes, read from their first bytes alone.

The layout is the format's own (github.com/huggingface/safetensors): eight bytes with the length of the header, and the
header in JSON. A file that is damaged counts as empty here; whoever reads its weights says so.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

LARGEST = 100_000_000
"""Bytes of a header; it is the format's own limit."""

INDEX, SINGLE = "model.safetensors.index.json", "model.safetensors"


@dataclass(frozen=True)
class Entry:
    """One tensor: its type as the format names it ("BF16"), its shape, and its bytes."""

    dtype: str
    shape: tuple[int, ...]
    bytes: int

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads: the single one, else those that the index names."""
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    try:
        shards = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / shard for shard in sorted({str(shard) for shard in shards}) if (folder / shard).is_file()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return []


def read_headers(folder: Path) -> dict[str, Entry]:
    """By name, every tensor of a checkpoint."""
    found: dict[str, Entry] = {}
    for path in weight_files(folder):
        found |= _entries(path)
    return found


def written_by(folder: Path) -> str | None:
    """The framework that the files say they were written by: "pt", "mlx" …, or None."""
    files = weight_files(folder)
    return _header(files[0]).get("__metadata__", {}).get("format") if files else None


def _entries(path: Path) -> dict[str, Entry]:
    entries = {}
    for name, one in _header(path).items():
        if name == "__metadata__":
            continue
        try:
            start, end = one["data_offsets"]
            entries[name] = Entry(str(one["dtype"]), tuple(int(side) for side in one["shape"]), int(end) - int(start))
        except (KeyError, TypeError, ValueError):
            return {}
    return entries


def _header(path: Path) -> dict:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = json.loads(file.read(length)) if 0 < length <= LARGEST else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
