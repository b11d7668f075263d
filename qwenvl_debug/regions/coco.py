"""Regions from and to COCO JSON: polygons, boxes and run lengths, one annotation a region.

COCO knows neither ellipses nor brush strokes nor what is expected. What is written holds what other tools can read
(polygons where the region is made of them, otherwise run lengths of its exact pixels) and, in the field
`qwenvl_debug`, the region itself. Reading takes that field only while the standard part is still what was written,
so that what another tool has changed counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import rle
from qwenvl_debug.regions.files import Imported, choose, is_number, numbered, read_json
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.shapes import Mask, Polygon, Rectangle, Region, Shape

OWN = "qwenvl_debug"
ROUNDING = 0.01  # pixels; tools write coordinates with two decimals


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


def from_coco(source: Path | bytes | str | dict, size: tuple[int, int], name: str | None = None) -> Imported:
    """The regions that a COCO file has on one picture.

    Args:
        source: a path, the file's bytes or text, or the dictionary.
        size: width, height of the picture in pixels; it must be the size that the file says.
        name: the picture's file name, to find it in a file of several images; without a match the size decides.

    Returns:
        One region an annotation, named after its category. An annotation without a usable segmentation gives its
        box; one of a crowd says so in its name.

    Raises:
        RegionError: not a COCO file, no such image in it, or nothing on it that can be used.
    """
    data = read_json(source)
    images = _dicts(data.get("images")) if isinstance(data, dict) else []
    if not images:
        raise RegionError("This is not COCO JSON of annotations: it names no images.")
    image = choose(images, name, size, lambda one: str(one.get("file_name", "")), _size_of)
    categories = {str(one.get("id")): str(one.get("name", "")) for one in _dicts(data.get("categories"))}
    found, left_out = [], []
    for annotation in _dicts(data.get("annotations")):
        if str(annotation.get("image_id")) != str(image.get("id")):
            continue
        number = str(annotation.get("category_id"))
        try:
            found.append(_region(annotation, categories.get(number) or f"category {number}", size))
        except RegionError as error:
            left_out.append(f"Annotation {annotation.get('id')}: {error}")
    if not found:
        raise RegionError(left_out[0] if left_out else "The file has no annotations on this picture.")
    names = numbered([region.name for region in found])
    regions = (Region(one, region.shapes, region.expect) for one, region in zip(names, found, strict=True))
    return Imported(tuple(regions), tuple(left_out))


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


def _region(annotation: dict[str, Any], category: str, size: tuple[int, int]) -> Region:
    own = _own(annotation, size)
    if own is not None:
        return own
    crowd = " (crowd)" if annotation.get("iscrowd") == 1 else ""
    return Region((category.strip() or "region") + crowd, _shapes(annotation, size))


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
            and all(_is_flat(one) and len(one) == len(two) for one, two in zip(now, written, strict=True))
            and all(np.allclose(one, two, rtol=0, atol=ROUNDING) for one, two in zip(now, written, strict=True))
        )
    return region if same else None


def _shapes(annotation: dict[str, Any], size: tuple[int, int]) -> tuple[Shape, ...]:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        pixels = rle.decode(segmentation)
        if pixels.shape != size[::-1]:
            raise RegionError("The mask has another size than the picture.")
        return (Mask(pixels),)
    if isinstance(segmentation, list):
        polygons = [one for one in segmentation if _is_flat(one) and len(one) >= 6 and len(one) % 2 == 0]
        if _is_flat(segmentation) and len(segmentation) >= 6 and len(segmentation) % 2 == 0:
            polygons = [segmentation]  # some tools leave out the outer list
        if polygons:
            return tuple(Polygon(np.reshape(one, (-1, 2))) for one in polygons)
    box = annotation.get("bbox")
    if _is_flat(box) and len(box) == 4:
        return (Rectangle(*box),)
    raise RegionError("There is neither a polygon nor a mask nor a box that can be used.")


def _is_flat(value: Any) -> bool:
    return isinstance(value, list) and all(map(is_number, value)) and len(value) > 0


def _dicts(value: Any) -> list[dict]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _size_of(image: dict) -> tuple[int, int] | None:
    sides = image.get("width"), image.get("height")
    return (int(sides[0]), int(sides[1])) if all(is_number(side) and side > 0 for side in sides) else None
