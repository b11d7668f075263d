"""A correct and a failing run made ready for patching: which cell and which token of one is which of the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import torch

from qwenvl_debug.causes.cells import Cells
from qwenvl_debug.causes.contrast import contrast
from qwenvl_debug.causes.interventions import At, PatchFeatures, PatchStates, tokens_of
from qwenvl_debug.causes.subject import Subject
from qwenvl_debug.compare import align
from qwenvl_debug.errors import CauseError
from qwenvl_debug.model.taps import Features, Place

if TYPE_CHECKING:
    from qwenvl_debug.compare import Alignment
    from qwenvl_debug.model import Run

GROUPS = ("region", "margin", "other cells", "question", "last prompt token", "answer so far")
"""The groups of tokens that a causal grid patches one by one, in the order of the sequence."""


class Pair:
    """Both runs with their passes kept.

    Patching takes from `source` and puts into `target`: the correct run's values into the failing run restores, the
    reverse breaks.

    Args:
        correct, failing: runs of one model.
        expected: the right answer; by default the correct run's own.
        alignment: how the failing image lies in the correct one; found by itself where it is not given.
        image: which image of both cases.
        cancel: an event; when it is set the work stops within a layer.

    Attributes:
        correct, failing: the subjects.
        alignment: as given or found.
        contrast: the two answers.

    Raises:
        CauseError: the runs are of different models, or there is no failure to explain.
    """

    def __init__(
        self,
        correct: Run,
        failing: Run,
        *,
        expected: str | None = None,
        alignment: Alignment | None = None,
        image: int = 0,
        cancel: Event | None = None,
    ) -> None:
        if correct.model is None or correct.model is not failing.model:
            raise CauseError("Both runs must be of one loaded model: ask both cases with the same model.")
        self.image = image
        self.contrast = contrast(failing, correct, expected)
        pictures = [run.case.pictures[image] for run in (correct, failing)]
        self.alignment = alignment or align(*pictures)
        self.failing = Subject(failing, self.contrast, cancel)
        self.correct = Subject(correct, self.contrast, cancel)

    @property
    def gap(self) -> float:
        """LD of the correct run less that of the failing one, in logits: what a full restoration would gain."""
        return self.correct.reading.difference - self.failing.reading.difference

    def recovered(self, difference: float) -> float:
        """How much of the gap an LD of the failing run has won back: 0 as it was, 1 as in the correct run."""
        return (difference - self.failing.reading.difference) / self.gap

    @cached_property
    def cell_map(self) -> np.ndarray:
        """int64 [cells]: for each cell of the failing image the cell of the correct one that shows its centre; -1 where
        the correct image does not show it, everywhere where the images are not aligned."""
        mine, its = (subject.asked.grids[self.image] for subject in (self.failing, self.correct))
        sizes = [subject.run.case.pictures[self.image].size for subject in (self.failing, self.correct)]
        if self.alignment.homography is None:
            return np.full(mine.rows * mine.cols, -1)
        y, x = np.mgrid[0 : mine.rows, 0 : mine.cols] + 0.5
        points = np.stack([x * sizes[0][0] / mine.cols, y * sizes[0][1] / mine.rows, np.ones_like(x)], -1)
        there = points.reshape(-1, 3) @ np.linalg.inv(self.alignment.homography).T
        with np.errstate(divide="ignore", invalid="ignore"):
            column = there[:, 0] / there[:, 2] * its.cols / sizes[1][0]
            row = there[:, 1] / there[:, 2] * its.rows / sizes[1][1]
        inside = (there[:, 2] > 0) & (column >= 0) & (column < its.cols) & (row >= 0) & (row < its.rows)
        found = np.full(len(there), -1)
        found[inside] = np.floor(row[inside]).astype(int) * its.cols + np.floor(column[inside]).astype(int)
        return found

    def patchable(self, cells: Cells) -> Cells:
        """Those cells that both images show."""
        return Cells(cells.image, tuple(cell for cell in cells.index if self.cell_map[cell] >= 0), cells.shape)

    def check_aligned(self) -> None:
        """Refuse to patch where no cell of one image is known to be a cell of the other.

        Raises:
            CauseError: they are not aligned.
        """
        if self.alignment.homography is None:
            raise CauseError(
                "The two images are not aligned, so no cell of one is known to be a cell of the other and nothing can "
                "be patched: use boost, block and occlude, which need no second image."
            )

    def features(self, cells: Cells) -> PatchFeatures:
        """The correct run's image features at cells of the failing image.

        Raises:
            CauseError: the images are not aligned, or the correct one shows none of the cells.
        """
        self.check_aligned()
        cells = self.patchable(cells)
        if not len(cells):
            raise CauseError("The correct image shows nothing of these cells, so there is nothing to patch them with.")
        its = [int(self.cell_map[cell]) for cell in cells.index]
        if self.correct.model.generation.resampler(self.correct.model.network) is not None:
            return PatchFeatures(cells, Features(self.correct.patches[self.image, its]), "the correct run")
        where = tokens_of(self.correct.asked, self.correct.positions(self.image, its))
        return PatchFeatures(cells, self.correct.pass_.features.at(torch.tensor(where)), "the correct run")

    def states(self, at: At, layer: int, group: Group, direction: str = "restore") -> PatchStates:
        """The other run's vectors of a group of tokens.

        Args:
            at: see `PatchStates`.
            layer: see `PatchStates`.
            group: the tokens.
            direction: "restore" for the correct run's, to be put into the failing one; "break" for the reverse.

        Raises:
            CauseError: the group is empty.
        """
        if not group.failing:
            raise CauseError(f"There is no token in the group “{group.name}” that both sequences have.")
        restore = direction == "restore"
        source, its = (self.correct, group.correct) if restore else (self.failing, group.failing)
        mine, name = (group.failing, "the correct run") if restore else (group.correct, "the failing run")
        # Several cells of one image may show one cell of the other: it is patched once.
        order = sorted({position: n for n, position in reversed(list(enumerate(mine)))}.values(), key=mine.__getitem__)
        mine, its = (tuple(one[n] for n in order) for one in (mine, its))
        if at != "residual":
            values = source.pass_.output(Place("attention_output" if at == "attention" else "mlp_output", layer))
            return PatchStates(at, layer, mine, values[list(its)], None, name)
        pictures = source.asked.pictures
        image = tokens_of(source.asked, [p for p in its if p < len(pictures) and pictures[p] is not None])
        features = source.pass_.features.at(torch.tensor(image, dtype=torch.long))
        return PatchStates(at, layer, mine, source.pass_.state(layer)[list(its)], features, name)

    def groups(self, region: Cells | None = None) -> list[Group]:
        """The groups of tokens that a causal grid patches; those that one of the sequences lacks are left out.

        Args:
            region: cells of the failing image; without it the image is one group.
        """
        made: list[Group] = []
        if self.alignment.homography is not None:
            everything = Cells.of(self.image, np.ones(self.shape, bool))
            parts = {"image": everything}
            if region is not None:
                margin = region.margin()
                parts = {"region": region, "margin": margin, "other cells": region.rest().without(margin)}
            made += [self._cells_group(name, cells) for name, cells in parts.items()]
        made.append(self._text_group("question", "question"))
        last = [len(subject.asked.ids) - 1 for subject in (self.failing, self.correct)]
        made.append(Group("last prompt token", (last[0],), (last[1],)))
        more = [range(len(s.asked.ids), s.pass_.length) for s in (self.failing, self.correct)]
        if len(more[0]) == len(more[1]):
            made.append(Group("answer so far", tuple(more[0]), tuple(more[1])))
        return [group for group in made if group.failing]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the failing image's grid."""
        grid = self.failing.asked.grids[self.image]
        return grid.rows, grid.cols

    def _cells_group(self, name: str, cells: Cells) -> Group:
        kept = self.patchable(cells)
        its = [int(self.cell_map[cell]) for cell in kept.index]
        mine = self.failing.positions(self.image, kept.index)
        return Group(name, tuple(mine), tuple(self.correct.positions(self.image, its)))

    def _text_group(self, name: str, kind: str) -> Group:
        found = [[n for n, one in enumerate(s.asked.kinds) if one == kind] for s in (self.failing, self.correct)]
        words = [
            [s.asked.ids[n] for n in positions]
            for s, positions in zip((self.failing, self.correct), found, strict=True)
        ]
        return Group(name, *map(tuple, found)) if words[0] == words[1] else Group(name, (), ())


@dataclass(frozen=True)
class Group:
    """Tokens that are patched together.

    Attributes:
        name: one of `GROUPS`, or "image".
        failing: their positions in the failing sequence, ascending.
        correct: where their counterparts stand in the correct one.
    """

    name: str
    failing: tuple[int, ...]
    correct: tuple[int, ...]
