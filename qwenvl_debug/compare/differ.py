"""How differently did the model look in a correct and a failing case: every layer and head, on the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.compare.align import common_grid
from qwenvl_debug.compare.region_mass import RegionChoice, RegionMass, region_masses
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import MapStack, Normalisation, Query, answer_query, jensen_shannon, map_stack

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.model import Run


@dataclass(frozen=True, eq=False)
class Comparison:
    """A correct and a failing run side by side.

    Attributes:
        correct, failing: the runs that were given, with the answers the model chose itself.
        left, right: the maps of the correct and of the failing side.
        divergence: float32 [layers, heads], Jensen-Shannon divergence in bits between the two sides' maps of that
            head on a common grid, 0..1; NaN where either side has no map.
        divergence_mean: float32 [layers], the same between the head-mean maps.
        target: the answer both sides were made to give, or None where each side asked with its own words.
        asked: the runs whose tokens the queries of `left` and `right` name: the given ones, or with a target the
            two forced ones.
        regions: the mass of every map on each region that was given.
    """

    correct: Run
    failing: Run
    left: MapStack
    right: MapStack
    divergence: np.ndarray
    divergence_mean: np.ndarray
    target: str | None
    asked: tuple[Run, Run]
    regions: tuple[RegionMass, ...] = ()

    def most_different_layer(self) -> int | None:
        """The layer whose head-mean maps lie furthest apart; None where no layer has a map on both sides."""
        if np.isnan(self.divergence_mean).all():
            return None
        return int(np.nanargmax(self.divergence_mean))

    def table(self) -> pandas.DataFrame:
        """One line per layer and head, most different first; heads without a map on both sides come last.

        Returns:
            Columns layer, head, left and right (image shares), difference (Jensen-Shannon divergence),
            left_entropy, right_entropy; and for each region left_mass_NAME, right_mass_NAME, left_chance_NAME,
            right_chance_NAME.
        """
        layers, heads = self.divergence.shape
        table = _frame(
            layer=np.repeat(np.arange(layers), heads),
            head=np.tile(np.arange(heads), layers),
            left=self.left.image_share.ravel(),
            right=self.right.image_share.ravel(),
            difference=self.divergence.ravel(),
            left_entropy=self.left.entropy.ravel(),
            right_entropy=self.right.entropy.ravel(),
            **self._masses(lambda mass: mass[:, :-1].ravel()),
        )
        return table.sort_values("difference", ascending=False, kind="stable", na_position="last", ignore_index=True)

    def layers(self) -> pandas.DataFrame:
        """One line per layer in the model's order, for the mean of its heads; the columns of `table` without head.

        left and right are mean image shares; the entropies, the difference and the masses are those of the head-mean
        maps.
        """
        return _frame(
            layer=np.arange(len(self.divergence_mean)),
            left=self.left.image_share_mean,
            right=self.right.image_share_mean,
            difference=self.divergence_mean,
            left_entropy=self.left.entropy_mean,
            right_entropy=self.right.entropy_mean,
            **self._masses(lambda mass: mass[:, -1]),
        )

    def _masses(self, of: Callable[[np.ndarray], np.ndarray]) -> dict[str, np.ndarray]:
        """Columns of mass and chance for each region; `of` picks the heads of a table."""
        columns = {}
        for one in self.regions:
            columns |= {f"left_mass_{one.name}": of(one.left_mass), f"right_mass_{one.name}": of(one.right_mass)}
            columns |= {f"left_chance_{one.name}": one.left_chance, f"right_chance_{one.name}": one.right_chance}
        return columns

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: both runs without arrays, who asked, and every number of `layers` and `table` (NaN as None)."""
        return {
            "correct": self.correct.to_dict(),
            "failing": self.failing.to_dict(),
            "target": self.target,
            "asked_with": {"correct": self.left.query.label, "failing": self.right.query.label},
            "picture": self.left.grid.picture,
            "normalisation": self.left.normalisation,
            "most_different_layer": self.most_different_layer(),
            "regions": [one.to_dict() for one in self.regions],
            "layers": _records(self.layers()),
            "heads": _records(self.table()),
        }


def compare(
    correct: Run,
    failing: Run,
    *,
    target: str | None = None,
    correct_query: Query | None = None,
    failing_query: Query | None = None,
    picture: int = 0,
    normalisation: Normalisation = "picture",
    regions: RegionChoice | Sequence[RegionChoice] | None = None,
) -> Comparison:
    """Compare where a model looked in two runs.

    Args:
        correct: the run that went well.
        failing: the run that went wrong.
        target: make both sides give this answer, and let all its words ask, so that both are asked with the same
            words. Without it each side's own answer asks.
        correct_query, failing_query: other tokens to ask with, in place of a target.
        picture: which picture of each case, from 0.
        normalisation: "picture" or "row"; it changes the maps and their mean over heads, and through that mean
            `divergence_mean`, but not the divergence of a single head.
        regions: where to measure how much of the attention lies: a region in pixels of the correct picture, which is
            fitted to the failing one; a pair (correct, failing) of regions, each in pixels of its own picture, None
            where a side has none; or a list of these.

    Raises:
        QueryError: target and queries together, tokens or pictures that do not exist, or runs of two models whose
            layers and heads are not the same in number.
        CaseError: a target was given but a run no longer has its model.
        RegionError: the regions are none, or two have one name.
    """
    if target is not None and (correct_query or failing_query):
        raise QueryError("Ask with a target answer or with chosen tokens, not with both.")
    if (correct.trace.n_layers, correct.trace.n_heads) != (failing.trace.n_layers, failing.trace.n_heads):
        raise QueryError(
            f"The correct run's model has {correct.trace.n_layers} layers of {correct.trace.n_heads} heads, the "
            f"failing one's {failing.trace.n_layers} of {failing.trace.n_heads}: compare runs of one model."
        )
    asked = (correct, failing)
    if target is not None:
        asked = tuple(run if run.target == target else run.force(target) for run in asked)
        correct_query, failing_query = (answer_query(run) for run in asked)
    left = map_stack(asked[0], correct_query, picture, normalisation)
    right = map_stack(asked[1], failing_query, picture, normalisation)
    return Comparison(
        correct,
        failing,
        left,
        right,
        divergence=_divergence(left.values, right.values),
        divergence_mean=_divergence(left.mean, right.mean),
        target=target,
        asked=asked,
        regions=() if regions is None else region_masses(regions, left, right, _sizes(correct, failing, picture)),
    )


def _sizes(correct: Run, failing: Run, picture: int) -> tuple[tuple[int, int], tuple[int, int]]:
    return correct.case.pictures[picture].size, failing.case.pictures[picture].size


def _divergence(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """float32 [layers, ...] from maps [layers, ..., rows, cols], a layer at a time to keep memory small."""

    def of_layer(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        one, other = common_grid(one, other)
        return jensen_shannon(one.reshape(*one.shape[:-2], -1), other.reshape(*other.shape[:-2], -1))

    return np.stack([of_layer(*pair) for pair in zip(left, right, strict=True)]).astype(np.float32)


def _frame(**columns: np.ndarray) -> pandas.DataFrame:
    import pandas  # half a second that `qwenvl-debug --help` need not wait for

    return pandas.DataFrame(columns)


def _records(table: pandas.DataFrame) -> list[dict[str, Any]]:
    return [{key: None if value != value else value for key, value in row.items()} for row in table.to_dict("records")]
