"""The Explore page's data: what is sent to the head map, and what the bars of a layer add up to."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from qwenvl_debug.compare.head_map import HeadMap
from qwenvl_debug.maps import RowShares
from qwenvl_debug.ui import explore_charts
from qwenvl_debug.ui.headmap import headmap_data
from tests.ui.hand_made import make_run

KINDS = ("picture", "sinks", "question", "template")


@pytest.fixture
def shares():
    values = np.full((3, 2, 4), np.nan, np.float32)
    values[0] = [[0.5, 0.0, 0.3, 0.2], [0.1, 0.0, 0.4, 0.5]]
    values[2] = [[0.9, 0.0, 0.1, 0.0], [0.7, 0.0, 0.1, 0.2]]
    return RowShares(KINDS, values, SimpleNamespace(label="Tower"))


def test_a_layers_bars_add_up_to_all_of_its_attention_and_a_layer_without_a_map_has_none(shares):
    table = explore_charts.kinds_table(shares)
    assert table.groupby("layer")["share"].sum().to_dict() == pytest.approx({0: 1.0, 2: 1.0})
    head = explore_charts.kinds_table(shares, head=1)
    assert head.loc[(head.layer == 2) & (head.kind == "picture"), "share"].item() == pytest.approx(0.7)


def test_kinds_that_nothing_goes_to_are_not_in_the_legend_and_missing_layers_keep_their_place(shares):
    chart = explore_charts.kinds_chart(shares, -1, legend=True).to_dict()
    assert chart["encoding"]["color"]["scale"]["domain"] == ["picture", "question", "template"]
    assert chart["encoding"]["x"]["scale"]["domain"] == [0, 1, 2]
    assert "picture 55%" in explore_charts.describe_kinds(shares, -1, "correct")


def test_the_head_map_sends_every_head_with_its_two_maps_and_nothing_where_there_is_none():
    from qwenvl_debug.compare import compare
    from qwenvl_debug.compare.align import stated

    left, right = (make_run([("Tower", None, 0.9)], cells) for cells in ([0.4, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 0.4]))
    picture = SimpleNamespace(width=8, height=8, size=(8, 8), sha256="a", to_pil=_blank)
    for run in (left, right):
        run.case.pictures = (picture,)
    comparison = compare(left, right, alignment=stated("same frame", picture, picture))
    points = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    points[1] = np.nan
    data = json.loads(
        json.dumps(headmap_data("name", comparison, HeadMap(points, points + 1, (0.6, 0.3)), (picture, picture)))
    )
    assert data["left"] == [[[0, 1], [2, 3]], [None, None], [[8, 9], [10, 11]]]
    assert (data["layers"], data["heads"], data["explained"]) == (3, 2, [0.6, 0.3])
    assert [side["rows"] for side in data["maps"]] == [2, 2]


def _blank():
    from PIL import Image

    return Image.new("RGB", (8, 8))
