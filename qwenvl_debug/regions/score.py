"""Did the model look where it should have? Scores of regions for every layer and head at once, beside chance.

One matrix product gives the mass of all maps on all regions; the measures that need the cells in order sort each map
once (`at_once`). What a score may be held against stands in `baselines`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from qwenvl_debug.errors import RegionError
from qwenvl_debug.maps import MEAN, MapStack, Query, map_stack
from qwenvl_debug.regions.at_once import at_once
from qwenvl_debug.regions.mask import coverage, region_mask
from qwenvl_debug.regions.measures import REGION_MEASURES
from qwenvl_debug.regions.names import check_names
from qwenvl_debug.regions.shapes import Expectation, Region
from qwenvl_debug.regions.undefined import WEIGHED, undefined_measures, undefined_on

if TYPE_CHECKING:
    import pandas as pd

    from qwenvl_debug.model import Run

CHUNK = 130_000  # map cells worked on at once: what is made of them stays in the processor's cache


@dataclass(frozen=True)
class Score:
    """How one map lies on one region. NaN where a measure is undefined; `reasons` then says why.

    Attributes:
        region, expect: the region's name and expectation.
        layer, head: whose map; head -1 is the mean of all heads.
        mass, chance, lift, pointing_game, rank_accuracy, auc, iou, iou_best, nss: see `REGION_MEASURES`.
        reasons: for each measure that is undefined, why, in one sentence.
    """

    region: str
    expect: Expectation
    layer: int
    head: int
    mass: float
    chance: float
    lift: float
    pointing_game: float
    rank_accuracy: float
    auc: float
    iou: float
    iou_best: float
    nss: float
    reasons: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def why(self) -> str | None:
        """Why some measures are undefined; None when all are defined."""
        return joined(self.reasons)


def score_maps(
    maps: np.ndarray,
    covers: np.ndarray,
    measures: Sequence[str] = tuple(REGION_MEASURES),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Every measure for every map and region.

    Args:
        maps: float [..., cells], >= 0; NaN where there is no map.
        covers: float [regions, cells], 0..1.
        measures: keys of `REGION_MEASURES`.
        progress: called as progress(steps done, of).

    Returns:
        float64 [regions, ...] by measure.

    Raises:
        RegionError: there is no such measure.
    """
    unknown = set(measures) - set(REGION_MEASURES)
    if unknown:
        raise RegionError(f"There is no measure {min(unknown)!r}; choose from {', '.join(REGION_MEASURES)}.")
    shape, cells = maps.shape[:-1], maps.shape[-1]
    flat = maps.reshape(-1, cells)
    covers = np.asarray(covers)
    result = {name: np.empty((len(covers), len(flat))) for name in measures}
    quick = [name for name in ("mass", "chance", "lift") if name in measures]
    if quick:
        _quick(flat, covers, {name: result[name] for name in quick})
    slow = [name for name in measures if name not in quick]
    step = max(1, CHUNK // cells)
    starts = range(0, len(flat), step)
    for done, start in enumerate(starts if slow else (), 1):
        part = np.ascontiguousarray(flat[start : start + step])
        for name, values in at_once(part, covers, slow).items():
            result[name][:, start : start + step] = values
        if progress is not None:
            progress(done, len(starts))
    return {name: values.reshape(len(covers), *shape) for name, values in result.items()}


def _quick(flat: np.ndarray, covers: np.ndarray, into: dict[str, np.ndarray]) -> None:
    """Mass, chance and lift of all maps in one product, in the maps' own precision."""
    defined = [not set(WEIGHED) & set(undefined_on(cover)) for cover in covers]
    sides = np.concatenate([covers, np.ones((1, covers.shape[1]))]).astype(flat.dtype)
    sums = (flat @ sides.T).T.astype(np.float64)
    total = np.where(sums[-1] > 0, sums[-1], np.nan)
    share = np.asarray(covers, np.float64).mean(1)[:, None]
    mass = sums[:-1] / total * np.where(defined, 1.0, np.nan)[:, None]
    if "mass" in into:
        into["mass"][:] = mass
    if "chance" in into:
        into["chance"][:] = np.where(np.isnan(total), np.nan, share)
    if "lift" in into:
        into["lift"][:] = mass / np.where(share > 0, share, np.nan)


def covers_of(regions: Sequence[Region], size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Coverage of regions, float32 [regions, rows * cols]; size is the picture's width, height in pixels."""
    return np.stack([coverage(region_mask(region, size), grid).reshape(-1) for region in regions])


def score_stack(
    stack: MapStack,
    regions: Sequence[Region],
    size: tuple[int, int],
    measures: Sequence[str] = tuple(REGION_MEASURES),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Scores of all layers and heads, and of their mean in the last place of the head axis.

    Returns:
        float64 [regions, layers, heads + 1] by measure.

    Raises:
        RegionError: no regions were given, two have the same name, or there is no such measure.
    """
    if not regions:
        raise RegionError("Nothing to score: draw or name at least one region.")
    check_names(regions)
    maps = np.concatenate([stack.values, stack.mean[:, None]], axis=1)
    covers = covers_of(regions, size, (stack.grid.rows, stack.grid.cols))
    return score_maps(maps.reshape(*maps.shape[:2], -1), covers, measures, progress)


def score(
    run: Run,
    region: Region,
    layer: int,
    head: int | Literal["mean"] = "mean",
    query: Query | None = None,
    picture: int = 0,
) -> Score:
    """How one map of a run lies on a region.

    Args:
        run: a model's answer, with its trace.
        region: in pixels of that picture.
        layer: counted from 0.
        head: counted from 0, or "mean".
        query: the tokens that ask; by default the whole answer.
        picture: which picture of the case.

    Raises:
        QueryError: there is no such layer, head, token or picture.
        RegionError: the region cannot be drawn.
    """
    stack = map_stack(run, query, picture)
    number = MEAN if head == "mean" else int(head)
    values = stack.map(layer, number).values.reshape(1, -1)
    cover = covers_of([region], run.case.pictures[picture].size, (stack.grid.rows, stack.grid.cols))
    scores = {name: float(found[0, 0]) for name, found in score_maps(values, cover).items()}
    reasons = undefined_measures(values[0], cover[0])
    return Score(region.name, region.expect, layer, number, **scores, reasons=reasons)


def why_undefined(values: np.ndarray, cover: np.ndarray) -> str | None:
    """Why some measures of a map [cells] on a coverage [cells] are undefined; None when all are defined."""
    return joined(undefined_measures(values, cover))


def joined(reasons: dict[str, str]) -> str | None:
    """Different reasons in one text, one sentence each; None where there are none."""
    return " ".join(dict.fromkeys(reasons.values())) or None


def score_table(run: Run, regions: Sequence[Region], query: Query | None = None, picture: int = 0) -> pd.DataFrame:
    """Scores of every layer and head for every region.

    Returns:
        One row per region, layer and head (head -1 is the mean), with the columns of `Score` but for `reasons`.

    Raises:
        QueryError, RegionError: as `score`, and where two regions have the same name.
    """
    import pandas as pd  # half a second that the command line's help need not wait for

    stack = map_stack(run, query, picture)
    scores = score_stack(stack, regions, run.case.pictures[picture].size)
    layers, heads = stack.values.shape[:2]
    index = pd.MultiIndex.from_product(
        [range(len(regions)), range(layers), [*range(heads), MEAN]], names=["region", "layer", "head"]
    )
    table = pd.DataFrame({name: values.reshape(-1) for name, values in scores.items()}, index=index).reset_index()
    table.insert(1, "expect", [regions[n].expect for n in table["region"]])
    table["region"] = [regions[n].name for n in table["region"]]
    return table[[one.name for one in fields(Score) if one.name != "reasons"]]
