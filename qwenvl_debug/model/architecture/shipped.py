"""Which published models does this package know by itself? Their configurations, sizes and descriptions, without torch.

The folder `published` holds one config.json per model in our own writing of the published figures, a list of them with
what was published of their sizes (`index.json`), and their descriptions as `describe` makes them (`described.json`, so
that a page opens without torch; `make.py` writes it anew, and a test holds it to a recount).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from qwenvl_debug.model.architecture.description import Architecture

FOLDER = Path(str(files("qwenvl_debug"))) / "model" / "architecture" / "published"
MICRO = "micro"


@dataclass(frozen=True)
class Published:
    """One published model.

    Attributes:
        name: on the hub, such as "Qwen/Qwen2.5-VL-7B-Instruct".
        same: other names on the hub with the same architecture.
        processor: the picture limits of its preprocessor_config.json.
        rounded: its size as its name or card gives it.
        total: exact number of weights that was published; None where none was found.
        more: weights among `total` that transformers does not load (layers that predict several tokens at once).
        source: where `total` was published.
    """

    name: str
    same: tuple[str, ...]
    processor: Mapping[str, Any]
    rounded: str
    total: int | None
    more: int
    source: str

    @property
    def short(self) -> str:
        """The name without its owner."""
        return self.name.split("/")[-1]

    def config(self) -> dict[str, Any]:
        """The content of its config.json."""
        return json.loads((FOLDER / f"{self.short}.json").read_text(encoding="utf-8"))


@cache
def published() -> tuple[Published, ...]:
    """Every shipped model, oldest generation first, small before large."""
    records = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
    return tuple(Published(**{**record, "same": tuple(record["same"])}) for record in records)


def names() -> tuple[str, ...]:
    """The names of the shipped models on the hub."""
    return tuple(one.name for one in published())


def find(name: str) -> Published | None:
    """The shipped model of this name: with or without its owner, or another name of the same architecture."""
    wanted = name.strip().lower()
    for one in published():
        known = {full.lower() for full in (one.name, *one.same)}
        if wanted in known | {full.split("/")[-1] for full in known}:
            return one
    return None


@cache
def _described() -> dict[str, Any]:
    return json.loads((FOLDER / "described.json").read_text(encoding="utf-8"))


def described(name: str) -> Architecture | None:
    """The description of a shipped model, or of the bundled one; None for any other.

    It equals `describe(name)`, and needs no torch.
    """
    one = find(name)
    record = _described().get(one.short if one else name)
    if record is None:
        return None
    return Architecture.from_dict({**record, "name": name})
