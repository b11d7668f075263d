"""Have both pictures of a gallery pair show the regions they come with, where nobody has drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qwenvl_debug.micro.ground_truth import true_regions
from qwenvl_debug.ui import drawings

if TYPE_CHECKING:
    from qwenvl_debug.micro.gallery import Pair


def bring_truth(pair: Pair | None, picture_shas: Sequence[str]) -> None:
    """Have both pictures of a gallery pair show the regions they come with, where nobody has drawn."""
    for side, sha in zip(("correct", "failing"), picture_shas, strict=True):
        if pair is not None and drawings.load(sha) is None:
            drawings.bring(sha, true_regions(pair, side))
