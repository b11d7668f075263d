"""Where the model should have looked: shapes, masks, coverage of cells, and how a map lies on them."""

from qwenvl_debug.regions.mask import coverage, region_mask
from qwenvl_debug.regions.measures import REGION_MEASURES
from qwenvl_debug.regions.score import Baselines, Score, baselines, score, score_maps, score_stack, score_table
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region

__all__ = [
    "REGION_MEASURES",
    "Baselines",
    "Brush",
    "Ellipse",
    "Mask",
    "Polygon",
    "Rectangle",
    "Region",
    "Score",
    "baselines",
    "coverage",
    "region_mask",
    "score",
    "score_maps",
    "score_stack",
    "score_table",
]
