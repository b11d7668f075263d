"""What was asked, answered, drawn and measured, kept: rows in a database, pictures and numbers in files."""

from qwenvl_debug.store.cases import find_picture, load_case, load_picture, save_case
from qwenvl_debug.store.check import Check, check, check_text
from qwenvl_debug.store.drawing_rows import (
    Change,
    StoredDrawing,
    changes_on,
    drawing_of,
    instead_of,
    keep_changes,
)
from qwenvl_debug.store.engine import Store, open_store
from qwenvl_debug.store.region_rows import StoredRegion, add_region, change_region, delete_region, regions_of
from qwenvl_debug.store.results import (
    StoredScores,
    comparison_numbers,
    load_comparison,
    save_comparison,
    save_scores,
    scores_of,
)
from qwenvl_debug.store.runs import Answered, answer, find_run, load_run, save_run

__all__ = [
    "Answered",
    "Change",
    "Check",
    "Store",
    "StoredDrawing",
    "StoredRegion",
    "StoredScores",
    "add_region",
    "answer",
    "change_region",
    "changes_on",
    "check",
    "check_text",
    "comparison_numbers",
    "delete_region",
    "drawing_of",
    "find_picture",
    "find_run",
    "instead_of",
    "keep_changes",
    "load_case",
    "load_comparison",
    "load_picture",
    "load_run",
    "open_store",
    "regions_of",
    "save_case",
    "save_comparison",
    "save_run",
    "save_scores",
    "scores_of",
]
