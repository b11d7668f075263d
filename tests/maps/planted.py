"""A run with sinks planted into its trace: a constant added to a few cells of every row, which then sums to 1 again."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class PlantedTrace:
    """Answers like the trace it wraps, with `constant` added at sequence positions `at` in every row it gives."""

    trace: object
    at: np.ndarray
    constant: float

    def __getattr__(self, name):
        return getattr(self.trace, name)

    def weights(self, layer, rows=None, heads=None):
        weights = self.trace.weights(layer, rows, heads).copy()
        weights[..., self.at] += self.constant
        return weights / weights.sum(-1, keepdims=True)


def plant(run, cells, constant=0.1, picture=0):
    """The run with sinks at these cells (raster order) of a picture."""
    at = run.grids[picture].positions[np.asarray(cells)]
    return replace(run, trace=PlantedTrace(run.trace, at, constant))
