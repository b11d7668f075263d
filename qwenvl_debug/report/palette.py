"""Which colour stands for which share of attention: the colour scales of overlays and their legends."""

import cv2
import numpy as np

from qwenvl_debug.errors import QueryError

PALETTES = {
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "cividis": cv2.COLORMAP_CIVIDIS,
    "turbo": cv2.COLORMAP_TURBO,
}
"""Scales by name. All but turbo grow evenly in lightness, so that they keep their order in grey print."""


def palette(name: str = "inferno") -> np.ndarray:
    """A colour scale as uint8 [256, 3], RGB, from nothing to most.

    Raises:
        QueryError: there is no such scale.
    """
    if name not in PALETTES:
        raise QueryError(f"There is no colour scale “{name}”: choose one of {', '.join(PALETTES)}.")
    steps = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(steps, PALETTES[name])[:, 0, ::-1])
