"""What are regions called? On one picture no two have the same name: charts, tables and files go by it.

Where regions are drawn, imported or copied, a second "spheres" becomes "spheres 2" (`unique_names`; the editor has the
same rule, see `freeName` in ui/editor/drawing.js). Where they are scored, two of one name are refused (`check_names`).
Names are the same when they look the same: spaces around them, and how accents are composed, do not count.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from qwenvl_debug.errors import RegionError

if TYPE_CHECKING:
    from qwenvl_debug.regions.shapes import Region


def name_key(name: str) -> str:
    """What two names that look the same have in common."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """The name itself, or with the next number that is free where it is taken: "spheres", "spheres 2", …"""
    return unique_names([wanted], taken)[0]


def unique_names(names: Sequence[str], taken: Iterable[str] = (), key: Callable[[str], str] = name_key) -> list[str]:
    """Names of which no two are the same.

    Args:
        names: in their order. The first of each name keeps it, and no other one is given a name that stands here.
        taken: names that others have.
        key: what two names have in common that count as the same.
    """
    used, later = set(map(key, taken)), Counter(map(key, names))
    numbers: dict[str, int] = {}
    result = []
    for name in names:
        later[key(name)] -= 1
        if key(name) in used:
            stem = re.sub(r"\s+\d+\s*$", "", name)
            number = numbers.get(stem, 2)
            while key(name := f"{stem} {number}") in used or later[key(name)] > 0:
                number += 1
            numbers[stem] = number + 1
        used.add(key(name))
        result.append(name)
    return result


def check_names(regions: Iterable[Region]) -> None:
    """Refuse regions of one picture of which two have the same name.

    Raises:
        RegionError: in one sentence, which name that is.
    """
    seen: set[str] = set()
    for region in regions:
        if name_key(region.name) in seen:
            raise RegionError(f"Two regions are called “{region.name}”: give each its own name.")
        seen.add(name_key(region.name))
