"""What is sent to the viewer? Every layer's and head's map of a side as one byte array, and a picture to lay it on.

Each map is quantised on its own: its highest cell becomes 255 and that cell's share is kept as the map's scale, so
that a head that spreads thinly is as fine-grained as one that stares. The error is at most 1/510 of the highest cell.
"""

from __future__ import annotations

import base64
import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.maps import MapStack

LARGEST_SIDE = 1600
"""Pictures are shown at most this many pixels wide or high; the model has its own size anyway."""


def quantise(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantise maps one by one.

    Args:
        maps: float32 [..., rows, cols], >= 0, or NaN where there is no map.

    Returns:
        cells: uint8 [..., rows, cols]; scales: float32 [...], the value that 255 stands for, NaN where no map is.
    """
    scales = maps.max(axis=(-2, -1)).astype(np.float32)  # NaN in a map makes its scale NaN
    safe = np.where(np.isfinite(scales) & (scales > 0), scales, 1.0)[..., None, None]
    return np.round(np.nan_to_num(maps) / safe * 255).astype(np.uint8), scales


def maps_payload(stack: MapStack) -> dict[str, Any]:
    """A side's maps: {rows, cols, layers, heads, cells, scales}, the mean before the heads in the last two."""
    layers, heads, rows, cols = stack.values.shape
    cells, scales = quantise(np.concatenate([stack.mean[:, None], stack.values], axis=1))
    return {
        "rows": int(rows),
        "cols": int(cols),
        "layers": int(layers),
        "heads": int(heads),
        "cells": base64.b64encode(cells.tobytes()).decode(),
        "scales": base64.b64encode(scales.astype("<f4").tobytes()).decode(),
    }


def share_payload(stack: MapStack) -> list[list[float | None]]:
    """Image share by layer, then mean and heads; None where a layer has no map."""
    shares = np.concatenate([stack.image_share_mean[:, None], stack.image_share], axis=1)
    return [[None if math.isnan(share) else round(float(share), 6) for share in layer] for layer in shares]


def picture_payload(picture: Picture) -> str:
    """The picture as a data address: PNG where that is small (drawings), else JPEG."""
    image = picture.to_pil()
    if max(image.size) > LARGEST_SIDE:
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > 400_000:
        buffer, kind = io.BytesIO(), "jpeg"
        image.save(buffer, "JPEG", quality=90)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
