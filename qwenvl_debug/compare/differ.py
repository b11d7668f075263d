"""How differently did the model look in a correct and a failing case: every layer and head, on the same words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.compare.align import align, stated
from qwenvl_debug.compare.alignment import Alignment, Kind
from qwenvl_debug.compare.distance import with_mean
from qwenvl_debug.compare.figures import DISTANCE, SHARE, Figures, figures
from qwenvl_debug.compare.grids import Overlap, overlap
from qwenvl_debug.compare.noise import NoiseFloor
from qwenvl_debug.compare.rank import Ranking, rank, records
from qwenvl_debug.compare.region_mass import RegionMass, region_masses
from qwenvl_debug.compare.sided import SidedRegion, sided_regions
from qwenvl_debug.errors import QueryError
from qwenvl_debug.maps import NORMALISATIONS, MapStack, Normalisation, Query, answer_query, ask_neutral, map_stack
from qwenvl_debug.maps.identity import unlike_case, unlike_network

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region

SIDES = ("correct", "failing")


@dataclass(frozen=True, eq=False)
class Comparison:
    """A correct and a failing run side by side.

    Attributes:
        correct, failing: the runs that are compared, with the answers the model chose itself.
        left, right: the maps of the correct and of the failing side.
        target: the answer both sides were made to give, or None where each side asked with its own words.
        asked: the runs whose tokens the queries of `left` and `right` name: `correct` and `failing` themselves, or the
            same cases with an answer fed in (`Run.forced`), which the model need not have given.
        alignment: how the failing picture lies on the correct one.
        pieces: how the two grids lie on each other; None where the pictures are compared by region.
        figures: what the ranking is made of: map distance, difference of image share and of mass, by layer and head.
        regions: the mass of every map on each region that was given.
        noise: what harmless changes of the correct picture do to the same figures; None where it was not measured.
        ranking: the layers and heads by how far they stand above that noise; None without.
        neutral: the runs of the neutral question that the maps were held against, or None.
    """

    correct: Run
    failing: Run
    left: MapStack
    right: MapStack
    target: str | None
    asked: tuple[Run, Run]
    alignment: Alignment
    pieces: Overlap | None
    figures: Figures
    regions: tuple[RegionMass, ...] = ()
    noise: NoiseFloor | None = None
    ranking: Ranking | None = None
    neutral: tuple[Run, Run] | None = None

    @property
    def divergence(self) -> np.ndarray:
        """float32 [layers, heads]: map distance (Jensen-Shannon divergence in bits) between the two sides' maps of
        each head on the part of the pictures that both show, 0..1; NaN where either side has no map, and everywhere
        where the pictures are compared by region."""
        return self.figures.values[DISTANCE][:, :-1]

    @property
    def divergence_mean(self) -> np.ndarray:
        """float32 [layers]: the same between the head-mean maps."""
        return self.figures.values[DISTANCE][:, -1]

    def difference(self, side: int) -> np.ndarray | None:
        """The correct side's maps less the failing side's, laid on one side's grid.

        A cell of one grid gets what the cells of the other have on its part of the picture, by area.

        Args:
            side: 0 for the correct picture's grid, 1 for the failing one's.

        Returns:
            float32 [layers, heads + 1, rows, cols], the mean of the heads last, positive where the correct run looked
            more; NaN for layers without a map and for cells of which the other picture shows less than half. None
            where the pictures are compared by region: maps that are not laid on each other have no difference.
        """
        if self.pieces is None:
            return None
        stacks = self.left, self.right
        grid, heads = stacks[side].grid, self.left.values.shape[1]
        result = np.empty((len(self.left.values), heads + 1, grid.rows, grid.cols), np.float32)
        for layer in range(len(result)):
            left, right = (self.pieces.cut(with_mean(one, layer), n) for n, one in enumerate(stacks))
            result[layer] = self.pieces.gather(left - right, side).reshape(result.shape[1:])
        return result

    @property
    def left_regions(self) -> tuple[Region, ...]:
        """The regions on the correct image, drawn there or carried there: what its noise floor is measured on."""
        return tuple(one.left for one in self.regions if one.left is not None)

    def with_regions(
        self,
        *,
        regions: Region | Sequence[Region] = (),
        left_regions: Region | Sequence[Region] = (),
        right_regions: Region | Sequence[Region] = (),
    ) -> Comparison:
        """The same comparison measured on other regions, without its noise floor.

        Args:
            regions, left_regions, right_regions: see `compare`.

        Raises:
            RegionError: as `compare`.
        """
        number = self.left.grid.picture
        sizes = tuple(run.case.pictures[number].size for run in self.asked)
        return self.measured_on(
            sided_regions(
                self.alignment, sizes, regions=regions, left_regions=left_regions, right_regions=right_regions
            )
        )

    def measured_on(self, sided: Sequence[SidedRegion]) -> Comparison:
        """The same with regions that are on both images already, such as those of a stored comparison.

        Raises:
            RegionError: a region cannot be drawn.
        """
        number = self.left.grid.picture
        sizes = tuple(run.case.pictures[number].size for run in self.asked)
        masses = region_masses(sided, self.left, self.right, sizes)
        found = figures(self.left, self.right, self.pieces, masses)
        return replace(self, regions=masses, figures=found, noise=None, ranking=None)

    def with_noise(self, noise: NoiseFloor) -> Comparison:
        """The same comparison with its layers and heads ranked above a noise floor.

        Raises:
            QueryError: the noise was measured on something else.
        """
        return replace(self, noise=noise, ranking=rank(self, noise))

    def most_different_layer(self) -> int | None:
        """The layer whose head-mean maps lie furthest apart; None where no layer has a map on both sides."""
        if np.isnan(self.divergence_mean).all():
            return None
        return int(np.nanargmax(self.divergence_mean))

    def opens_on(self) -> tuple[int, int] | None:
        """The layer and head (-1 for the mean) to look at first: what stands furthest above the noise; where nothing
        does or it was not measured, the most different layer, or by region that whose image shares differ most; None
        where no layer has a map on both sides."""
        top = self.ranking.top() if self.ranking else None
        if top is not None:
            return top
        means = (self.divergence_mean, self.figures.values[SHARE][:, -1])
        known = next((one for one in means if not np.isnan(one).all()), None)
        return None if known is None else (int(np.nanargmax(known)), -1)

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
        """JSON-ready: both runs without arrays, who asked, and every number of `layers` and `table` (NaN as None).

        "correct" and "failing" are the model's own runs. "asked" has the runs whose words asked, by side: None where
        that is the model's own run, else the run with an answer fed in, marked as forced.
        """
        own = (self.correct, self.failing)
        return {
            "correct": self.correct.to_dict(),
            "failing": self.failing.to_dict(),
            "asked": {
                side: None if run is asked else asked.to_dict()
                for side, run, asked in zip(SIDES, own, self.asked, strict=True)
            },
            "target": self.target,
            "asked_with": {"correct": self.left.query.label, "failing": self.right.query.label},
            "picture": self.left.grid.picture,
            "normalisation": self.left.normalisation,
            "alignment": self.alignment.to_dict(),
            "noise_floor": None if self.noise is None else self.noise.to_dict(),
            "ranking": None if self.ranking is None else self.ranking.to_dict(),
            "most_different_layer": self.most_different_layer(),
            "regions": [one.to_dict() for one in self.regions],
            "layers": records(self.layers()),
            "heads": records(self.table()),
        }


def compare(
    correct: Run,
    failing: Run,
    *,
    target: str | None = None,
    correct_query: Query | None = None,
    failing_query: Query | None = None,
    asked: tuple[Run, Run] | None = None,
    picture: int = 0,
    normalisation: Normalisation = "picture",
    regions: Region | Sequence[Region] = (),
    left_regions: Region | Sequence[Region] = (),
    right_regions: Region | Sequence[Region] = (),
    neutral: tuple[Run, Run] | None = None,
    alignment: Alignment | Kind | None = None,
    noise: NoiseFloor | None = None,
) -> Comparison:
    """Compare where a model looked in two runs.

    Args:
        correct: the run that went well.
        failing: the run that went wrong.
        target: make both sides give this answer, and let all its words ask, so that both are asked with the same
            words. Without it each side's own answer asks.
        correct_query, failing_query: other tokens to ask with, in place of a target.
        asked: the runs that these tokens belong to, where they are not `correct` and `failing` themselves: the same
            cases with an answer fed in (`Run.force`). `correct` and `failing` stay what the model said.
        picture: which picture of each case, from 0.
        normalisation: one of `qwenvl_debug.maps.NORMALISATIONS`, the same on both sides.
        regions: where to measure how much of the attention lies: regions on the correct image, each carried to the
            failing one by the alignment, and scaled by size where the images are compared by regions only.
        left_regions, right_regions: regions on the correct and on the failing image, each in its own pixels. Those of
            one name belong together; one whose name is on one image alone is carried to the other by the alignment, and
            has no counterpart where the images are not aligned.
        neutral: the runs of the neutral question about either picture (`qwenvl_debug.maps.ask_neutral`), which some
            normalisations are held against; asked here where they are needed and not given.
        alignment: how the failing picture lies on the correct one, as `align` found it or as a person states it
            ("same frame", "registered", "by region"); found out here by default.
        noise: what harmless changes do to the same figures (`noise_floor`), to rank layers and heads above it.

    Raises:
        QueryError: target and queries together, tokens or pictures that do not exist, runs of two models whose layers
            and heads are not the same in number, or `asked` or `neutral` runs that belong to other cases.
        CaseError: a target was given but a run no longer has its model.
        RegionError: the regions are none, two have one name, or one cannot be carried.
    """
    if target is not None and (correct_query or failing_query or asked):
        raise QueryError("Ask with a target answer or with chosen tokens, not with both.")
    if (correct.trace.n_layers, correct.trace.n_heads) != (failing.trace.n_layers, failing.trace.n_heads):
        raise QueryError(
            f"The correct run's model has {correct.trace.n_layers} layers of {correct.trace.n_heads} heads, the "
            f"failing one's {failing.trace.n_layers} of {failing.trace.n_heads}: compare runs of one model."
        )
    own = (correct, failing)
    asked = own if asked is None else asked
    for side, run, other in zip(SIDES, own, asked, strict=True):
        _check_asked(side, run, other)
    if target is not None:
        asked = tuple(run if run.target == target else run.force(target) for run in own)
        correct_query, failing_query = (answer_query(run) for run in asked)
    elif asked[0].target == asked[1].target:
        target = asked[0].target
    if neutral is None and NORMALISATIONS.get(normalisation) and NORMALISATIONS[normalisation].needs_neutral:
        neutral = _neutral(correct, failing)
    queries = (correct_query, failing_query)
    with ThreadPoolExecutor(2) as sides:  # NumPy and torch let go of the interpreter while they compute
        left, right = sides.map(
            lambda run, query, held: map_stack(run, query, picture, normalisation, neutral=held),
            asked,
            queries,
            neutral or (None, None),
        )
    if not isinstance(alignment, Alignment):
        pictures = (run.case.pictures[picture] for run in own)
        alignment = align(*pictures) if alignment is None else stated(alignment, *pictures)
    sizes = tuple(run.case.pictures[picture].size for run in own)
    grids = tuple((stack.grid.rows, stack.grid.cols) for stack in (left, right))
    pieces = None if alignment.homography is None else overlap(grids, sizes, alignment.homography)
    made = Comparison(
        correct,
        failing,
        left,
        right,
        target=target,
        asked=asked,
        alignment=alignment,
        pieces=pieces,
        figures=figures(left, right, pieces),
        neutral=neutral,
    )
    if regions or left_regions or right_regions:
        made = made.with_regions(regions=regions, left_regions=left_regions, right_regions=right_regions)
    return made if noise is None else made.with_noise(noise)


def _check_asked(side: str, run: Run, asked: Run) -> None:
    """Refuse a run that is to be asked in place of another but belongs to another case.

    Raises:
        QueryError: it does.
    """
    unlike = None if asked is run else unlike_network(run, asked) or unlike_case(run, asked)
    if unlike is not None:
        raise QueryError(f"The run to ask on the {side} side belongs to another case ({unlike}): force this very run.")


def _neutral(correct: Run, failing: Run) -> tuple[Run, Run]:
    """The neutral question about either case, asked once where one model gets it after the same pictures and words."""
    first = ask_neutral(correct)
    cases = [replace(run.case, question="?", expected=None) for run in (correct, failing)]
    same = correct.model is failing.model and cases[0] == cases[1]
    return first, first if same else ask_neutral(failing)


def _frame(**columns: np.ndarray) -> pandas.DataFrame:
    import pandas  # half a second that `qwenvl-debug --help` need not wait for

    return pandas.DataFrame(columns)
