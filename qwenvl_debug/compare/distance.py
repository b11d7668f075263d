"""How far apart do two stacks of maps lie: the Jensen-Shannon divergence of every layer, head and head mean."""

from __future__ import annotations

import numpy as np

from qwenvl_debug.compare.grids import Overlap
from qwenvl_debug.maps import MapStack, jensen_shannon


def with_mean(stack: MapStack, layer: int) -> np.ndarray:
    """One layer's maps with their mean in the last place, float32 [heads + 1, cells]."""
    maps = np.concatenate([stack.values[layer], stack.mean[layer][None]])
    return maps.reshape(len(maps), -1)


def map_distance(left: MapStack, right: MapStack, pieces: Overlap | None) -> np.ndarray:
    """Map distance between two sides on the part of the pictures that both show.

    Args:
        left, right: the maps of either side, of one model.
        pieces: how their grids lie on each other, or None where they do not.

    Returns:
        float32 [layers, heads + 1], 0..1, the head-mean maps in the last place; NaN where either side has no map and
        everywhere without `pieces`.
    """
    layers, heads = left.values.shape[:2]
    found = np.full((layers, heads + 1), np.nan, np.float32)
    if pieces is None or pieces.empty:
        return found
    for layer in sorted({*left.layers_with_maps} & {*right.layers_with_maps}):
        found[layer] = jensen_shannon(pieces.cut(with_mean(left, layer), 0), pieces.cut(with_mean(right, layer), 1))
    return found
