"""Which colour stands for which share of attention, in files just as on the Compare page."""

import cv2
import numpy as np

from qwenvl_debug.errors import QueryError

PALETTES = {"magma": cv2.COLORMAP_MAGMA, "viridis": cv2.COLORMAP_VIRIDIS, "cividis": cv2.COLORMAP_CIVIDIS}
"""Scales by name; all grow evenly in lightness, so that they keep their order in grey print."""


def palette(name: str = "magma") -> np.ndarray:
    """A colour scale as uint8 [256, 3], RGB, from nothing to most.

    Raises:
        QueryError: there is no such scale.
    """
    if name not in PALETTES:
        raise QueryError(f"There is no colour scale “{name}”: choose one of {', '.join(PALETTES)}.")
    steps = np.arange(256, dtype=np.uint8)[:, None]
    return np.ascontiguousarray(cv2.applyColorMap(steps, PALETTES[name])[:, 0, ::-1])


def cell_alpha(share: np.ndarray, opacity: float) -> np.ndarray:
    """How opaque a cell is: faint cells let the picture through, strong ones cover it.

    Args:
        share: float, the cell's value as a share of the scale, 0..1.
        opacity: 0..1, as set by the person; strong cells get it whole.

    Returns:
        The shape of `share`, 0..opacity.
    """
    return opacity * (0.15 + 0.85 * np.sqrt(share))
