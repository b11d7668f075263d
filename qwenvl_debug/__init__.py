"""The Python door: everything a notebook or script needs, from one import.

    import qwenvl_debug as qd

    model = qd.load_model("micro")
    good = model.ask(qd.Case("clear.png", "Which tower is this?"))
    bad = model.ask(qd.Case("fog.png", "Which tower is this?"))
    qd.compare(good, bad, target="Oriental Pearl Tower").table()

Names are looked up on first use, so that importing the package does not import torch.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

# Bound here and now: the function shares its name with the room it comes from, and only an import that happens first
# makes sure that `qd.compare` is the function ever after.
from qwenvl_debug.compare import Comparison, compare
from qwenvl_debug.model.registration import register

if TYPE_CHECKING:
    from qwenvl_debug.case import Case, Picture, Turn, is_right
    from qwenvl_debug.compare import align, compare_group, noise_floor, shared_words, sweep
    from qwenvl_debug.errors import QwenVLDebugError
    from qwenvl_debug.maps import (
        AttentionMap,
        MapStack,
        Query,
        answer_query,
        ask_neutral,
        find_sinks,
        map_stack,
        picture_shares,
        question_query,
        row_shares,
        span_query,
        thoughts_query,
        turn_shares,
        word_query,
    )
    from qwenvl_debug.model import DebugModel, Run, load_model
    from qwenvl_debug.regions import (
        Box,
        Brush,
        Ellipse,
        Mask,
        Polygon,
        Rectangle,
        Region,
        boxes,
        score,
        score_table,
        unread_boxes,
    )
    from qwenvl_debug.report import overlay
    from qwenvl_debug.video import Video

_HOME = {
    "AttentionMap": "maps",
    "Box": "regions",
    "Brush": "regions",
    "Case": "case",
    "DebugModel": "model",
    "Ellipse": "regions",
    "MapStack": "maps",
    "Mask": "regions",
    "Picture": "case",
    "Polygon": "regions",
    "Query": "maps",
    "QwenVLDebugError": "errors",
    "Rectangle": "regions",
    "Region": "regions",
    "Run": "model",
    "Turn": "case",
    "Video": "video",
    "align": "compare",
    "answer_query": "maps",
    "ask_neutral": "maps",
    "boxes": "regions",
    "compare_group": "compare",
    "find_sinks": "maps",
    "is_right": "case",
    "load_model": "model",
    "map_stack": "maps",
    "noise_floor": "compare",
    "overlay": "report",
    "picture_shares": "maps",
    "question_query": "maps",
    "row_shares": "maps",
    "score": "regions",
    "score_table": "regions",
    "shared_words": "compare",
    "span_query": "maps",
    "thoughts_query": "maps",
    "sweep": "compare",
    "turn_shares": "maps",
    "unread_boxes": "regions",
    "word_query": "maps",
}

# From here on transformers knows the first Qwen-VL, too; neither it nor torch is imported for that.
register()

__version__ = version("qwenvl-debug")
__all__ = [
    "AttentionMap",
    "Box",
    "Brush",
    "Case",
    "Comparison",
    "DebugModel",
    "Ellipse",
    "MapStack",
    "Mask",
    "Picture",
    "Polygon",
    "Query",
    "QwenVLDebugError",
    "Rectangle",
    "Region",
    "Run",
    "Turn",
    "Video",
    "align",
    "answer_query",
    "ask_neutral",
    "boxes",
    "compare",
    "compare_group",
    "find_sinks",
    "is_right",
    "load_model",
    "map_stack",
    "noise_floor",
    "overlay",
    "picture_shares",
    "question_query",
    "row_shares",
    "score",
    "score_table",
    "shared_words",
    "span_query",
    "sweep",
    "thoughts_query",
    "turn_shares",
    "unread_boxes",
    "word_query",
]


def __getattr__(name: str) -> Any:
    """Import the room a public name lives in when the name is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
