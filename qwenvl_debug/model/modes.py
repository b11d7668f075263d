"""With how much should a model be looked at? The modes of `load_model`, and the words that explain them.

*basic* keeps what most questions need: the rows of the language model. *full* keeps the rows of the vision tower too,
which takes time and memory with every answer. *low memory* makes the model small enough for a small machine: language
weights in 8 or 4 bits, smaller pictures, and what still does not fit waits in main memory or on disk.
"""

from __future__ import annotations

from dataclasses import dataclass

from qwenvl_debug.errors import ModelLoadError


@dataclass(frozen=True)
class Mode:
    """One mode.

    Attributes:
        name: what `load_model` and the settings call it.
        plain: one sentence for people.
        vision: whether the rows of every block of the vision tower are kept unless one asks otherwise.
        small: whether weights are stored in few bits, and what does not fit is moved off the device.
        max_image_tokens: tokens that a picture may take, or None for the checkpoint's own limit.
    """

    name: str
    plain: str
    vision: bool = False
    small: bool = False
    max_image_tokens: int | None = None


BASIC = Mode("basic", "Where the language model looks: what most questions need, at the cost of a plain answer.")
FULL = Mode("full", "As basic, and where every block of the vision tower looks as well.", vision=True)
LOW_MEMORY = Mode(
    "low memory",
    "Language weights in 8 or 4 bits and smaller pictures, for a machine with little memory; answers may differ.",
    small=True,
    max_image_tokens=512,
)
MODES = {mode.name: mode for mode in (BASIC, FULL, LOW_MEMORY)}


def mode_of(name: str) -> Mode:
    """The mode of this name; "low-memory" and "low_memory" count as "low memory".

    Raises:
        ModelLoadError: there is none.
    """
    mode = MODES.get(str(name).strip().lower().replace("-", " ").replace("_", " "))
    if mode is None:
        raise ModelLoadError(f"There is no mode “{name}”: use {', '.join(MODES)}.")
    return mode
