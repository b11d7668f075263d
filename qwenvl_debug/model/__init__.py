"""The model's room: load a checkpoint, ask it, and read its attention. Torch and transformers stay in here.

Names are looked up on first use, so that what needs no torch (such as the shipped descriptions in `architecture`) can
be imported without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwenvl_debug.model.debug_model import DebugModel
    from qwenvl_debug.model.load import MICRO, load_model
    from qwenvl_debug.model.run import Alternative, Grid, Provenance, Run, Token
    from qwenvl_debug.model.trace import Trace, VisionTrace

_HOME = {
    "MICRO": "load",
    "Alternative": "run",
    "DebugModel": "debug_model",
    "Grid": "run",
    "Provenance": "run",
    "Run": "run",
    "Token": "run",
    "Trace": "trace",
    "VisionTrace": "trace",
    "load_model": "load",
}

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


def __getattr__(name: str) -> Any:
    """Import the module a public name lives in when the name is first used."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
