"""A correct and a failing run side by side: on one grid (`align`), how they differ (`differ`), and on regions."""

from qwenvl_debug.compare.align import common_grid
from qwenvl_debug.compare.differ import Comparison, compare
from qwenvl_debug.compare.region_mass import RegionChoice, RegionMass

__all__ = ["Comparison", "RegionChoice", "RegionMass", "common_grid", "compare"]
