"""Which regions does a gallery picture bring along? The masks of its objects, and whether they were asked about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from qwenvl_debug.micro.words import SHAPES
from qwenvl_debug.regions import Mask, Region
from qwenvl_debug.ui import drawings

if TYPE_CHECKING:
    from pathlib import Path

    from qwenvl_debug.micro.gallery import Pair


def truth(pair: Pair, side: str) -> tuple[Region, ...]:
    """The regions of one picture of a pair.

    Args:
        pair: a pair of the gallery.
        side: "correct" or "failing".

    Returns:
        One region per object and telling part. What the question is about is to be looked at, the rest measured.
    """
    return tuple(
        Region(name, (Mask(_pixels(path)),), "look" if _asked(pair, name) else "measure")
        for name, path in pair.regions[side].items()
    )


def bring_truth(pair: Pair | None, picture_shas: Sequence[str]) -> None:
    """Have both pictures of a gallery pair show the regions they come with, where nobody has drawn."""
    for side, sha in zip(("correct", "failing"), picture_shas, strict=True):
        if pair is not None and drawings.load(sha) is None:
            drawings.bring(sha, truth(pair, side))


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127


def _asked(pair: Pair, name: str) -> bool:
    if pair.task == "tower":
        return True
    if pair.task == "cat":
        return name == "cat"
    said = f"{pair.question} {pair.expected}".lower()
    return any(word in said for word in SHAPES.get(name, (name,)))
