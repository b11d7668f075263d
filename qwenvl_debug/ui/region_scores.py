"""How do both sides' maps lie on the regions drawn on them? Mass of every layer and head, and every measure.

A region of the correct picture and one of the failing picture belong together when they have the same name. Of two
regions of one name on one picture the second is told apart by a number: "cat" and "cat 2".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from qwenvl_debug.regions import REGION_MEASURES, Region, Score, score_maps
from qwenvl_debug.regions.names import unique_names
from qwenvl_debug.regions.score import covers_of
from qwenvl_debug.regions.undefined import undefined_measures

if TYPE_CHECKING:
    from qwenvl_debug.maps import MapStack

SIDES = ("correct", "failing")
MEAN = -1
Shown = Literal["mass", "lift"]
"""What charts show: the share inside the region, or how many times chance that is."""


@dataclass(frozen=True, eq=False)
class Side:
    """One picture's regions, scored.

    Attributes:
        regions: by name.
        stack: the maps.
        covers: by name, float32 [rows * cols], 0..1.
        mass: by name, float64 [layers, heads + 1], the mean of the heads last; NaN where undefined.
        size: width, height of the picture in pixels.
    """

    regions: dict[str, Region]
    stack: MapStack
    covers: dict[str, np.ndarray]
    mass: dict[str, np.ndarray]
    size: tuple[int, int]

    def chance(self, name: str, shown: Shown = "mass") -> float:
        """What an even map scores: the region's share of the picture as mass, 1 as lift; NaN for an empty region."""
        share = float(self.covers[name].mean(dtype=np.float64)) or np.nan
        return share if shown == "mass" else share / share

    def values(self, name: str, shown: Shown = "mass") -> np.ndarray:
        """Mass or lift of every map, float64 [layers, heads + 1], the mean of the heads last; NaN where undefined."""
        return self.mass[name] if shown == "mass" else self.mass[name] / self.chance(name)

    def score(self, name: str, layer: int, head: int = MEAN) -> Score:
        """All measures of one map on one region; head -1 is the mean."""
        region, cover = self.regions[name], self.covers[name]
        values = self.stack.map(layer, head).values.reshape(1, -1)
        found = {measure: float(one[0, 0]) for measure, one in score_maps(values, cover[None]).items()}
        return Score(region.name, region.expect, layer, head, **found, reasons=undefined_measures(values[0], cover))


@dataclass(frozen=True, eq=False)
class RegionScores:
    """Both sides, (correct, failing)."""

    sides: tuple[Side, Side]

    @property
    def names(self) -> tuple[str, ...]:
        """The regions' names, those of the correct picture first."""
        return tuple(dict.fromkeys(name for side in self.sides for name in side.regions))

    def drawn_on(self, name: str) -> tuple[int, ...]:
        """The sides that have this region: 0 the correct one, 1 the failing one."""
        return tuple(number for number, side in enumerate(self.sides) if name in side.regions)

    def difference(self, name: str, shown: Shown = "mass") -> np.ndarray | None:
        """float64 [layers, heads + 1], the correct run's mass or lift less the failing one's; None on one side only."""
        if len(self.drawn_on(name)) < 2:
            return None
        left, right = (side.values(name, shown) for side in self.sides)
        return left - right if left.shape == right.shape else None

    def most_telling(self) -> str:
        """Of the regions on which something is expected (else of all), the one where the mean maps differ most.

        Regions of both sides come before those of one; where nothing tells them apart, the last one drawn.
        """
        expected = [
            name
            for name in self.names
            if any(self.sides[number].regions[name].expect != "measure" for number in self.drawn_on(name))
        ]

        def tells(name: str) -> float:
            difference = self.difference(name)
            apart = np.abs(difference[:, MEAN]) if difference is not None else np.empty(0)
            return float(np.nanmax(apart)) if np.isfinite(apart).any() else -1.0

        return max(reversed(expected or self.names), key=tells)

    def head_table(self, name: str, shown: Shown = "mass") -> pd.DataFrame:
        """One row per layer and head, the largest difference first (or the largest value, of a region on one side)."""
        drawn = self.drawn_on(name)
        layers, heads = self.sides[drawn[0]].mass[name].shape
        table = pd.DataFrame(
            {"layer": np.repeat(np.arange(layers), heads - 1), "head": np.tile(np.arange(heads - 1), layers)}
        )
        for number in drawn:
            table[SIDES[number]] = self.sides[number].values(name, shown)[:, :-1].ravel()
        difference = self.difference(name, shown)
        if difference is not None:
            table["difference"] = difference[:, :-1].ravel()
        rank = table[table.columns[-1]].abs()
        return table.loc[rank.sort_values(ascending=False, kind="stable", na_position="last").index].reset_index(
            drop=True
        )

    def layer_table(self, name: str, shown: Shown = "mass") -> pd.DataFrame:
        """The mean of the heads over the layers: layer, side, value, chance."""
        parts = []
        for number in self.drawn_on(name):
            side = self.sides[number]
            value = side.values(name, shown)[:, MEAN]
            chance = side.chance(name, shown)
            row = {"layer": np.arange(len(value)), "side": SIDES[number], "value": value, "chance": chance}
            parts.append(pd.DataFrame(row))
        return pd.concat(parts, ignore_index=True)

    def all_scores(self, progress: Callable[[int, int], None] | None = None) -> pd.DataFrame:
        """Every measure of every layer and head on every region of both sides."""
        tables = []
        for number, side in enumerate(self.sides):
            if not side.regions:
                continue
            regions = list(side.regions.values())
            covers = np.stack([side.covers[region.name] for region in regions])
            maps = np.concatenate([side.stack.values, side.stack.mean[:, None]], axis=1)
            found = score_maps(maps.reshape(*maps.shape[:2], -1), covers, progress=progress)
            layers, heads = maps.shape[:2]
            index = pd.MultiIndex.from_product(
                [[region.name for region in regions], range(layers), [*range(heads - 1), MEAN]],
                names=["region", "layer", "head"],
            )
            table = pd.DataFrame({name: values.ravel() for name, values in found.items()}, index=index).reset_index()
            table.insert(0, "side", SIDES[number])
            table.insert(2, "expect", table["region"].map({region.name: region.expect for region in regions}))
            tables.append(table)
        columns = ["side", "region", "expect", "layer", "head", *REGION_MEASURES]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def score_sides(
    stacks: tuple[MapStack, MapStack],
    regions: tuple[Sequence[Region], Sequence[Region]],
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> RegionScores:
    """Score both pictures' regions.

    Args:
        stacks: each side's maps.
        regions: each side's regions, in pixels of its picture.
        sizes: each picture's width, height in pixels.

    Raises:
        RegionError: a region cannot be drawn.
    """
    return RegionScores(tuple(_side(*one) for one in zip(stacks, regions, sizes, strict=True)))


def _side(stack: MapStack, regions: Sequence[Region], size: tuple[int, int]) -> Side:
    if not regions:
        return Side({}, stack, {}, {}, size)
    names = unique_names([region.name for region in regions])
    kept = [replace(region, name=name) for name, region in zip(names, regions, strict=True)]
    named = {region.name: region for region in kept}
    covers = covers_of(kept, size, (stack.grid.rows, stack.grid.cols))
    maps = np.concatenate([stack.values, stack.mean[:, None]], axis=1)
    mass = score_maps(maps.reshape(*maps.shape[:2], -1), covers, ["mass"])["mass"]
    return Side(named, stack, dict(zip(named, covers, strict=True)), dict(zip(named, mass, strict=True)), size)
