"""A mask as COCO run lengths: the lengths of its runs, column by column, starting with what is outside.

Compressed, the lengths are a string: each as its difference to the one before the previous, in groups of five bits.
Reading is written here rather than left to pycocotools, whose decoder trusts its input: a short string makes it return
memory that was never written, and some wrong ones end the whole process. These strings come from uploaded files.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.picture import MAX_PIXELS

BROKEN = "The run lengths of a mask are broken: export the file again."
LONGEST = 7  # groups of five bits: more than any picture that can be opened needs


def encode(pixels: np.ndarray) -> dict[str, Any]:
    """A mask as COCO's compressed run lengths.

    Args:
        pixels: bool [height, width].

    Returns:
        {"size": [height, width], "counts": str}, ready for JSON.
    """
    counts = _runs(pixels.ravel(order="F"))
    text = bytearray()
    for number, count in enumerate(counts):
        value = count - counts[number - 2] if number > 2 else count
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append((bits | 0x20 if more else bits) + 48)
    return {"size": list(pixels.shape), "counts": text.decode()}


def decode(rle: Any) -> np.ndarray:
    """A mask from COCO's run lengths, compressed (text or bytes) or not (a list).

    Args:
        rle: {"size": [height, width], "counts": …}, of any origin.

    Returns:
        bool [height, width].

    Raises:
        RegionError: the lengths do not make up a mask of this size, or it has more pixels than a picture may have.
    """
    if not isinstance(rle, dict):
        raise RegionError(BROKEN)
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, Sequence) or len(size) != 2 or not all(_is_count(side) for side in size):
        raise RegionError("A mask's size is its height and width in whole pixels: this one has another.")
    height, width = (int(side) for side in size)
    if height * width > MAX_PIXELS:
        raise RegionError(f"A mask has more than {MAX_PIXELS // 1_000_000} million pixels: make it smaller.")
    if isinstance(counts, (str, bytes)):
        counts = _counts(counts.encode() if isinstance(counts, str) else counts)
    if not isinstance(counts, list) or not all(_is_count(count) for count in counts):
        raise RegionError(BROKEN)
    counts = [int(count) for count in counts]
    if sum(counts) != height * width:
        raise RegionError(BROKEN)
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def _runs(flat: np.ndarray) -> list[int]:
    """Lengths of runs in turn, the first of them of zeros and possibly empty."""
    if not flat.size:
        return [0]
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], borders, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def _counts(text: bytes) -> list[int]:
    counts: list[int] = []
    value = groups = 0
    for byte in text:
        bits = byte - 48
        if not 0 <= bits < 64 or groups >= LONGEST:
            raise RegionError(BROKEN)
        value |= (bits & 0x1F) << 5 * groups
        groups += 1
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << 5 * groups
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = groups = 0
    if groups:
        raise RegionError(BROKEN)
    return counts


def _is_count(value: Any) -> bool:
    """A whole number from 0; files written by other languages may spell it 12.0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0 and value == value // 1
