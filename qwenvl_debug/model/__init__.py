"""The model's room: load a checkpoint, ask it, and read its attention. Torch and transformers stay in here."""

from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.load import MICRO, load_model
from qwenvl_debug.model.run import Alternative, Grid, Provenance, Run, Token
from qwenvl_debug.model.trace import Trace, VisionTrace

__all__ = [
    "MICRO",
    "Alternative",
    "DebugModel",
    "Grid",
    "Provenance",
    "Run",
    "Token",
    "Trace",
    "VisionTrace",
    "load_model",
]
