"""Which layers and heads tell the two runs apart, and which differences are no more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps.identity import identity_of

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.compare.differ import Comparison
    from qwenvl_debug.compare.noise import NoiseFloor


@dataclass(frozen=True, eq=False)
class Ranking:
    """Layers and heads, those that stand furthest above the noise first.

    Attributes:
        layers: one line per layer: layer, then each figure and its floor (distance, distance_floor, share, …), score
            (the greatest figure as a multiple of its floor; NaN without a map) and above (whether that exceeds 1).
            The figures are those of the head-mean maps.
        heads: the same for every head, with the column head.
        rule: how the floor was found.
    """

    layers: pandas.DataFrame
    heads: pandas.DataFrame
    rule: str

    def top(self) -> tuple[int, int] | None:
        """The layer that stands out most and its head that does, -1 where only the mean of its heads does; None where
        no layer and no head is above the noise."""
        heads, layers = self.heads[self.heads["above"]], self.layers[self.layers["above"]]
        if len(layers):
            layer = int(layers.iloc[0]["layer"])
            inside = heads[heads["layer"] == layer]
            return layer, int(inside.iloc[0]["head"]) if len(inside) else -1
        return (int(heads.iloc[0]["layer"]), int(heads.iloc[0]["head"])) if len(heads) else None

    def share_above(self) -> float:
        """Share of the heads that have a map and stand above the noise, 0..1; NaN where none has a map."""
        known = self.heads["score"].notna()
        return float(self.heads["above"][known].mean()) if known.any() else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: both tables and what they open on (NaN as None)."""
        top = self.top()
        return {
            "top": None if top is None else {"layer": top[0], "head": top[1]},
            "share_of_heads_above": None if np.isnan(self.share_above()) else self.share_above(),
            "layers": records(self.layers),
            "heads": records(self.heads),
        }


def rank(comparison: Comparison, noise: NoiseFloor) -> Ranking:
    """Order the layers and heads of a comparison by how far they stand above the noise.

    Args:
        comparison: a correct and a failing run.
        noise: measured on the correct run of it, with the same words, picture and normalisation.

    Raises:
        QueryError: the noise was measured on something else.
    """
    _check(comparison, noise)
    values = comparison.figures.values
    known = {name: (values[name], noise.floor[name]) for name in values if name in noise.floor}
    # A figure that is not defined (no map, or compared by region) does not speak, and so does not stand out.
    with np.errstate(invalid="ignore"):
        ratios = np.stack([value / floor for value, floor in known.values()])
    score = np.where(np.isnan(ratios).all(0), np.nan, np.nan_to_num(ratios, nan=-np.inf).max(0))
    layers, heads = score.shape[0], score.shape[1] - 1
    return Ranking(
        layers=_table({"layer": np.arange(layers)}, known, score, np.s_[:, -1]),
        heads=_table(
            {"layer": np.repeat(np.arange(layers), heads), "head": np.tile(np.arange(heads), layers)},
            known,
            score,
            np.s_[:, :-1],
        ),
        rule=noise.rule,
    )


def _check(comparison: Comparison, noise: NoiseFloor) -> None:
    """Refuse a noise floor of another run, other words, another view or other regions.

    Raises:
        QueryError: it is one.
    """
    left = comparison.left
    if noise.identity is not None and noise.identity != identity_of(comparison.asked[0]):
        raise QueryError("The noise floor was measured on another run: measure it on comparison.asked[0].")
    if (noise.query.tokens, noise.normalisation, noise.picture) != (
        left.query.tokens,
        left.normalisation,
        left.grid.picture,
    ):
        raise QueryError("The noise was measured with other words or another view: measure it for this comparison.")
    for region in comparison.left_regions:
        if noise.regions.get(region.name, region) != region:
            raise QueryError(
                f"The noise floor was measured on another region “{region.name}”: measure it for this comparison."
            )


def _table(
    first: dict[str, np.ndarray], known: dict[str, tuple[np.ndarray, np.ndarray]], score: np.ndarray, part: Any
) -> pandas.DataFrame:
    import pandas  # half a second that `qwenvl-debug --help` need not wait for

    columns = dict(first)
    for name, (value, floor) in known.items():
        columns |= {name: value[part].ravel(), f"{name}_floor": floor[part].ravel()}
    columns |= {"score": score[part].ravel(), "above": np.nan_to_num(score[part].ravel()) > 1}
    return pandas.DataFrame(columns).sort_values(
        "score", ascending=False, kind="stable", na_position="last", ignore_index=True
    )


def records(table: pandas.DataFrame) -> list[dict[str, Any]]:
    """The lines of a table, JSON-ready (NaN as None)."""
    return [{key: None if value != value else value for key, value in row.items()} for row in table.to_dict("records")]
