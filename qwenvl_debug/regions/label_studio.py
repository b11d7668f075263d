"""Regions from and to Label Studio JSON: rectangles, ellipses and polygons in per cent of the picture, and brush masks.

Label Studio has one result for each shape and nothing that takes away, so a region with brush strokes is written as one
mask. As in `coco`, the region itself travels along, in `meta`, and counts as long as the standard part is unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import quoteattr

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import brush_rle
from qwenvl_debug.regions.files import Imported, choose, is_number, numbered, read_json
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.shapes import Ellipse, Mask, Polygon, Rectangle, Region, Shape

OWN = "qwenvl_debug"
ROUNDING = 0.002  # per cent; a digit less than the two decimals of some scripts
CONTROLS = ("Rectangle", "Ellipse", "Polygon", "Brush")


def to_label_studio(regions: Sequence[Region], size: tuple[int, int], name: str) -> list[dict[str, Any]]:
    """Regions of one picture as a Label Studio task.

    Args:
        regions: in pixels of the picture.
        size: its width, height in pixels.
        name: its file name or address, as the project knows it.

    Returns:
        JSON-ready list of one task, for a project set up with `labelling_setup`.
    """
    results = []
    for number, region in enumerate(regions, 1):
        for part, result in enumerate(_standard(region, size)):
            own = {"region": number} | ({"record": to_record(region)} if part == 0 else {})
            results.append({"id": f"region-{number}-{part + 1}", **result, "meta": {OWN: own}})
    return [{"data": {"image": name}, "annotations": [{"result": results}]}]


def labelling_setup(regions: Sequence[Region]) -> str:
    """The labelling configuration (XML) of a Label Studio project that can show and edit these regions."""
    labels = "".join(f"<Label value={quoteattr(name)}/>" for name in dict.fromkeys(one.name for one in regions))
    controls = "".join(
        f'<{control}Labels name="{control.lower()}" toName="image">{labels}</{control}Labels>' for control in CONTROLS
    )
    return f'<View><Image name="image" value="$image"/>{controls}</View>'


def from_label_studio(
    source: Path | bytes | str | dict | list, size: tuple[int, int], name: str | None = None
) -> Imported:
    """The regions that a Label Studio file has on one picture.

    Args:
        source: a path, the file's bytes or text, or what is in it: a list of tasks (exported as JSON or JSON-MIN) or
            one task.
        size: width, height of the picture in pixels.
        name: the picture's file name, to find its task; without a match the size decides.

    Returns:
        One region a result, named after its label, from the task's latest annotation that was not cancelled, or from
        its latest prediction where it has none. A rotated rectangle is a polygon.

    Raises:
        RegionError: not a Label Studio file, no task of this picture, or nothing in it that can be used.
    """
    data = read_json(source)
    tasks = [one for one in (data if isinstance(data, list) else [data]) if isinstance(one, dict) and _results(one)[0]]
    if not tasks:
        raise RegionError("This is not a Label Studio export with annotations: export the project as JSON.")
    task = choose(tasks, name, size, _name_of, _size_of)
    results, more = _results(task)
    left_out = [f"Only the latest of the task's {more + 1} annotations was taken."] if more else []
    groups: dict[str, list[dict]] = {}
    for number, result in enumerate(results):
        groups.setdefault(str(_own_part(result).get("region", f"result {number}")), []).append(result)
    labels = {result.get("id"): _label(result) for result in results if result.get("type") in ("labels", "choices")}
    found = []
    for group in groups.values():
        own = _own(group, size)
        if own is not None:
            found.append(own)
            continue
        shapes, names = [], []
        for result in group:
            try:
                shape = _shape(result, size)
            except RegionError as error:
                left_out.append(f"Result {result.get('id')}: {error}")
                continue
            if shape is not None:
                shapes.append(shape)
                names.append(_label(result) or labels.get(result.get("id")) or "region")
        if shapes:
            found.append(Region(names[0], tuple(shapes)))
    if not found:
        raise RegionError(left_out[-1] if left_out else "The task has no regions drawn on the picture.")
    names = numbered([region.name for region in found])
    regions = (Region(one, region.shapes, region.expect) for one, region in zip(names, found, strict=True))
    return Imported(tuple(regions), tuple(left_out))


def _standard(region: Region, size: tuple[int, int]) -> list[dict[str, Any]]:
    """What every reader of Label Studio's format understands: one result a shape, or one mask for all of them."""
    values = [_value(shape, size) for shape in region.shapes]
    if not values or None in values:
        values = [("brush", {"format": "rle", "rle": brush_rle.encode(region_mask(region, size))})]
    return [
        {
            "type": f"{kind}labels",
            "from_name": kind,
            "to_name": "image",
            "original_width": size[0],
            "original_height": size[1],
            "image_rotation": 0,
            "value": value | {f"{kind}labels": [region.name]},
        }
        for kind, value in values
    ]


def _value(shape: Shape, size: tuple[int, int]) -> tuple[str, dict[str, Any]] | None:
    wide, high = 100 / size[0], 100 / size[1]
    match shape:
        case Rectangle(x, y, w, h):
            value = {"x": x * wide, "y": y * high, "width": w * wide, "height": h * high, "rotation": 0}
            return "rectangle", value
        case Ellipse(x, y, rx, ry, turn):
            value = {"x": x * wide, "y": y * high, "radiusX": rx * wide, "radiusY": ry * high, "rotation": turn}
            return "ellipse", value
        case Polygon(points):
            return "polygon", {"points": [[x * wide, y * high] for x, y in points], "closed": True}
    return None


def _shape(result: dict[str, Any], size: tuple[int, int]) -> Shape | None:
    """The shape of a result; None for results that draw nothing, such as a choice."""
    kind, value = str(result.get("type", "")).removesuffix("labels"), result.get("value")
    if kind not in ("rectangle", "ellipse", "polygon", "brush") or not isinstance(value, dict):
        if isinstance(value, dict) and _drawn(value):
            raise RegionError(f"A {kind or 'shape'} of Label Studio cannot be a region.")
        return None
    if _size_of_result(result) not in (None, size):
        raise RegionError("It was drawn on a picture of another size.")
    if result.get("image_rotation"):
        raise RegionError("It was drawn on a turned picture: turn it back in Label Studio and export again.")
    wide, high = size[0] / 100, size[1] / 100
    if kind == "rectangle":
        x, y, w, h = _numbers(value, "x", "y", "width", "height")
        return _turned(Rectangle(x * wide, y * high, w * wide, h * high), *_numbers(value, "rotation", otherwise=0))
    if kind == "ellipse":
        x, y, rx, ry = _numbers(value, "x", "y", "radiusX", "radiusY")
        return Ellipse(x * wide, y * high, rx * wide, ry * high, *_numbers(value, "rotation", otherwise=0))
    if kind == "polygon":
        points = value.get("points")
        if not isinstance(points, list) or not all(
            isinstance(one, list) and len(one) == 2 and all(map(is_number, one)) for one in points
        ):
            raise RegionError("A polygon has no points that can be used.")
        return Polygon(tuple((x * wide, y * high) for x, y in points) or ((0, 0),))
    if value.get("format") != "rle":
        raise RegionError(f"Brush data of the format {value.get('format')!r} cannot be read.")
    return Mask(brush_rle.decode(value.get("rle"), size))


def _turned(box: Rectangle, degrees: float) -> Shape:
    """Label Studio turns a rectangle clockwise about its top left corner."""
    if not degrees % 360:
        return box
    turn = np.deg2rad(degrees)
    along, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    corners = ((0, 0), (box.width, 0), (box.width, box.height), (0, box.height))
    return Polygon(tuple(tuple(np.array([box.x, box.y]) + w * along + h * down) for w, h in corners))


def _own(group: Sequence[dict], size: tuple[int, int]) -> Region | None:
    """The region as this program wrote it, unless its results were changed since."""
    try:
        region = from_record(_own_part(group[0]).get("record"))
        written = _standard(region, size)
    except RegionError:
        return None
    keys = ("type", "original_width", "original_height", "image_rotation", "value")
    same = len(group) == len(written) and all(
        _alike(now.get(key), then[key]) for now, then in zip(group, written, strict=True) for key in keys
    )
    return region if same else None


def _alike(now: Any, then: Any) -> bool:
    """Whether two pieces of JSON are the same but for rounding, and for what was added."""
    if is_number(now) and is_number(then):
        return abs(now - then) <= ROUNDING + 1e-9 * abs(then)
    if isinstance(then, dict):
        return isinstance(now, dict) and all(_alike(now.get(key), value) for key, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list) and len(now) == len(then) and all(map(_alike, now, then))
    return now == then


def _own_part(result: dict) -> dict:
    meta = result.get("meta")
    own = meta.get(OWN) if isinstance(meta, dict) else None
    return own if isinstance(own, dict) else {}


def _results(task: dict) -> tuple[list[dict], int]:
    """The results of the annotation that counts, and how many other annotations there are."""
    for key in ("annotations", "completions", "predictions"):
        made = task.get(key) if isinstance(task.get(key), list) else []
        made = [one for one in made if isinstance(one, dict) and not one.get("was_cancelled")]
        made = [one for one in made if isinstance(one.get("result"), list) and one["result"]]
        if made:
            latest = max(made, key=lambda one: str(one.get("updated_at") or ""))
            return [one for one in latest["result"] if isinstance(one, dict)], len(made) - 1
    flat = [one for values in task.values() if isinstance(values, list) for one in values if isinstance(one, dict)]
    return [one for one in map(_from_min, flat) if one is not None], 0


def _from_min(value: dict) -> dict | None:
    """A result of the export JSON-MIN, which leaves out all but its value."""
    kind = next((key for key in value if key.endswith("labels") and key != "labels"), None)
    sizes = {key: value[key] for key in ("original_width", "original_height") if key in value}
    return {"type": kind, "value": value, **sizes} if kind else None


def _label(result: dict) -> str:
    value = result.get("value") if isinstance(result.get("value"), dict) else {}
    for key in (result.get("type"), "labels", "choices"):
        labels = value.get(key)
        if isinstance(labels, list) and labels:
            return ", ".join(map(str, labels)).strip()
    return ""


def _drawn(value: dict) -> bool:
    return bool({"x", "points", "vertices", "rle"} & set(value))


def _name_of(task: dict) -> str:
    """The file name that a task's address ends in."""
    data = task.get("data") if isinstance(task.get("data"), dict) else task
    texts = [data.get("image"), task.get("file_upload"), *data.values()]
    address = next((text for text in texts if isinstance(text, str) and re.search(r"\.\w{2,5}($|\?)", text)), "")
    return unquote(re.sub(r"^.*[?&]d=", "", address).split("?")[0])


def _size_of(task: dict) -> tuple[int, int] | None:
    sizes = [_size_of_result(result) for result in _results(task)[0]]
    return next((size for size in sizes if size is not None), None)


def _size_of_result(result: dict) -> tuple[int, int] | None:
    sides = result.get("original_width"), result.get("original_height")
    return (int(sides[0]), int(sides[1])) if all(is_number(side) and side > 0 for side in sides) else None


def _numbers(value: dict, *keys: str, otherwise: float | None = None) -> list[float]:
    found = [value.get(key, otherwise) for key in keys]
    if not all(map(is_number, found)):
        raise RegionError(f"It has no usable {' or '.join(keys)}.")
    return found
