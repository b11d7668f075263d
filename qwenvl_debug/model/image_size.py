"""How small must an image be made to take at most so many tokens?

Image processors bound the *area* and then round each side to whole cells, a side below half a cell up to one. So a very
long image can take several times what its area allows: 2,000 x 10 pixels take 57 cells where 16 are allowed. A limit
that somebody set is a promise, and memory is reckoned with it; then the area is bounded further until it holds.
"""

from __future__ import annotations

from typing import Any

from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

Size = dict[str, int]


def fitting_size(processor: Any, picture: tuple[int, int], size: Size, most: int | None) -> Size:
    """The processor's bounds of area, lowered for an image that would take too many tokens.

    Args:
        processor: the image processor.
        picture: width, height of the image in pixels.
        size: the bounds in general, {"shortest_edge", "longest_edge"} in pixels of area.
        most: tokens that the image may take; None for no limit but `size`.

    Returns:
        `size` itself where that is enough; else the largest bounds under which the image fits. There always are some,
        for an image takes one cell at the least.
    """
    cell = processor.patch_size * processor.merge_size

    def tokens(longest: int) -> int:
        width, height = picture
        shortest = min(size["shortest_edge"], longest)
        rows, cols = smart_resize(height, width, factor=cell, min_pixels=shortest, max_pixels=longest)
        return (rows // cell) * (cols // cell)

    if most is None or tokens(size["longest_edge"]) <= most:
        return size
    fits, fails = 1, size["longest_edge"]  # the larger the area, the more tokens
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if tokens(middle) <= most else (fits, middle)
    return {"shortest_edge": min(size["shortest_edge"], fits), "longest_edge": fits}
