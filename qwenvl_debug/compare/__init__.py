"""A correct and a failing run side by side: laid on each other (`align`), how they differ (`differ`), on regions
(`region_mass`), and what of it is more than noise (`noise`, `rank`). Several cases (`group`), and one that is made
harder step by step (`perturb`, `sweep`)."""

from qwenvl_debug.compare.align import align, stated, warped
from qwenvl_debug.compare.alignment import KINDS, Alignment
from qwenvl_debug.compare.differ import Comparison, compare
from qwenvl_debug.compare.grids import Overlap, common_grid, overlap
from qwenvl_debug.compare.group import GroupComparison, compare_group
from qwenvl_debug.compare.head_map import HeadMap, head_map
from qwenvl_debug.compare.noise import HARMLESS, NoiseFloor, harmless_runs, noise_floor
from qwenvl_debug.compare.perturb import PERTURBATIONS, Perturbation
from qwenvl_debug.compare.rank import Ranking, rank
from qwenvl_debug.compare.region_mass import RegionMass
from qwenvl_debug.compare.sided import SidedRegion, sided_regions
from qwenvl_debug.compare.sweep import Step, Sweep, sweep
from qwenvl_debug.compare.words import shared_words

__all__ = [
    "HARMLESS",
    "KINDS",
    "PERTURBATIONS",
    "Alignment",
    "Comparison",
    "GroupComparison",
    "HeadMap",
    "NoiseFloor",
    "Overlap",
    "Perturbation",
    "Ranking",
    "RegionMass",
    "SidedRegion",
    "Step",
    "Sweep",
    "align",
    "common_grid",
    "compare",
    "compare_group",
    "harmless_runs",
    "head_map",
    "noise_floor",
    "overlap",
    "rank",
    "shared_words",
    "sided_regions",
    "stated",
    "sweep",
    "warped",
]
