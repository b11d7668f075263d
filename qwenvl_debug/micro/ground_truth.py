"""Which regions does a pair of the gallery come with? The true masks of its objects, and which is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from qwenvl_debug.micro.gallery import Pair
from qwenvl_debug.micro.words import SHAPES
from qwenvl_debug.regions import Mask, Region


def true_regions(pair: Pair, side: str) -> tuple[Region, ...]:
    """The regions of one image of a pair.

    Args:
        pair: a pair of the gallery.
        side: "correct" or "failing".

    Returns:
        One region per object and telling part. What the question is about is to be looked at, the rest measured.
    """
    return tuple(
        Region(name, (Mask(_pixels(path)),), "look" if is_asked_about(pair, name) else "measure")
        for name, path in pair.regions[side].items()
    )


def is_asked_about(pair: Pair, name: str) -> bool:
    """Whether a region of a pair, by its name, is what the question is about."""
    if pair.task == "tower":
        return True
    if pair.task == "cat":
        return name == "cat"
    said = f"{pair.question} {pair.expected}".lower()
    return any(word in said for word in SHAPES.get(name, (name,)))


def asked_about(pair: Pair) -> str:
    """The name of the region that the question of a pair is about."""
    names = list(pair.regions["failing"])
    return next((name for name in names if is_asked_about(pair, name)), names[0])


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("L")) > 127
