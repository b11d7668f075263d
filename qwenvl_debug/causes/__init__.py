"""Why did an answer fail? Interventions on a forward pass, what they do to the answer, and what follows from it.

How an effect is measured (`contrast`), on which cells and tokens (`cells`, `pair`), the changes (`interventions`) and
what each family of them asks: `attending`, `patching`, `occlusion`; what each layer would answer (`lens`); all layers
and groups of tokens at once (`grid`); and the questions in order (`diagnosis`).
"""

from qwenvl_debug.causes.attending import DoseCurve, block, boost, dose_curve
from qwenvl_debug.causes.cells import Cells, cells_of, elsewhere
from qwenvl_debug.causes.contrast import Contrast, Reading, contrast
from qwenvl_debug.causes.diagnosis import Diagnosis, Evidence, diagnose
from qwenvl_debug.causes.effect import Effect
from qwenvl_debug.causes.grid import CausalGrid, causal_grid
from qwenvl_debug.causes.interventions import (
    AblateBlock,
    AblateHeads,
    Boost,
    MatchAttention,
    PatchFeatures,
    PatchStates,
    drop,
)
from qwenvl_debug.causes.lens import Lens, LensMap, lens, lens_map
from qwenvl_debug.causes.occlusion import Occlusion, occlude
from qwenvl_debug.causes.pair import Group, Pair
from qwenvl_debug.causes.patching import patch
from qwenvl_debug.causes.subject import Subject

__all__ = [
    "AblateBlock",
    "AblateHeads",
    "Boost",
    "CausalGrid",
    "Cells",
    "Contrast",
    "Diagnosis",
    "DoseCurve",
    "Effect",
    "Evidence",
    "Group",
    "Lens",
    "LensMap",
    "MatchAttention",
    "Occlusion",
    "Pair",
    "PatchFeatures",
    "PatchStates",
    "Reading",
    "Subject",
    "block",
    "boost",
    "causal_grid",
    "cells_of",
    "contrast",
    "diagnose",
    "dose_curve",
    "drop",
    "elsewhere",
    "lens",
    "lens_map",
    "occlude",
    "patch",
]
