"""Every score of a run on each of several regions, kept together with chance and the reason for what is undefined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.maps import Query, map_stack
from qwenvl_debug.regions.mask import region_mask
from qwenvl_debug.regions.record import to_record
from qwenvl_debug.regions.score import covers_of, joined, score_stack
from qwenvl_debug.regions.shapes import Region
from qwenvl_debug.regions.undefined import undefined_on

if TYPE_CHECKING:
    from qwenvl_debug.model import Run


@dataclass(frozen=True, eq=False)
class RegionScores:
    """How every map of a run lies on one region.

    Attributes:
        region: the region.
        asked_with: the words that asked.
        chance: the region's share of the picture, 0..1.
        values: float64 [layers, heads + 1] by measure, the head mean in the last place; NaN where undefined.
        reasons: for each measure that is undefined for every map, why, in one sentence.
    """

    region: Region
    asked_with: str
    chance: float
    values: dict[str, np.ndarray]
    reasons: dict[str, str]

    @property
    def why(self) -> str | None:
        """Why some measures are undefined for every map; None when all are defined."""
        return joined(self.reasons)

    @property
    def empty(self) -> bool:
        """Whether nothing can be scored: no pixel of the region lies on the picture, or all do."""
        return "mass" in self.reasons

    def best(self) -> list[tuple[int, int, float]]:
        """Layer, head and mass of all single heads that have a map, the highest mass first."""
        mass = self.values["mass"][:, :-1]
        order = np.argsort(-mass, axis=None, kind="stable")[: np.count_nonzero(~np.isnan(mass))]
        return [(n // mass.shape[1], n % mass.shape[1], float(mass.flat[n])) for n in order.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the region, chance, and every score by layer (of the head mean) and by head (NaN as None)."""
        layers, heads = next(iter(self.values.values())).shape

        def at(layer: int, head: int) -> dict[str, float | None]:
            found = {name: float(values[layer, head]) for name, values in self.values.items()}
            return {name: None if np.isnan(value) else value for name, value in found.items()}

        return {
            "name": self.region.name,
            "expect": self.region.expect,
            "region": to_record(self.region),
            "asked_with": self.asked_with,
            "chance": self.chance,
            "why": self.why,
            "undefined": self.reasons,
            "layers": [{"layer": layer, **at(layer, -1)} for layer in range(layers)],
            "heads": [
                {"layer": layer, "head": head, **at(layer, head)}
                for layer in range(layers)
                for head in range(heads - 1)
            ],
        }


def score_run(
    run: Run, regions: Sequence[Region], query: Query | None = None, picture: int = 0
) -> tuple[RegionScores, ...]:
    """Score every map of a run on several regions, with every measure.

    Args:
        run: a model's answer, with its trace.
        regions: in pixels of that picture; at least one.
        query: the tokens that ask; by default the whole answer.
        picture: which picture of the case.

    Raises:
        QueryError: there is no such token or picture.
        RegionError: there are no regions, one cannot be drawn, or two have the same name.
    """
    stack = map_stack(run, query, picture)
    size, grid = run.case.pictures[picture].size, (stack.grid.rows, stack.grid.cols)
    scores = score_stack(stack, regions, size)
    found = []
    for number, region in enumerate(regions):
        cover = covers_of([region], size, grid)[0]
        values = {name: value[number] for name, value in scores.items()}
        chance = float(region_mask(region, size).mean())
        found.append(RegionScores(region, stack.query.label, chance, values, undefined_on(cover)))
    return tuple(found)
