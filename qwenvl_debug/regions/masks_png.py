"""Regions from and to plain mask pictures: what is not black, or not transparent, is the region."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from qwenvl_debug.errors import RegionError
from qwenvl_debug.picture import MAX_PIXELS
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.shapes import Mask, Region


def mask_from_png(source: str | Path | bytes, size: tuple[int, int]) -> Mask:
    """A mask from a PNG picture of any mode.

    Where the picture is transparent anywhere, the region is what is not; otherwise it is what is not black.

    Args:
        source: a path, or the file's bytes.
        size: width, height in pixels of the picture that the mask belongs to.

    Raises:
        RegionError: missing, not a PNG, damaged, or of another size than the picture.
    """
    name = "The mask" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=["PNG"]) as image:
            _check_size(image, size, name)
            return Mask(_inside(ImageOps.exif_transpose(image)))
    except RegionError:
        raise
    except FileNotFoundError:
        raise RegionError(f"There is no mask at {source}: check the path.") from None
    except Exception:  # Pillow raises many kinds on damaged files
        raise RegionError(f"{name} is not a PNG that can be read: save the mask as PNG again.") from None


def mask_to_png(region: Region, size: tuple[int, int]) -> bytes:
    """The pixels of a region as a black and white PNG (mode L, 0 and 255).

    Args:
        region: in pixels of the picture.
        size: width, height of the picture.

    Raises:
        RegionError: see `region_mask`.
    """
    buffer = io.BytesIO()
    Image.fromarray(region_mask(region, size).astype(np.uint8) * 255).save(buffer, "PNG")
    return buffer.getvalue()


def _check_size(image: Image.Image, size: tuple[int, int], name: str) -> None:
    """Before anything is decoded; a mask of a camera's turned picture may be turned like it."""
    turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
    shown = image.size[::-1] if turned else image.size
    if shown == size[::-1] != size:
        raise RegionError(
            f"{name} has {shown[0]} x {shown[1]} pixels and the picture {size[0]} x {size[1]}, sides swapped as in a "
            "photo before its EXIF orientation turns it: turn the mask like the photo and save it again."
        )
    if shown != size or shown[0] * shown[1] > MAX_PIXELS:
        raise RegionError(
            f"{name} has {shown[0]} x {shown[1]} pixels and the picture {size[0]} x {size[1]}: a mask must have the "
            "picture's size."
        )


def _inside(image: Image.Image) -> np.ndarray:
    """bool [height, width]."""
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if (alpha < 255).any():
            return alpha > 0
    if image.mode in ("P", "PA", "LA", "RGBA"):
        image = image.convert("RGB")
    pixels = np.asarray(image)
    return pixels.any(axis=2) if pixels.ndim == 3 else pixels != 0
