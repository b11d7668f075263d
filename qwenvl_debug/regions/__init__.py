"""Where the model should have looked: shapes, masks, coverage of cells, and how a map lies on them."""

from qwenvl_debug.regions.baselines import Baselines, baselines
from qwenvl_debug.regions.bring_in import bring_in
from qwenvl_debug.regions.carrying import Carried, carry
from qwenvl_debug.regions.coco import from_coco, to_coco
from qwenvl_debug.regions.files import Imported, Question, UnclearFile
from qwenvl_debug.regions.fit import fit
from qwenvl_debug.regions.grounding import Box, boxes, unread_boxes
from qwenvl_debug.regions.label_studio import from_label_studio, labelling_setup, to_label_studio
from qwenvl_debug.regions.mask import coverage, region_mask
from qwenvl_debug.regions.masks_png import mask_from_png, mask_to_png
from qwenvl_debug.regions.measures import REGION_MEASURES
from qwenvl_debug.regions.names import check_names, unique_names
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.run_scores import RegionScores, score_run
from qwenvl_debug.regions.score import (
    Score,
    covers_of,
    score,
    score_maps,
    score_stack,
    score_table,
    why_undefined,
)
from qwenvl_debug.regions.shapes import Brush, Ellipse, Mask, Polygon, Rectangle, Region
from qwenvl_debug.regions.snap import snap

__all__ = [
    "REGION_MEASURES",
    "Baselines",
    "Box",
    "Brush",
    "Carried",
    "Ellipse",
    "Imported",
    "Mask",
    "Polygon",
    "Question",
    "Rectangle",
    "Region",
    "RegionScores",
    "Score",
    "UnclearFile",
    "baselines",
    "boxes",
    "bring_in",
    "carry",
    "check_names",
    "coverage",
    "covers_of",
    "fit",
    "from_coco",
    "from_label_studio",
    "from_record",
    "labelling_setup",
    "mask_from_png",
    "mask_to_png",
    "region_mask",
    "score",
    "score_maps",
    "score_run",
    "score_stack",
    "score_table",
    "snap",
    "to_coco",
    "to_label_studio",
    "to_record",
    "unique_names",
    "unread_boxes",
    "why_undefined",
]
