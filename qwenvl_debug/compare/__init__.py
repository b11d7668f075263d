"""A correct and a failing run, laid side by side: on one grid (`align`), and how they differ (`differ`)."""

from qwenvl_debug.compare.align import common_grid
from qwenvl_debug.compare.differ import Comparison, compare

__all__ = ["Comparison", "common_grid", "compare"]
