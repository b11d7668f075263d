"""Which regions does someone's file hold? Masks as PNG, COCO JSON and Label Studio JSON, told apart by what is in them.

A mask of another size is fitted where its sides have the picture's proportions, since many tools save masks at their
own resolution; of other proportions it cannot be known which part of the picture it means, and it is refused.
"""

from __future__ import annotations

import io
from pathlib import PurePath

from PIL import Image

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.coco import from_coco
from qwenvl_debug.regions.files import Imported, read_json
from qwenvl_debug.regions.fit import fit
from qwenvl_debug.regions.label_studio import from_label_studio
from qwenvl_debug.regions.masks_png import mask_from_png
from qwenvl_debug.regions.shapes import Region

PNG = b"\x89PNG"
ALIKE = 0.02
"""By how much the proportions of a mask may differ from its picture's: sides are rounded to whole pixels."""


def bring_in(name: str, data: bytes, size: tuple[int, int], picture: str | None = None) -> Imported:
    """The regions in one file.

    Args:
        name: the file's name; a mask is named after it.
        data: the file's bytes.
        size: width, height in pixels of the picture they are for.
        picture: the picture's file name, to find it in a file about several.

    Returns:
        The regions, and one sentence for each thing that was left out or fitted.

    Raises:
        RegionError: in one sentence that begins with the file's name, why nothing of it can be used.
    """
    try:
        if data.startswith(PNG):
            return _mask(name, data, size)
        found = read_json(data)
        is_coco = isinstance(found, dict) and isinstance(found.get("images"), list)
        made = from_coco(found, size, picture) if is_coco else from_label_studio(found, size, picture)
    except RegionError as error:
        raise RegionError(f"{name}: {_reason(error, data)}") from None
    return Imported(made.regions, tuple(f"{name}: {sentence}" for sentence in made.left_out))


def _reason(error: RegionError, data: bytes) -> str:
    if "is not JSON" in str(error):
        kind = "a JPEG picture" if data.startswith(b"\xff\xd8") else "neither PNG nor JSON"
        return f"this is {kind}: bring masks as PNG, and regions as JSON of COCO or Label Studio."
    if "not a Label Studio export" in str(error):
        return "this JSON is neither COCO with images and annotations nor a Label Studio export with annotations."
    return str(error)


def _mask(name: str, data: bytes, size: tuple[int, int]) -> Imported:
    own = _size(data)
    region = Region(PurePath(name).stem.strip() or "mask", (mask_from_png(data, own),))
    if not region.shapes[0].pixels.any():
        raise RegionError("the mask is black everywhere: what is not black, or not transparent, is the region.")
    if own == size:
        return Imported((region,))
    across, down = own[0] / size[0], own[1] / size[1]
    if abs(across / down - 1) > ALIKE:
        raise RegionError(
            f"the mask has {own[0]} x {own[1]} pixels and the picture {size[0]} x {size[1]}, so the proportions "
            "differ: save the mask with the picture's size."
        )
    fitted = f"{name}: the mask has {own[0]} x {own[1]} pixels and was fitted to the picture's {size[0]} x {size[1]}."
    return Imported((fit(region, own, size),), (fitted,))


def _size(data: bytes) -> tuple[int, int]:
    """Width and height as the mask is seen."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return image.size[::-1] if turned else image.size
    except Exception:  # Pillow raises many kinds on damaged files
        raise RegionError("this is not a PNG that can be read: save the mask as PNG again.") from None
