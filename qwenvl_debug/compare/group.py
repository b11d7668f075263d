"""Does one case stand out from several of the other kind: a failing one from correct ones, or the other way round?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import Normalisation, ask_neutral, map_stack
from qwenvl_debug.maps.identity import unlike_network
from qwenvl_debug.maps.normalise import NORMALISATIONS, check_normalisation
from qwenvl_debug.maps.words import word_query
from qwenvl_debug.regions import Region, check_names, covers_of, score_maps

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.model import Run

LEAST_OTHERS = 3
"""Fewer make no band to stand out of."""
PERCENTILES_FROM = 10
"""From this many others on, the band is the middle 80 % rather than all of them."""
FAR, LEAST_SPREAD = 3.0, 0.01

RULE = (
    "The one stands out at a layer where it lies outside the whole range of the others, and further from their median "
    f"than {FAR:g} times their usual distance from it (1.48 times the median distance, at least {LEAST_SPREAD:g})."
)
"""When it is said to stand out; 1.48 makes the median distance a standard deviation where the others vary normally."""


@dataclass(frozen=True, eq=False)
class GroupComparison:
    """One run beside several others, layer by layer, for the mean of the heads.

    Attributes:
        one: the run that may stand out, as it was given.
        others: the runs it is held against.
        asked: the runs whose words asked, the one first: those that were given, or the same with the target fed in.
            Where such a run is forced, its answer is not what the model said.
        curves: by figure ("share", "entropy", "mass_NAME"), float64 [1 + others, layers], the one first; NaN without
            a map or without that region.
        band: what `low` and `high` are, in words.
    """

    one: Run
    others: tuple[Run, ...]
    asked: tuple[Run, ...]
    curves: dict[str, np.ndarray]
    band: str

    def table(self) -> pandas.DataFrame:
        """One line per figure and layer: figure, layer, one, mean, low, high, stands_out (see `RULE`)."""
        import pandas  # half a second that `qwenvl-debug --help` need not wait for

        parts = []
        for figure, curves in self.curves.items():
            one, others = curves[0], curves[1:]
            mean, low, high = _band(others)
            parts.append(
                pandas.DataFrame(
                    {
                        "figure": figure,
                        "layer": np.arange(len(one)),
                        "one": one,
                        "mean": mean,
                        "low": low,
                        "high": high,
                        "stands_out": stands_out(one, others),
                    }
                )
            )
        return pandas.concat(parts, ignore_index=True)

    def layers_out(self, figure: str) -> tuple[int, ...]:
        """The layers at which the one stands out by a figure.

        Raises:
            QueryError: there is no such figure.
        """
        if figure not in self.curves:
            raise QueryError(f"There is no figure “{figure}” here: choose from {', '.join(self.curves)}.")
        return tuple(np.flatnonzero(stands_out(self.curves[figure][0], self.curves[figure][1:])).tolist())


def compare_group(
    one: Run,
    others: Sequence[Run],
    *,
    target: str | None = None,
    word: str | None = None,
    picture: int = 0,
    normalisation: Normalisation = "picture",
    regions: Sequence[Sequence[Region]] = (),
) -> GroupComparison:
    """Hold one run against several.

    Args:
        one: the run that may stand out, such as a failing one.
        others: at least three runs of the same model, such as correct ones.
        target: make every run give this answer, and let its words ask; by default each run's own answer asks.
        word: a word that stands in every question asks instead.
        picture: which picture of each case.
        normalisation: of the maps, see `qwenvl_debug.maps.NORMALISATIONS`.
        regions: for the one and then for each of the others, regions in pixels of its own picture; those of one name
            make one curve.

    Raises:
        QueryError: too few others, runs of unlike models or settings, target and word together, a word that does not
            stand in a question, or no such normalisation.
        CaseError: a run would have to be asked again and holds no model.
        RegionError: a region cannot be drawn, or two of one case have the same name.
    """
    check_normalisation(normalisation)
    runs = (one, *others)
    if len(others) < LEAST_OTHERS:
        raise QueryError(f"A group needs at least {LEAST_OTHERS} cases to be held against: add more.")
    if target is not None and word is not None:
        raise QueryError("Ask with a target answer or with a word, not with both.")
    for number, run in enumerate(others):
        unlike = unlike_network(one, run)
        if unlike is not None:
            raise QueryError(f"Case {number} of the group comes from {unlike}: compare runs of one model.")
    if regions and len(regions) != len(runs):
        raise QueryError(f"Regions are given for {len(regions)} of {len(runs)} cases: give a list for each.")
    for several in regions:
        check_names(several)
    names = list(dict.fromkeys(region.name for several in regions for region in several))
    layers = one.trace.n_layers
    curves = {
        name: np.full((len(runs), layers), np.nan) for name in ("share", "entropy", *(f"mass_{name}" for name in names))
    }
    asked = tuple(run if target is None or run.target == target else run.force(target) for run in runs)
    for number, run in enumerate(asked):
        query = None if word is None else word_query(run, word)
        neutral = ask_neutral(run) if NORMALISATIONS[normalisation].needs_neutral else None
        stack = map_stack(run, query, picture, normalisation, neutral=neutral)
        curves["share"][number], curves["entropy"][number] = stack.image_share_mean, stack.entropy_mean
        own = regions[number] if regions else ()
        if own:
            covers = covers_of(own, run.case.pictures[picture].size, (stack.grid.rows, stack.grid.cols))
            masses = score_maps(stack.mean.reshape(layers, -1), covers, ["mass"])["mass"]
            for region, mass in zip(own, masses, strict=True):
                curves[f"mass_{region.name}"][number] = mass
    return GroupComparison(one, tuple(others), asked, curves, _band_name(len(others)))


def stands_out(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Where one stands out of others; see `RULE`.

    Args:
        one: float [layers].
        others: float [others, layers].

    Returns:
        bool [layers]; False where fewer than three others, or the one, have a value.
    """
    known = (~np.isnan(others)).sum(0) >= LEAST_OTHERS
    result = np.zeros(len(one), bool)
    those, value = others[:, known], one[known]
    middle = np.nanmedian(those, axis=0)
    spread = np.maximum(1.4826 * np.nanmedian(np.abs(those - middle), axis=0), LEAST_SPREAD)
    outside = (value < np.nanmin(those, axis=0)) | (value > np.nanmax(those, axis=0))
    result[known] = outside & (np.abs(value - middle) > FAR * spread)
    return result


def _band(others: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, low and high of [others, layers]; NaN where none has a value."""
    result = np.full((3, others.shape[1]), np.nan)
    known = ~np.isnan(others).all(0)
    low, high = (10, 90) if len(others) >= PERCENTILES_FROM else (0, 100)
    those = others[:, known]
    result[:, known] = np.nanmean(those, 0), np.nanpercentile(those, low, axis=0), np.nanpercentile(those, high, axis=0)
    return tuple(result)


def _band_name(count: int) -> str:
    if count >= PERCENTILES_FROM:
        return f"the middle 80 % of {count} cases"
    return f"from the least to the greatest of {count} cases"
