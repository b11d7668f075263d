"""Whatever stands in a file of regions, it is read or refused in one sentence, and never ends in a traceback."""

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions import from_coco, from_label_studio

SIZE = (60, 40)
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 0.5, 1e308, 10**400, float("nan"), "", "x", "7", [], {}, [[]], [{}], [None], {"x": 1}]),
    st.lists(st.integers(-5, 90), max_size=9),
)
BOX = {"bbox": [3, 4, 20, 12], "segmentation": [[1, 1, 30, 1, 30, 30]], "attributes": {"rotation": 30}, "iscrowd": 0}
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}, {"id": 2, "file_name": "b.png"}],
    "categories": [{"id": 1, "name": "cat"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, **BOX},
        {"id": 2, "image_id": 1, "category_id": 1, "segmentation": {"size": [40, 60], "counts": [0, 40, 2360]}},
    ],
}
PLACE = {
    "type": "rectanglelabels",
    "original_width": 60,
    "original_height": 40,
    "image_rotation": 0,
    "to_name": "image",
}
TASKS = [
    {
        "id": 1,
        "data": {"image": ["/u/a.png", "/u/b.png"], "text": "hello"},
        "annotations": [
            {
                "id": 1,
                "completed_by": {"email": "a@b.c"},
                "updated_at": "2026-01-01T00:00:00Z",
                "result": [
                    {
                        **PLACE,
                        "id": "r",
                        "item_index": 0,
                        "value": {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 3},
                    },
                    {
                        **PLACE,
                        "id": "p",
                        "item_index": 1,
                        "type": "polygon",
                        "value": {"points": [[1, 1], [9, 1], [5, 9]]},
                    },
                    {"id": "r", "type": "labels", "value": {"labels": ["cat"]}, "meta": {"text": ["note"]}},
                    {"type": "relation", "from_id": "r", "to_id": "p"},
                ],
            }
        ],
        "predictions": [{"model_version": "1", "result": []}],
    },
    {"id": 2, "image": "/u/b.png", "label": [{"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["cat"]}]},
]


def nodes(value, path=()):
    """The paths of everything in a piece of JSON."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(inner, (*path, key))


def spoiled(value, places):
    value = copy.deepcopy(value)
    for path, junk in places:
        inner = value
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = copy.deepcopy(junk)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took it away
    return json.loads(json.dumps(value))  # names are text


def broken(value):
    paths = [path for path in nodes(value) if path]
    return st.lists(st.tuples(st.sampled_from(paths), JUNK), min_size=1, max_size=3).map(
        lambda some: spoiled(value, some)
    )


def read_or_refused(read, data, **options):
    try:
        found = read(data, SIZE, "a.png", **options)
    except RegionError as error:
        said = [str(error)]
    else:
        assert found.regions
        said = found.left_out
    for sentence in said:
        assert sentence.endswith((".", "…")), sentence
        assert "\n" not in sentence


@settings(max_examples=150, deadline=None)
@given(broken(COCO), st.sampled_from([None, 1, 3, 6]))
def test_any_coco_file_is_read_or_refused(data, exif):
    read_or_refused(from_coco, data, exif=exif)


@settings(max_examples=150, deadline=None)
@given(broken(TASKS), st.sampled_from([None, 1, 3, 6]))
def test_any_label_studio_file_is_read_or_refused(data, exif):
    read_or_refused(from_label_studio, data, exif=exif)
