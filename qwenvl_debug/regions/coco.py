"""Regions from and to COCO JSON: polygons, boxes and run lengths, one annotation a region.

COCO knows neither ellipses nor brush strokes nor what is expected. What is written holds what other tools can read
(polygons where the region is made of them, otherwise run lengths of its exact pixels) and, in the field
`qwenvl_debug`, the region itself. Reading takes that field only while the standard part is still what was written,
so that what another tool has changed counts.

Files of other tools are read by `coco_shapes`; everything in them that is not part of a region is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import rle
from qwenvl_debug.regions.coco_shapes import ATTRIBUTES, fits, is_flat, shapes_of
from qwenvl_debug.regions.file_names import file_name
from qwenvl_debug.regions.files import (
    Candidate,
    Imported,
    check_size,
    choose,
    listed,
    read_json,
    size_of,
    unique_labels,
)
from qwenvl_debug.regions.foreign import tool_of_json
from qwenvl_debug.regions.frame import Frame, Reading, frame_of, upright
from qwenvl_debug.regions.losses import Losses, is_set
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.names import unique_names
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.shapes import Polygon, Rectangle, Region, Shape

OWN = "qwenvl_debug"
ROUNDING = 0.01  # pixels; tools write coordinates with two decimals
SECTIONS = {"info", "licenses", "images", "annotations", "categories", "type"}
OF_IMAGE = {"id", "file_name", "width", "height", "license", "flickr_url", "coco_url", "date_captured", "extra", "path"}
OF_ANNOTATION = {"id", "image_id", "category_id", "category_name", "segmentation", "bbox", "bbox_mode", "area",
                 "iscrowd", "num_keypoints", OWN}  # fmt: skip
"""What is read, or says nothing that a region could hold."""


def to_coco(regions: Sequence[Region], size: tuple[int, int], name: str) -> dict[str, Any]:
    """Regions of one picture as COCO JSON.

    Args:
        regions: in pixels of the picture.
        size: its width, height in pixels.
        name: its file name.

    Returns:
        JSON-ready dictionary; the regions' names are the categories.
    """
    categories = {region: number for number, region in enumerate(dict.fromkeys(one.name for one in regions), 1)}
    annotations = [
        {"id": number, "image_id": 1, "category_id": categories[region.name], **_standard(region, size)}
        | {OWN: to_record(region)}
        for number, region in enumerate(regions, 1)
    ]
    return {
        "info": {"description": "Regions drawn in qwenvl-debug"},
        "licenses": [],
        "images": [{"id": 1, "file_name": name, "width": size[0], "height": size[1]}],
        "categories": [{"id": number, "name": one, "supercategory": ""} for one, number in categories.items()],
        "annotations": annotations,
    }


def from_coco(
    source: Path | bytes | str | dict,
    size: tuple[int, int],
    name: str | None = None,
    *,
    image: str | None = None,
    exif: int | None = None,
    frame: Frame | None = None,
) -> Imported:
    """The regions that a COCO file has on one picture.

    Args:
        source: a path, the file's bytes or text, or the dictionary.
        size: width, height of the picture in pixels; it must be the size that the file says.
        name: the picture's file name, to find it in a file of several images. Without a match the size decides, and
            the result carries a question.
        image: what the file calls the picture, where that is not its name.
        exif: the EXIF orientation that was applied to the picture (`Picture.orientation`), if it is known.
        frame: whether coordinates are of the photo as "shown" or as "stored" before EXIF turns it; by default found
            out from sizes and coordinates.

    Returns:
        One region an annotation, named after its category. An annotation without a usable segmentation gives its
        box, turned about its centre where CVAT's `attributes.rotation` says so; one of a crowd says so in its name.

    Raises:
        UnclearFile: several images may be meant, or either frame.
        RegionError: not a COCO file, no such image in it, or nothing on it that can be used.
    """
    data = read_json(source)
    images = _dicts(data.get("images")) if isinstance(data, dict) else []
    annotations = _dicts(data.get("annotations")) if isinstance(data, dict) else []
    if not images or any("segments_info" in one for one in annotations[:1]):
        tool = tool_of_json(data)
        raise RegionError(
            f"{tool[0].upper()}{tool[1:]}" if tool else "This is not COCO JSON of annotations: it names no images."
        )
    chosen, question = choose(_candidates(images), name, size, image)
    check_size(chosen.size, size)
    image_id, losses = _id(images[chosen.number].get("id")), Losses()
    _check_id(images, image_id)
    here = [one for one in annotations if _id(one.get("image_id")) == image_id]
    own = [_own(one, size) for one in here]
    if frame is None and all(own) and chosen.size == size:
        frame = "shown"  # this program wrote all of it
    reading = frame_of(chosen.size, size, exif, frame, lambda one: all(fits(each, one) for each in here))
    question = question or reading.question
    losses.note(f"{question.sentence}." if question else "")
    losses.note(reading.sentence)
    if chosen.size is None and here:
        losses.note("The file does not give its image's size: coordinates were taken as pixels of this picture.")
    categories = _categories(data, losses)
    found = []
    for annotation, as_written in zip(here, own, strict=True):
        try:
            found.append(as_written or _region(annotation, categories, size, reading, losses))
        except RegionError as error:
            losses.refuse("Annotation", annotation.get("id"), str(error))
    _account(data, images, chosen.number, image_id, here, losses)
    if not found:
        nothing = " ".join(["The file has no annotations on this picture.", *_elsewhere(data, images, image_id)])
        raise RegionError(losses.first_reason or nothing)
    names = unique_names([region.name for region in found])
    regions = (Region(one, region.shapes, region.expect) for one, region in zip(names, found, strict=True))
    return Imported(tuple(regions), losses.sentences(), question)


def _candidates(images: list[dict]) -> list[Candidate]:
    """The file's images, each known by its file name, and by that of the file it was made from."""
    names = [_names(one) for one in images]
    shown = [some[0] if some else f"image {one.get('id')}" for some, one in zip(names, images, strict=True)]
    labels = unique_labels(shown, [f"id {one.get('id')}" for one in images])
    return [
        Candidate(label, some, size_of(one, "width", "height"), number)
        for number, (label, some, one) in enumerate(zip(labels, names, images, strict=True))
    ]


def _names(image: dict) -> tuple[str, ...]:
    extra = image.get("extra") if isinstance(image.get("extra"), dict) else {}  # Roboflow
    texts = (image.get("file_name"), extra.get("name"), image.get("coco_url"), image.get("path"))
    return tuple(dict.fromkeys(text for text in texts if isinstance(text, str) and file_name(text)))


def _check_id(images: list[dict], image_id: str) -> None:
    """Annotations name images by number: two of one number cannot be told from each other."""
    twins = {str(one.get("file_name")) for one in images if _id(one.get("id")) == image_id}
    if len(twins) > 1:
        raise RegionError(
            f"Several images of the file have the id {image_id} ({listed(sorted(twins))}), so it cannot be known which "
            "one an annotation is of: number them anew."
        )


def _categories(data: dict, losses: Losses) -> dict[str, str]:
    names: dict[str, str] = {}
    for one in _dicts(data.get("categories")):
        number, name = _id(one.get("id")), str(one.get("name", "")).strip()
        if names.get(number, name) != name:
            losses.note(f"The file has two categories of the id {number}, “{names[number]}” and “{name}”.")
        names.setdefault(number, name)
    return names


def _standard(region: Region, size: tuple[int, int]) -> dict[str, Any]:
    """The part that every tool reads: segmentation, box and area of the pixels within the picture."""
    pixels = region_mask(region, size)
    polygons = [_outline(shape) for shape in region.shapes]
    if all(one is not None and _is_within(one, size) for one in polygons):
        segmentation = [[value for point in one for value in point] for one in polygons]
    else:
        segmentation = rle.encode(pixels)
    ys, xs = np.nonzero(pixels)
    box = [xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1] if len(xs) else [0, 0, 0, 0]
    return {
        "segmentation": segmentation,
        "bbox": [float(value) for value in box],
        "area": float(pixels.sum()),
        "iscrowd": 0,
    }


def _outline(shape: Shape) -> list[tuple[float, float]] | None:
    match shape:
        case Rectangle(x, y, wide, high):
            return [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)]
        case Polygon(points):
            return list(points)
    return None


def _is_within(points: Sequence[tuple[float, float]], size: tuple[int, int]) -> bool:
    """Tools differ in what they make of a polygon that leaves the picture."""
    return all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in points)


def _region(
    annotation: dict[str, Any], categories: dict[str, str], size: tuple[int, int], reading: Reading, losses: Losses
) -> Region:
    shapes = tuple(upright(shape, reading) for shape in shapes_of(annotation, reading.size, losses))
    region = Region(_category(annotation, categories), shapes)
    if not region_mask(region, size).any():
        losses.gather("Regions that cover no pixel of this picture", region.name)
    elif not fits(annotation, reading.size):
        losses.gather("Regions that reach beyond this picture", region.name)
    for field, value in annotation.items():
        if field == "attributes" and isinstance(value, dict):
            for one, said in value.items():
                if one not in ATTRIBUTES and is_set(said):
                    losses.drop("annotations", f"attribute {one}")
        elif field not in OF_ANNOTATION and is_set(value):
            losses.drop("annotations", field)
    return region


def _category(annotation: dict[str, Any], categories: dict[str, str]) -> str:
    number, crowd = annotation.get("category_id"), " (crowd)" if is_set(annotation.get("iscrowd")) else ""
    named = categories.get(_id(number)) or str(annotation.get("category_name") or "").strip()
    return (named or ("region" if number is None else f"category {_id(number)}")) + crowd


def _account(data: dict, images: list[dict], number: int, image_id: str, here: list[dict], losses: Losses) -> None:
    """Name what the file holds besides the regions of this picture."""
    for sentence in _elsewhere(data, images, image_id):
        losses.note(sentence)
    used = {_id(one.get("category_id")) for one in here}
    unused = [str(one.get("name")) for one in _dicts(data.get("categories")) if _id(one.get("id")) not in used]
    if unused:
        losses.note(f"Categories of the file without a region on this picture: {listed(unused)}.")
    for field, value in images[number].items():
        if field not in OF_IMAGE and is_set(value):
            losses.drop("the image", field)
    for section, value in data.items():
        if section not in SECTIONS and is_set(value):
            losses.drop("the file", section, len(value) if isinstance(value, list) else 1)


def _elsewhere(data: dict, images: list[dict], image_id: str) -> Iterator[str]:
    """Annotations that are not of this picture."""
    known = {_id(one.get("id")) for one in images}
    every = [_id(one.get("image_id")) for one in _dicts(data.get("annotations"))]
    others = [one for one in every if one != image_id and one in known]
    if others:
        many = len(set(others))
        yield f"Not imported: {_counted(len(others))} of {many} other image{'s' if many > 1 else ''}."
    if lost := sum(one not in known for one in every):
        yield f"Not imported: {_counted(lost)} of images that the file does not list."


def _counted(many: int) -> str:
    return f"{many} annotation{'' if many == 1 else 's'}"


def _id(value: Any) -> str:
    """An id as text: 3, 3.0 and "3" are one."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _own(annotation: dict[str, Any], size: tuple[int, int]) -> Region | None:
    """The region as this program wrote it, unless the standard part was changed since."""
    try:
        region = from_record(annotation.get(OWN))
        written = _standard(region, size)["segmentation"]
    except RegionError:
        return None
    now = annotation.get("segmentation")
    if isinstance(written, dict):
        same = isinstance(now, dict) and np.array_equal(rle.decode(now), rle.decode(written))
    else:
        same = (
            isinstance(now, list)
            and len(now) == len(written)
            and all(is_flat(one) and len(one) == len(two) for one, two in zip(now, written, strict=True))
            and all(np.allclose(one, two, rtol=0, atol=ROUNDING) for one, two in zip(now, written, strict=True))
        )
    return region if same else None


def _dicts(value: Any) -> list[dict]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
