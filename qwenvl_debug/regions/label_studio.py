"""Regions from and to Label Studio JSON: rectangles, ellipses and polygons in per cent of the picture, and brush masks.

Label Studio has one result for each shape and nothing that takes away, so a region with brush strokes is written as one
mask. As in `coco`, the region itself travels along, in `meta`, and counts as long as the standard part is unchanged.

`label_studio_tasks` finds the results of the image at hand, `label_studio_shapes` reads those of Label Studio itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import brush_rle
from qwenvl_debug.regions.files import (
    Imported,
    Question,
    UnclearFile,
    check_size,
    choose,
    is_number,
    read_json,
)
from qwenvl_debug.regions.foreign import tool_of_json
from qwenvl_debug.regions.frame import Frame, frame_of
from qwenvl_debug.regions.label_studio_shapes import drawn_by
from qwenvl_debug.regions.label_studio_tasks import Sheet, candidates_of, results_on, tasks_of
from qwenvl_debug.regions.losses import Losses
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.names import unique_names
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.shapes import Ellipse, Polygon, Rectangle, Region, Shape

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
    source: Path | bytes | str | dict | list,
    size: tuple[int, int],
    name: str | None = None,
    *,
    image: str | None = None,
    exif: int | None = None,
    frame: Frame | None = None,
) -> Imported:
    """The regions that a Label Studio file has on one picture.

    Args:
        source: a path, the file's bytes or text, or what is in it: a list of tasks (exported as JSON or JSON-MIN) or
            one task, which may show several images.
        size: width, height of the picture in pixels.
        name: the picture's file name, to find it among the images of the tasks. Without a match the size decides, and
            the result carries a question.
        image: what the file calls the picture, where that is not its name; or the tag of a task's results, where that
            does not tell which of the task's images it shows.
        exif, frame: see `from_coco`.

    Returns:
        One region a result on this picture, named after its labels, from the task's latest annotation. Where no one
        has annotated the task they are of its latest prediction, and `left_out` says so. A rotated rectangle is a
        polygon.

    Raises:
        UnclearFile: several images may be meant, or either frame.
        RegionError: not a Label Studio file, no task of this picture, nothing in it that can be used, or a latest
            annotation that is empty or was skipped.
    """
    data = read_json(source)
    sheets = [Sheet(task) for task in tasks_of(data)]
    if not sheets:
        tool = tool_of_json(data)
        nothing = "This is not a Label Studio export with annotations: export the project as JSON."
        raise RegionError(f"{tool[0].upper()}{tool[1:]}" if tool else nothing)
    slots = [slot for sheet in sheets for slot in sheet.slots]
    chosen, question = choose(candidates_of(slots, size), name, size, image)
    slot = slots[chosen.number]
    tags = tuple(one.key for one in slot.sheet.slots if one.is_tag)
    if tags and image is None:
        several = "The task shows several images, and its results name tags that do not tell which image they show"
        raise UnclearFile(Question(several, "image", tags))
    check_size(chosen.size, size)
    losses = Losses()
    results = results_on(slot, losses)
    groups: dict[str, list[dict]] = {}
    for number, result in enumerate(results):
        groups.setdefault(str(_own_part(result).get("region", f"result {number}")), []).append(result)
    kept = {key: own for key, group in groups.items() if (own := _own(group, size)) is not None}
    if frame is None and len(kept) == len(groups) and chosen.size == size:
        frame = "shown"  # this program wrote all of it
    reading = frame_of(chosen.size, size, exif, frame, lambda _: True)
    question = question or reading.question
    losses.note(f"{question.sentence}." if question else "")
    losses.note(reading.sentence)
    if more := len(sheets) - 1:
        losses.note(f"Not imported: {more} other task{'s' if more > 1 else ''} of the file.")
    others = [result for key, group in groups.items() if key not in kept for result in group]
    drawn = drawn_by(others, chosen.size, reading, losses)
    found = []
    for key, group in groups.items():
        some = [drawn[id(result)] for result in group if id(result) in drawn]
        if key in kept:
            found.append(kept[key])
        elif some:
            found.append(Region(some[0].name, tuple(one.shape for one in some)))
            if not region_mask(found[-1], size).any():
                losses.gather("Regions that cover no pixel of this picture", some[0].name)
    if not found:
        raise RegionError(losses.first_reason or "The task has no regions drawn on the picture.")
    names = unique_names([region.name for region in found])
    regions = (Region(one, region.shapes, region.expect) for one, region in zip(names, found, strict=True))
    return Imported(tuple(regions), losses.sentences(), question)


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
