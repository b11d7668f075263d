"""Which annotation tool wrote a file that cannot be read, and what should be exported from it instead?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Test = Callable[[dict], bool]

_COCO = "export its annotations as COCO JSON"
_OF_OBJECTS: tuple[tuple[str, Test, str], ...] = (
    ("LabelMe", lambda one: "shapes" in one and {"imagePath", "imageWidth"} & set(one), "convert it to COCO JSON"),
    ("the VGG Image Annotator", lambda one: "_via_img_metadata" in one or "_via_settings" in one, _COCO),
    ("the VGG Image Annotator", lambda one: any(map(_is_via, one.values())), _COCO),
    ("Supervisely", lambda one: {"objects", "size"} <= set(one), _COCO),
    ("Labelbox", lambda one: {"data_row", "projects"} <= set(one) or "DataRow ID" in one, "convert it to COCO JSON"),
    ("Datumaro", lambda one: {"items", "categories"} <= set(one), _COCO),
    ("CVAT", lambda one: {"shapes", "tracks"} <= set(one), "export the task as COCO 1.0"),
    ("V7 Darwin", lambda one: isinstance(one.get("item"), dict) and "annotations" in one, _COCO),
    ("GeoJSON", lambda one: one.get("type") in ("FeatureCollection", "Feature"), "export COCO JSON or a mask as PNG"),
    ("COCO panoptic", lambda one: _has(one, "annotations", "segments_info"), "export instances as COCO JSON"),
    ("CreateML", lambda one: "image" in one and _has(one, "annotations", "coordinates"), _COCO),
    ("BDD100K", lambda one: _has(one, "labels", "box2d") or _has(one, "labels", "poly2d"), "convert it to COCO JSON"),
    ("LabelU", lambda one: isinstance(one.get("result"), str) and "fileName" in one, _COCO),
    ("Detectron2", lambda one: "file_name" in one and _has(one, "annotations", "bbox_mode"), "convert it to COCO JSON"),
    ("COCO results", lambda one: {"image_id", "category_id"} <= set(one),
     "they name no images: put them into a COCO file with images and categories"),
    ("COCO without images", lambda one: _has(one, "annotations", "category_id"), "export it with its images"),
)  # fmt: skip

_OF_TEXT: tuple[tuple[str, Callable[[bytes], bool], str], ...] = (
    ("a ZIP archive", lambda data: data.startswith(b"PK\x03\x04"), "unpack it and import the JSON file in it"),
    ("a JPEG picture", lambda data: data.startswith(b"\xff\xd8"), "import masks as PNG, and regions as COCO JSON or "
     "Label Studio JSON"),
    ("Pascal VOC XML", lambda data: b"<annotation>" in data[:4000], "export COCO JSON instead"),
    ("CVAT XML", lambda data: b"<annotations" in data[:4000], "export the task as COCO 1.0"),
    ("XML", lambda data: data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"), "export COCO JSON instead"),
    ("YOLO labels", lambda data: _is_yolo(data), "export COCO JSON, which holds the names and the image's size"),
    ("lines of JSON", lambda data: data.lstrip().startswith(b"{") and b"}\n{" in data.replace(b"\r", b""),
     "export one JSON file of COCO or Label Studio"),
)  # fmt: skip


def tool_of_json(data: Any) -> str | None:
    """Who wrote this JSON and what to export instead, as the end of a sentence; None where it is not known.

    Args:
        data: what is in the file.

    Returns:
        Such as "this is LabelMe's JSON: convert it to COCO JSON."
    """
    first = data if isinstance(data, dict) else next(iter(data), None) if isinstance(data, list) else None
    if not isinstance(first, dict):
        return None
    for name, test, advice in _OF_OBJECTS:
        if test(first):
            return f"this is {name} JSON: {advice}."
    return None


def tool_of_bytes(data: bytes) -> str | None:
    """The same for files that are not JSON."""
    for name, test, advice in _OF_TEXT:
        if test(data):
            return f"this is {name}: {advice}."
    return None


def _has(one: dict, name: str, key: str) -> bool:
    """Whether a list of objects has a key in its first."""
    inner = one.get(name)
    return isinstance(inner, list) and bool(inner) and isinstance(inner[0], dict) and key in inner[0]


def _is_via(value: Any) -> bool:
    return isinstance(value, dict) and {"filename", "regions"} <= set(value)


def _is_yolo(data: bytes) -> bool:
    """A class and four or more shares of the image on every line."""
    try:
        lines = [line.split() for line in data[:4000].decode("ascii").strip().splitlines()[:5]]
        return bool(lines) and all(
            len(line) >= 5 and line[0].isdecimal() and all(0 <= float(one) <= 1 for one in line[1:5]) for line in lines
        )
    except ValueError:
        return False
