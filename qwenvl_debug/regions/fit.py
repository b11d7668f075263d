"""The same region on an image of another size: stretched as the image is."""

from __future__ import annotations

from dataclasses import replace

from qwenvl_debug.regions.carrying import carry
from qwenvl_debug.regions.shapes import Region


def fit(region: Region, size: tuple[int, int], onto: tuple[int, int]) -> Region:
    """A region drawn on one image, carried to another edge to edge; see `carry`.

    Args:
        region: in pixels of the image it was drawn on.
        size: width, height of that image.
        onto: width, height of the other.

    Returns:
        The region itself where the sizes are equal; without a shape where it lies outside the image.

    Raises:
        RegionError: a size is not an image's.
    """
    return carry(region, None, size, onto).region or replace(region, shapes=())
