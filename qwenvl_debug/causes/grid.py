"""Where the difference between two runs is carried, layer by layer: the causal grid.

For each layer and each group of tokens the correct run's residual stream is put into the failing run (or the reverse),
and the share of the gap that comes back is noted. Read from left to right it shows the way of the information: early
layers restore through the image, late ones through the last prompt token, and where the one gives way to the other the
answer's word reads the image (cross-modal information flow, Zhang et al. 2025, arXiv 2411.18620).

Each patch starts from the kept residual stream of its layer and from its first changed row, see `model.replay`; all
groups of a layer that begin at one row are patched together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qwenvl_debug.causes.cells import Cells, cells_of
from qwenvl_debug.causes.contrast import Contrast
from qwenvl_debug.causes.pair import Pair
from qwenvl_debug.causes.progress import Steps

if TYPE_CHECKING:
    import pandas

    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.compare import Alignment
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region

Direction = Literal["restore", "break"]


@dataclass(frozen=True)
class CausalGrid:
    """Effects of patching every group of tokens at every layer.

    Attributes:
        groups: names, in the order of the sequence.
        sizes: tokens in each.
        values: float64 [groups, layers + 1]: the share of the gap that the patch of the residual stream before layer l
            moves, 0 none and 1 all of it; the last column is what the final norm reads.
        direction: "restore" puts the correct run's values into the failing run, "break" the reverse.
        contrast: the two answers.
        gap: LD of the correct run less that of the failing one, in logits.
        aligned: how the images were aligned, for people.
    """

    groups: tuple[str, ...]
    sizes: tuple[int, ...]
    values: np.ndarray
    direction: Direction
    contrast: Contrast
    gap: float
    aligned: str

    def table(self) -> pandas.DataFrame:
        """One line for each layer and group: layer, group, tokens, recovered."""
        import pandas as pd

        layers = self.values.shape[1]
        lines = [
            (layer, name, size, float(self.values[number, layer]))
            for number, (name, size) in enumerate(zip(self.groups, self.sizes, strict=True))
            for layer in range(layers)
        ]
        return pd.DataFrame(lines, columns=["layer", "group", "tokens", "recovered"])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "direction": self.direction,
            "expected": self.contrast.expected,
            "given": self.contrast.given,
            "gap": self.gap,
            "aligned": self.aligned,
            "groups": list(self.groups),
            "tokens": list(self.sizes),
            "recovered": self.values.tolist(),
        }


def causal_grid(
    correct: Run | Pair,
    failing: Run | None = None,
    region: Region | Sequence[Region] | Cells | None = None,
    *,
    direction: Direction = "restore",
    expected: str | None = None,
    alignment: Alignment | None = None,
    image: int = 0,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> CausalGrid:
    """Patch every group of tokens at every layer.

    Args:
        correct, failing: runs of one model; or a `Pair` alone.
        region: on the failing image; it parts the image into region, margin and other cells.
        direction: "restore" or "break".
        expected, alignment, image: see `Pair`.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: the runs are of different models, or there is no failure to explain.
        Cancelled: `cancel` was set.
    """
    pair = correct
    if not isinstance(correct, Pair):
        pair = Pair(correct, failing, expected=expected, alignment=alignment, image=image, cancel=cancel)
    cells = region if isinstance(region, Cells) or region is None else cells_of(pair.failing.run, region, image)
    groups = pair.groups(cells)
    target = pair.failing if direction == "restore" else pair.correct
    layers = target.pass_.layers
    values = np.full((len(groups), layers + 1), np.nan)
    steps = Steps(progress, layers + 1)
    for layer in range(layers + 1):
        found = steps.take(f"layer {layer}", lambda layer=layer: _layer(pair, groups, layer, direction))
        values[:, layer] = found
    names, sizes = tuple(group.name for group in groups), tuple(len(group.failing) for group in groups)
    return CausalGrid(names, sizes, values, direction, pair.contrast, pair.gap, pair.alignment.kind)


def _layer(pair: Pair, groups: Sequence, layer: int, direction: Direction) -> list[float]:
    """The effect of each group at one layer, those that begin at one row in one pass."""
    target = pair.failing if direction == "restore" else pair.correct
    before = target.reading.difference
    changes = [pair.states("residual", layer, group, direction) for group in groups]
    found = [float("nan")] * len(groups)
    together: dict[int, list[int]] = {}
    for number, change in enumerate(changes):
        together.setdefault(min(change.positions), []).append(number)
    for numbers in together.values():
        patches = [(changes[n].positions, changes[n].values, changes[n].features) for n in numbers]
        for n, row in zip(numbers, target.pass_.patched(layer, patches), strict=True):
            change = target.contrast.read(row).difference - before
            found[n] = change / pair.gap if direction == "restore" else -change / pair.gap
    return found
