"""Which regions does someone's file hold? Masks as PNG, COCO JSON and Label Studio JSON, recognised by what is in them.

A mask of another size is fitted where its sides have the picture's proportions, since many tools save masks at their
own resolution; of other proportions it cannot be known which part of the picture it means, and it is refused. Files of
other tools are refused, too, with the tool's name and what to export from it instead.
"""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import PurePath

from PIL import Image

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.coco import from_coco
from qwenvl_debug.regions.files import Imported, Question, UnclearFile, read_json, swapped
from qwenvl_debug.regions.fit import fit
from qwenvl_debug.regions.foreign import tool_of_bytes, tool_of_json
from qwenvl_debug.regions.frame import Frame, frame_of, upright
from qwenvl_debug.regions.label_studio import from_label_studio
from qwenvl_debug.regions.label_studio_tasks import tasks_of
from qwenvl_debug.regions.masks_png import mask_from_png
from qwenvl_debug.regions.shapes import Region

PNG = b"\x89PNG"
ALIKE = 0.02
"""By how much the proportions of a mask may differ from its picture's: sides are rounded to whole pixels."""


def bring_in(
    name: str,
    data: bytes,
    size: tuple[int, int],
    picture: str | None = None,
    *,
    image: str | None = None,
    exif: int | None = None,
    frame: Frame | None = None,
) -> Imported:
    """The regions in one file.

    Args:
        name: the file's name; a mask is named after it.
        data: the file's bytes.
        size: width, height in pixels of the picture they are for.
        picture: the picture's file name, to find it in a file about several.
        image, exif, frame: see `from_coco`.

    Returns:
        The regions, one sentence for each thing that was left out or fitted, and the question that is open, if any.

    Raises:
        UnclearFile: nothing can be used before a question is answered.
        RegionError: in one sentence that begins with the file's name, why nothing of it can be used.
    """
    try:
        if data.startswith(PNG):
            made = _mask(name, data, size, exif, frame)
        else:
            found = read_json(data)
            read = from_coco if isinstance(found, dict) and isinstance(found.get("images"), list) else from_label_studio
            made = read(found, size, picture, image=image, exif=exif, frame=frame)
    except UnclearFile as error:
        raise UnclearFile(_named(name, error.question)) from None
    except RegionError as error:
        raise RegionError(f"{name}: {_reason(error, data)}") from None
    question = made.question and _named(name, made.question)
    return Imported(made.regions, tuple(f"{name}: {sentence}" for sentence in made.left_out), question)


def _named(name: str, question: Question) -> Question:
    return replace(question, sentence=f"{name}: {question.sentence}")


def _reason(error: RegionError, data: bytes) -> str:
    if "is not JSON" in str(error):
        nothing = "this is neither PNG nor JSON: import masks as PNG, and regions as JSON of COCO or Label Studio."
        return tool_of_bytes(data) or nothing
    found = None if data.startswith(PNG) else read_json(data)
    if found is None or (isinstance(found, dict) and "images" in found) or tasks_of(found):
        return str(error)
    nothing = "this JSON is neither COCO with images and annotations nor a Label Studio export with annotations."
    return tool_of_json(found) or nothing


def _mask(name: str, data: bytes, size: tuple[int, int], exif: int | None, frame: Frame | None) -> Imported:
    own = _size(data)
    mask = mask_from_png(data, own)
    if not mask.pixels.any():
        raise RegionError("the mask is black everywhere: what is not black, or not transparent, is the region.")
    is_swapped = not _alike(own, size) and _alike(swapped(own), size)
    if is_swapped and (exif is None or exif < 5):
        raise RegionError(
            f"the mask has {own[0]} x {own[1]} pixels and the picture {size[0]} x {size[1]}, sides swapped as in a "
            "photo before its EXIF orientation turns it: turn the mask like the photo and save it again."
        )
    reading = frame_of(swapped(size) if is_swapped else size, size, exif, frame, lambda one: _alike(own, one))
    said = [reading.sentence] if reading.sentence else []
    said += [f"{reading.question.sentence}."] if reading.question else []
    region = Region(PurePath(name).stem.strip() or "mask", (upright(mask, replace(reading, size=own)),))
    own = region.shapes[0].pixels.shape[::-1]
    if own == size:
        return Imported((region,), tuple(said), reading.question)
    if not _alike(own, size):
        raise RegionError(
            f"the mask has {own[0]} x {own[1]} pixels and the picture {size[0]} x {size[1]}, so the proportions "
            "differ: save the mask with the picture's size."
        )
    said.append(f"the mask has {own[0]} x {own[1]} pixels and was fitted to the picture's {size[0]} x {size[1]}.")
    return Imported((fit(region, own, size),), tuple(said), reading.question)


def _alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have the same proportions."""
    return abs(one[0] / other[0] / (one[1] / other[1]) - 1) <= ALIKE


def _size(data: bytes) -> tuple[int, int]:
    """Width and height as the mask is seen."""
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return image.size[::-1] if turned else image.size
    except Exception:  # Pillow raises many kinds on damaged files
        raise RegionError("this is not a PNG that can be read: save the mask as PNG again.") from None
