"""What is drawn by the results of a Label Studio annotation, and what else do they hold?

Places are in per cent of the image's width and height; rectangles turn clockwise about their top left corner, ellipses
about their centre, both in pixels. One region may have several results of one id: its shape with the labels of each
tag, and choices or texts about it. They become one region; what is no shape and no name is counted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import brush_rle
from qwenvl_debug.regions.files import Size, is_number
from qwenvl_debug.regions.frame import Reading, upright
from qwenvl_debug.regions.label_studio_tasks import Result, is_drawn, result_size
from qwenvl_debug.regions.losses import Losses, is_set
from qwenvl_debug.regions.masks_png import mask_from_png
from qwenvl_debug.regions.shapes import Ellipse, Mask, Polygon, Rectangle, Shape

SHAPES = ("rectangle", "ellipse", "polygon", "brush", "magicwand", "bitmask")
ABOUT = ("labels", "choices", "taxonomy", "textarea", "rating", "number", "datetime", "pairwise", "ranker")
"""Types of results that are about a region or the whole image; what place they hold is that of the region."""

OF_RESULT = {"id", "type", "from_name", "to_name", "source", "origin", "original_width", "original_height",
             "image_rotation", "item_index", "value", "meta"}  # fmt: skip
OF_VALUE = {"x", "y", "width", "height", "radiusX", "radiusY", "rotation", "points", "closed", "format", "rle",
            "imageDataURL", "original_width", "original_height", "item_index", "coordstype"}  # fmt: skip
PNG = "data:image/png;base64,"


@dataclass(frozen=True)
class Drawn:
    """A shape on the shown picture, and what it is called."""

    shape: Shape
    name: str


def drawn_by(results: Sequence[Result], size: Size | None, reading: Reading, losses: Losses) -> dict[int, Drawn]:
    """The shapes of results, each by the `id()` of its result.

    Args:
        results: of one image.
        size: width, height that the file gives it, or None.
        reading: the frame that its coordinates are of.
        losses: told about all that becomes no shape.
    """
    labels = {}
    for result in results:
        if _key(result) is not None and _kind(result) in (None, *SHAPES):
            labels.setdefault(_key(result), []).extend(_labels(result))
    shaped = {_key(result) for result in results if _kind(result) in SHAPES and result.get("type") != "labels"}
    found, seen = {}, set()
    for result in results:
        kind, key = _kind(result), _key(result)
        same = json.dumps([key, kind, _place(result)], sort_keys=True, default=str)
        if (kind in SHAPES and key is not None and same in seen) or (result.get("type") == "labels" and key in shaped):
            continue  # the same region again, with the label of another tag
        try:
            shape = _shape(result, kind, size, reading)
        except RegionError as error:
            losses.refuse("Result", key, str(error))
            continue
        if shape is None:
            if not (result.get("type") == "choices" and _named_by_choice(result, results)):
                losses.drop("the annotation", str(result.get("type")))
            continue
        seen.add(same)
        names = [*_labels(result), *(labels.get(key, ()) if key is not None else ())] or _choices(result, results)
        found[id(result)] = Drawn(upright(shape, reading), ", ".join(dict.fromkeys(names)) or "region")
        _count_rest(result, losses)
    return found


def _key(result: Result) -> str | None:
    """What results about one region have in common."""
    return None if result.get("id") is None else str(result["id"])


def _kind(result: Result) -> str | None:
    """Which shape a result draws; another text for one that cannot be a region, None for one that draws nothing."""
    value, written = result.get("value"), str(result.get("type") or "")
    if not isinstance(value, dict):
        return None
    if "sequence" in value or written.startswith("video"):
        return "track"
    kind = written.removesuffix("labels")
    if kind in SHAPES:
        return kind
    if (written in ABOUT and written != "labels") or not is_drawn(value):
        return None
    if kind:
        return kind
    shapes = {
        "radiusX": "ellipse",
        "points": "polygon",
        "rle": "brush",
        "imageDataURL": "bitmask",
        "width": "rectangle",
    }
    return next((shape for key, shape in shapes.items() if key in value), "shape")


def _shape(result: Result, kind: str | None, size: Size | None, reading: Reading) -> Shape | None:
    """The shape of a result in the file's frame; None for a result that draws nothing."""
    if kind == "track":
        raise RegionError("It is a track in a video, and a region belongs to one image: annotate a frame of it.")
    if kind is None and str(result.get("type") or "").removesuffix("labels") not in SHAPES:
        return None
    if kind not in SHAPES:
        raise RegionError(f"A {kind or result['type']} of Label Studio cannot be a region.")
    value = result["value"]
    if size is not None and result_size(result) not in (None, size):
        raise RegionError("It was drawn on a picture of another size.")
    if result.get("image_rotation"):
        raise RegionError("It was drawn on a turned picture: turn it back in Label Studio and export again.")
    if value.get("coordstype") == "px":
        raise RegionError("Its coordinates are in pixels of a screen: export the project from Label Studio again.")
    wide, high = reading.size[0] / 100, reading.size[1] / 100
    if kind == "rectangle":
        x, y, w, h = _numbers(value, "x", "y", "width", "height")
        return _turned(Rectangle(x * wide, y * high, w * wide, h * high), *_numbers(value, "rotation", otherwise=0))
    if kind == "ellipse":
        x, y, rx, ry = _numbers(value, "x", "y", "radiusX", "radiusY")
        return Ellipse(x * wide, y * high, rx * wide, ry * high, *_numbers(value, "rotation", otherwise=0))
    if kind == "polygon":
        return _polygon(value, wide, high)
    if kind == "bitmask":
        return _bitmask(value.get("imageDataURL"), reading.size)
    if value.get("format", "rle") != "rle":
        raise RegionError(f"Brush data of the format {value.get('format')!r} cannot be read.")
    return Mask(brush_rle.decode(value.get("rle"), reading.size))


def _polygon(value: dict[str, Any], wide: float, high: float) -> Polygon:
    points = value.get("points")
    if not isinstance(points, list) or not all(
        isinstance(one, list) and len(one) == 2 and all(map(is_number, one)) for one in points
    ):
        raise RegionError("A polygon has no points that can be used.")
    if value.get("closed") is False:
        raise RegionError("A polygon was not closed: close it in Label Studio and export again.")
    return Polygon(tuple((x * wide, y * high) for x, y in points) or ((0, 0),))


def _bitmask(address: Any, size: Size) -> Mask:
    if not isinstance(address, str) or not address.startswith(PNG):
        raise RegionError("A bitmask holds no PNG.")
    try:
        data = base64.b64decode(address.removeprefix(PNG), validate=True)
    except ValueError:
        raise RegionError("The PNG of a bitmask is damaged: export the file from Label Studio again.") from None
    return mask_from_png(data, size)


def _turned(box: Rectangle, degrees: float) -> Shape:
    """Label Studio turns a rectangle clockwise about its top left corner."""
    if not degrees % 360:
        return box
    turn = np.deg2rad(degrees)
    along, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    corners = ((0, 0), (box.width, 0), (box.width, box.height), (0, box.height))
    return Polygon(tuple(tuple(np.array([box.x, box.y]) + w * along + h * down) for w, h in corners))


def _labels(result: Result) -> list[str]:
    """What a result's tag calls its region."""
    value = result.get("value") if isinstance(result.get("value"), dict) else {}
    found = []
    for key in dict.fromkeys((str(result.get("type")), "labels")):
        texts = value.get(key) if key.endswith("labels") else None
        found += [str(text).strip() for text in texts] if isinstance(texts, list) else []
    return [text for text in found if text]


def _choices(result: Result, results: Sequence[Result]) -> list[str]:
    """What a person chose about a region, to call it by where it has no label."""
    of_it = [one for one in results if one.get("type") == "choices" and _key(one) == _key(result) is not None]
    values = [one["value"].get("choices") for one in of_it if isinstance(one.get("value"), dict)]
    return [str(text).strip() for value in values if isinstance(value, list) for text in value]


def _named_by_choice(choice: Result, results: Sequence[Result]) -> bool:
    """Whether a choice is the only name of a region."""
    same = [one for one in results if _key(one) == _key(choice) is not None and one is not choice]
    return any(_kind(one) in SHAPES for one in same) and not any(map(_labels, same))


def _place(result: Result) -> list[Any]:
    value = result.get("value") if isinstance(result.get("value"), dict) else {}
    where = {key: one for key, one in value.items() if key in OF_VALUE}
    return [where, *(result.get(key) for key in ("original_width", "original_height", "image_rotation"))]


def _count_rest(result: Result, losses: Losses) -> None:
    """Name what a shape's result holds beside the shape and its name."""
    for field, value in result.items():
        if field not in OF_RESULT and is_set(value):
            losses.drop("results", field)
    for field, value in result["value"].items():
        if field not in OF_VALUE and not field.endswith("labels") and is_set(value):
            losses.drop("results", field)
    meta = result.get("meta") if isinstance(result.get("meta"), dict) else {}
    for field, value in meta.items():
        if field != "qwenvl_debug" and is_set(value):
            losses.drop("results", f"meta {field}")


def _numbers(value: dict, *keys: str, otherwise: float | None = None) -> list[float]:
    found = [value.get(key, otherwise) for key in keys]
    if not all(map(is_number, found)):
        raise RegionError(f"It has no usable {' or '.join(keys)}.")
    return found
