"""A correct and a failing run side by side: laid on each other (`align`), how they differ (`differ`), on regions
(`region_mass`), and what of it is more than noise (`noise`, `rank`)."""

from qwenvl_debug.compare.align import KINDS, Alignment, align, stated, warped
from qwenvl_debug.compare.differ import Comparison, compare
from qwenvl_debug.compare.grids import Overlap, common_grid, overlap
from qwenvl_debug.compare.head_map import HeadMap, head_map
from qwenvl_debug.compare.noise import HARMLESS, NoiseFloor, harmless_runs, noise_floor
from qwenvl_debug.compare.rank import Ranking, rank
from qwenvl_debug.compare.region_mass import RegionChoice, RegionMass

__all__ = [
    "HARMLESS",
    "KINDS",
    "Alignment",
    "Comparison",
    "HeadMap",
    "NoiseFloor",
    "Overlap",
    "Ranking",
    "RegionChoice",
    "RegionMass",
    "align",
    "common_grid",
    "compare",
    "harmless_runs",
    "head_map",
    "noise_floor",
    "overlap",
    "rank",
    "stated",
    "warped",
]
