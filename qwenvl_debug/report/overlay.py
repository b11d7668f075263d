"""A map drawn over its picture, as a file: every cell a crisp rectangle, nothing smoothed or invented in between."""

from __future__ import annotations

import cv2
import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import AttentionMap
from qwenvl_debug.report.palette import cell_alpha
from qwenvl_debug.report.palette import palette as colour_scale


def overlay(
    picture: Picture,
    attention: AttentionMap,
    opacity: float = 0.6,
    scale: float | None = None,
    palette: str = "magma",
) -> bytes:
    """Draw a map over its picture.

    Args:
        picture: the picture the map belongs to.
        attention: the map; its cells stretch evenly over the picture.
        opacity: 0 shows the picture alone, 1 covers it where attention is strongest (see `palette.cell_alpha`).
        scale: the value that gets the last colour, in the map's own unit; larger values get it too. By default the
            map's greatest value. Give both sides of a comparison the same scale, or their colours do not compare.
        palette: one of `report.palette.PALETTES`.

    Returns:
        A PNG file of the picture's pixel size.

    Raises:
        QueryError: the layer has no map, or opacity, scale or palette make no sense.
    """
    values = np.asarray(attention.values, dtype=np.float64)
    if np.isnan(values).any():
        raise QueryError(f"There is no map to draw at layer {attention.layer}: choose another layer.")
    if not 0 <= opacity <= 1:
        raise QueryError(f"Opacity lies between 0 and 1; {opacity} does not.")
    if scale is None:
        scale = float(values.max()) or 1.0
    if not 0 < scale < np.inf:
        raise QueryError(f"The colour scale must end above 0; {scale} does not.")
    share = np.clip(values / scale, 0, 1)
    colours = colour_scale(palette)[np.rint(share * 255).astype(np.uint8)]
    cells = cv2.resize(colours, picture.size, interpolation=cv2.INTER_NEAREST)
    alpha = cv2.resize(cell_alpha(share, opacity), picture.size, interpolation=cv2.INTER_NEAREST)
    drawn = cv2.blendLinear(cells, picture.pixels, np.float32(alpha), np.float32(1 - alpha))
    return Picture.open(drawn).png()
