"""How many tokens does a picture become? From pixels over patches to tokens, by each generation's own rule.

Later generations keep a picture's shape: its sides are rounded to whole merge blocks, and it is enlarged or reduced
until its area lies within the checkpoint's limits (the rule of transformers' `Qwen2VLImageProcessor`, smart_resize).
The first generation stretches every picture to one square and reads it with a fixed number of learned queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from qwenvl_debug.errors import PictureError

LONGEST_RATIO = 200
"""Pictures longer than this many times their width are refused by the image processor itself."""


@dataclass(frozen=True)
class PictureRules:
    """What decides how a picture becomes tokens.

    Attributes:
        patch: side of a patch, in pixels of the resized picture.
        merge: patches along the side of the block that becomes one token; 1 where queries read the patches instead.
        least, most: area in pixels between which a picture is resized; equal for a fixed square.
        square: side of the square that every picture is stretched to; None where its shape is kept.
        queries: number of learned queries that read the patches; None where blocks of patches become tokens.
        window: side of an attention window in pixels; None where there are no windows.
        limits: where `least` and `most` come from, in words.
    """

    patch: int
    merge: int
    least: int
    most: int
    square: int | None
    queries: int | None
    window: int | None
    limits: str


@dataclass(frozen=True)
class TokenBudget:
    """One picture on its way to the language model.

    Attributes:
        width, height: pixels of the picture.
        resized_width, resized_height: pixels that the vision encoder sees.
        patch_rows, patch_cols: patches.
        rows, cols: cells of the picture as the language model sees them; None where its tokens are no cells.
        tokens: picture tokens in the language model's sequence.
        windows: attention windows of the vision encoder, 0 where there are none.
        window_patches: patches of the largest window.
    """

    width: int
    height: int
    resized_width: int
    resized_height: int
    patch_rows: int
    patch_cols: int
    rows: int | None
    cols: int | None
    tokens: int
    windows: int
    window_patches: int

    @property
    def patches(self) -> int:
        """Patches of the picture."""
        return self.patch_rows * self.patch_cols

    @property
    def scale(self) -> float:
        """Pixels of the resized picture per pixel of the picture, by area."""
        return self.resized_width * self.resized_height / (self.width * self.height)


def token_budget(rules: PictureRules, width: int, height: int) -> TokenBudget:
    """What becomes of a picture of this size.

    Args:
        rules: the model's.
        width, height: pixels of the picture as a person sees it.

    Raises:
        PictureError: no such picture exists, or the model does not take its shape.
    """
    if min(width, height) < 1:
        raise PictureError(f"A picture of {width} x {height} pixels is empty: give a width and a height above 0.")
    if rules.square is not None:
        wide = high = rules.square
    else:
        if max(width, height) > LONGEST_RATIO * min(width, height):
            raise PictureError(
                f"A picture of {width} x {height} pixels is more than {LONGEST_RATIO} times as long as it is wide, "
                "which these models do not take: crop it."
            )
        wide, high = _fit(width, height, rules)
    patch_rows, patch_cols = high // rules.patch, wide // rules.patch
    rows, cols = patch_rows // rules.merge, patch_cols // rules.merge
    windows, window_patches = _windows(rules, rows, cols)
    return TokenBudget(
        width=width,
        height=height,
        resized_width=wide,
        resized_height=high,
        patch_rows=patch_rows,
        patch_cols=patch_cols,
        rows=None if rules.queries else rows,
        cols=None if rules.queries else cols,
        tokens=rules.queries or rows * cols,
        windows=windows,
        window_patches=window_patches,
    )


def _fit(width: int, height: int, rules: PictureRules) -> tuple[int, int]:
    """The size a picture is resized to: whole merge blocks, its area within the limits, its shape nearly kept."""
    block = rules.patch * rules.merge
    wide, high = round(width / block) * block, round(height / block) * block
    if wide * high > rules.most:
        shrink = math.sqrt(height * width / rules.most)
        wide = max(block, math.floor(width / shrink / block) * block)
        high = max(block, math.floor(height / shrink / block) * block)
    elif wide * high < rules.least:
        grow = math.sqrt(rules.least / (height * width))
        wide = math.ceil(width * grow / block) * block
        high = math.ceil(height * grow / block) * block
    return wide, high


def _windows(rules: PictureRules, rows: int, cols: int) -> tuple[int, int]:
    """How many attention windows, and how many patches the largest has."""
    if rules.window is None:
        return 0, 0
    side = rules.window // (rules.patch * rules.merge)
    largest = min(side, rows) * min(side, cols) * rules.merge**2
    return math.ceil(rows / side) * math.ceil(cols / side), largest
