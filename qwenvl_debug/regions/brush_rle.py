"""A mask as Label Studio's brush data: run lengths of RGBA bytes, packed bit by bit.

The format is that of the JavaScript package @thi.ng/rle-pack. A head gives the number of words (32 bits), the width of
a word less one (5 bits) and four widths of lengths less one (4 bits each). Then come pieces: one bit that says whether
a word is repeated, two bits that choose a width, a length less one of that width, and the one word or all of them.
The words are a picture of four channels in rows; what counts is the last, alpha.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.picture import MAX_PIXELS

CHANNELS = 4
WORD = 8
WIDTHS = (3, 4, 8, 16)  # those that Label Studio writes
BROKEN = "The brush data of a mask are broken: export the file from Label Studio again."


def encode(pixels: np.ndarray) -> list[int]:
    """A mask as brush data.

    Args:
        pixels: bool [height, width].

    Returns:
        Bytes as whole numbers 0..255, ready for JSON.
    """
    flat = pixels.ravel()
    bits = [f"{flat.size * CHANNELS:032b}{WORD - 1:05b}", *(f"{width - 1:04b}" for width in WIDTHS)]
    borders = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate([[0], borders]) if flat.size else borders
    lengths = np.diff(np.concatenate([starts, [flat.size]])) * CHANNELS
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        word = f"{255 if flat[start] else 0:08b}"
        while length:
            choice = next((n for n, width in enumerate(WIDTHS) if length <= 1 << width), len(WIDTHS) - 1)
            part = min(length, 1 << WIDTHS[choice])
            bits.append(f"1{choice:02b}{part - 1:0{WIDTHS[choice]}b}{word}")
            length -= part
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def decode(data: Any, size: tuple[int, int]) -> np.ndarray:
    """A mask from brush data.

    Args:
        data: a list of whole numbers 0..255, of any origin.
        size: width, height of the picture it was painted on.

    Returns:
        bool [height, width], where alpha is above 0.

    Raises:
        RegionError: the data are broken, or of a picture of another size.
    """
    width, height = size
    if not isinstance(data, list) or not all(type(byte) is int and 0 <= byte < 256 for byte in data):
        raise RegionError(BROKEN)
    read = _Bits(bytes(data))
    words, wide = read.number(32), read.number(5) + 1
    widths = [read.number(4) + 1 for _ in WIDTHS]
    if words != width * height * CHANNELS or width * height > MAX_PIXELS:
        raise RegionError("The brush data of a mask belong to a picture of another size.")
    painted = np.zeros(words, bool)
    at = 0
    while at < words:
        repeated = read.number(1)
        end = at + read.number(widths[read.number(2)]) + 1
        if end > words:
            raise RegionError(BROKEN)
        painted[at:end] = read.number(wide) > 0 if repeated else read.words(end - at, wide).any(axis=1)
        at = end
    return painted.reshape(height, width, CHANNELS)[..., -1]


class _Bits:
    """Reads numbers of any width from bytes, most significant bit first."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def _take(self, count: int) -> tuple[bytes, int]:
        """The bytes that hold the next bits, and how many bits of the first byte come before them."""
        start, before = divmod(self.at, 8)
        self.at += count
        if self.at > len(self.data) * 8:
            raise RegionError(BROKEN)
        return self.data[start : (self.at + 7) // 8], before

    def number(self, width: int) -> int:
        held, _ = self._take(width)
        return int.from_bytes(held, "big") >> -self.at % 8 & (1 << width) - 1

    def words(self, count: int, width: int) -> np.ndarray:
        """uint8 [count, width] of single bits."""
        held, before = self._take(count * width)
        bits = np.unpackbits(np.frombuffer(held, np.uint8))
        return bits[before : before + count * width].reshape(count, width)
