"""What shapes does a COCO annotation of any tool have?

Polygons in one or several parts, as flat lists, as pairs, or without the outer list; run lengths, compressed or not,
one or several; else the box, which CVAT turns clockwise about its centre by `attributes.rotation` degrees. Boxes that
other tools turn in ways of their own are refused, since an upright box would be in the wrong place.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import rle
from qwenvl_debug.regions.files import Size, is_number, swapped
from qwenvl_debug.regions.frame import SLACK
from qwenvl_debug.regions.losses import Losses, is_set
from qwenvl_debug.regions.shapes import Mask, Polygon, Rectangle, Shape

ATTRIBUTES = {"rotation"}
"""Attributes that are part of the shape."""

TURNED = ("rotated_bbox", "rbbox", "obb", "rotated_box", "rotation", "angle", "theta", "bbox_rotation", "rotate")
"""Fields with which tools turn a box, each in its own way."""


def shapes_of(annotation: dict[str, Any], size: Size, losses: Losses) -> tuple[Shape, ...]:
    """The shapes of one annotation.

    Args:
        annotation: of any tool.
        size: width, height of the frame that its coordinates are of.
        losses: told about each part that was left out.

    Raises:
        RegionError: there is nothing that can be used, or it would be in the wrong place.
    """
    segmentation, number = annotation.get("segmentation"), annotation.get("id")
    masks = [segmentation] if isinstance(segmentation, dict) else segmentation
    if isinstance(masks, list) and masks and all(isinstance(one, dict) for one in masks):
        return tuple(_mask(one, size) for one in masks)
    parts = _parts(segmentation)
    usable = [part for part in parts if part is not None]
    if usable:
        if len(usable) < len(parts):
            losses.refuse(
                "Annotation",
                number,
                f"{len(parts) - len(usable)} of {len(parts)} parts is no polygon and was left out.",
            )
        polygons = tuple(Polygon(part) for part in usable)
        _check_pixels([value for part in usable for point in part for value in point], size)
        return polygons
    shape = _box(annotation, size)
    if parts:
        losses.refuse("Annotation", number, "Its outline is no polygon, so its box was taken.")
    return (shape,)


def fits(annotation: dict[str, Any], size: Size) -> bool:
    """Whether an annotation's coordinates and masks can be of an image of this size."""
    segmentation = annotation.get("segmentation")
    masks = [segmentation] if isinstance(segmentation, dict) else segmentation
    if isinstance(masks, list) and masks and all(isinstance(one, dict) for one in masks):
        return all(one.get("size") == list(swapped(size)) for one in masks)
    points = [point for part in _parts(segmentation) if part is not None for point in part]
    box = annotation.get("bbox")
    if not points and is_flat(box) and len(box) == 4:
        points = [(box[0], box[1]), (box[0] + box[2], box[1] + box[3])]
    return all(-SLACK <= x <= size[0] + SLACK and -SLACK <= y <= size[1] + SLACK for x, y in points)


def is_flat(value: Any) -> bool:
    """A list of numbers that is not empty."""
    return isinstance(value, list) and all(map(is_number, value)) and len(value) > 0


def _parts(segmentation: Any) -> list[list[tuple[float, float]] | None]:
    """The parts of an outline as points, None for each that is none; nothing where there is no outline."""
    if not isinstance(segmentation, list) or not segmentation:
        return []
    if is_flat(segmentation) or _are_pairs(segmentation):
        segmentation = [segmentation]  # some tools leave out the outer list
    return [_points(part) for part in segmentation]


def _points(part: Any) -> list[tuple[float, float]] | None:
    if _are_pairs(part):
        part = [value for pair in part for value in pair]
    if not is_flat(part) or len(part) < 6 or len(part) % 2:
        return None
    return list(zip(part[::2], part[1::2], strict=True))


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 2 and all(is_flat(pair) and len(pair) == 2 for pair in value)


def _mask(found: dict, size: Size) -> Mask:
    pixels = rle.decode(found)
    if pixels.shape != swapped(size):
        raise RegionError("The mask has another size than the picture.")
    return Mask(pixels)


def _box(annotation: dict[str, Any], size: Size) -> Shape:
    box, attributes = annotation.get("bbox"), annotation.get("attributes")
    if not is_flat(box) or len(box) != 4:
        raise RegionError(_why_no_box(annotation))
    for field in TURNED:
        if is_set(annotation.get(field)):
            raise RegionError(
                f"Its box is turned by “{field}”, which tools define differently: export it as a polygon."
            )
    if annotation.get("bbox_mode", 1) not in (1, "BoxMode.XYWH_ABS", "XYWH_ABS"):
        raise RegionError("Its box is not x, y, width and height: export boxes as COCO has them.")
    _check_pixels(box, size)
    upright = Rectangle(*box)
    degrees = attributes.get("rotation", 0) if isinstance(attributes, dict) else 0
    if not is_set(degrees):
        return upright
    try:
        degrees = float(degrees)
    except (TypeError, ValueError, OverflowError):
        raise RegionError(f"Its rotation is {degrees!r}, which is no angle: export it as a polygon.") from None
    return _turned(upright, degrees)


def _turned(box: Rectangle, degrees: float) -> Shape:
    """A box turned clockwise, as seen, about its centre, as CVAT does (its RotatedBoxesToPolygons)."""
    if not math.isfinite(degrees):
        raise RegionError("Its rotation is no angle: export it as a polygon.")
    if degrees % 360 == 0:
        return box
    turn = math.radians(degrees)
    cosine, sine = math.cos(turn), math.sin(turn)
    middle = np.array([box.x + box.width / 2, box.y + box.height / 2])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (box.width / 2, box.height / 2)
    return Polygon(corners @ np.array([[cosine, sine], [-sine, cosine]]) + middle)


def _why_no_box(annotation: dict[str, Any]) -> str:
    box = annotation.get("bbox")
    if is_flat(box) and len(box) == 5:
        return "Its box has five numbers, whose turn tools define differently: export it as a polygon."
    if isinstance(box, list) and any(isinstance(value, str) for value in box):
        return "Its box has text where numbers belong: export it with numbers."
    for field, what in (("keypoints", "keypoints, which are points"), ("caption", "a caption, which has no place")):
        if is_set(annotation.get(field)):
            return f"It has only {what}: there is neither a polygon nor a mask nor a box."
    return "There is neither a polygon nor a mask nor a box that can be used."


def _check_pixels(values: list[float], size: Size) -> None:
    """Refuse shares of the image: they would be a speck in its corner."""
    if min(size) > 2 and all(0 <= value <= 1 for value in values) and any(value % 1 for value in values):
        raise RegionError("Its coordinates are between 0 and 1, shares of the image: export them in pixels.")
