"""How much do the figures move when nothing that matters has changed: the correct picture against itself, shifted by
two pixels, slightly brighter, saved as JPEG.

A model is not a smooth instrument: a change that no person would notice moves its attention a little, in some layers
more than in others. A difference between a correct and a failing case means something only where it is larger. The
floor of a head is the most that any harmless change moved any head of its layer, times `MARGIN`; that of a layer's
head mean is the most that the mean of any layer was moved, times the same.

The shifts go two pixels along one side and one along the other, each way round, so that both sides are moved and the
floor need not be drawn out far beyond what was measured. Changes and margin were chosen on the 12 pairs of the bundled
gallery; how they hold there and on held-out scenes, for changes that are not among these, is in docs/proof.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.compare.align import align, stated
from qwenvl_debug.compare.figures import DISTANCE, Figures, figures
from qwenvl_debug.compare.grids import overlap
from qwenvl_debug.compare.region_mass import region_masses
from qwenvl_debug.compare.sided import checked, sided_regions
from qwenvl_debug.errors import Cancelled, CaseError, QueryError
from qwenvl_debug.maps import Normalisation, Query, default_query, map_stack
from qwenvl_debug.maps.identity import answer_ids, identity_of, unlike_case, unlike_network
from qwenvl_debug.regions import Region

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

MARGIN = 2.0
"""How many times the harmless changes' effect a difference must have. A map distance grows with the square of a small
change, so there it is 4 times."""
ROUNDING = 1e-6
"""The floor is never below this: float32 does not tell smaller figures from none."""

Progress = Callable[[int, int, str], Any]


def shifted(pixels: np.ndarray, right: int = 1, down: int = 1) -> np.ndarray:
    """A picture moved by whole pixels, its border repeated."""
    padded = np.pad(pixels, ((max(down, 0), max(-down, 0)), (max(right, 0), max(-right, 0)), (0, 0)), "edge")
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(padded[max(-down, 0) :, max(-right, 0) :][:height, :width])


def brighter(pixels: np.ndarray, factor: float = 1.02) -> np.ndarray:
    """Every pixel times a factor."""
    return np.clip(np.rint(pixels * factor), 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int = 95) -> np.ndarray:
    """A picture saved as JPEG and read again."""
    _, packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    return np.ascontiguousarray(cv2.imdecode(packed, cv2.IMREAD_COLOR)[..., ::-1])


HARMLESS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "2 pixels right, 1 down": lambda pixels: shifted(pixels, 2, 1),
    "2 pixels left, 1 up": lambda pixels: shifted(pixels, -2, -1),
    "1 pixel right, 2 up": lambda pixels: shifted(pixels, 1, -2),
    "1 pixel left, 2 down": lambda pixels: shifted(pixels, -1, 2),
    "2 % brighter": brighter,
    "saved as JPEG 95": jpeg,
}
"""Changes that leave every answer what it should be."""


@dataclass(frozen=True, eq=False)
class NoiseFloor:
    """What harmless changes do to the figures of one run.

    Attributes:
        changes: names of the changes.
        figures: of each change, the run against itself.
        floor: by figure, float32 [layers, heads + 1], what a difference must exceed; NaN where it is not defined.
        query, normalisation, picture: what was measured.
        regions: by name, the regions on the run's image whose masses were measured.
        identity: of the run that it was measured on, see `identity_of`; None for figures of another origin.
    """

    changes: tuple[str, ...]
    figures: tuple[Figures, ...]
    floor: dict[str, np.ndarray]
    query: Query
    normalisation: Normalisation
    picture: int
    regions: dict[str, Region] = field(default_factory=dict)
    identity: tuple[Any, ...] | None = None

    @property
    def rule(self) -> str:
        """How the floor was found, in a sentence."""
        return (
            f"A head counts as different where a figure is more than {MARGIN:g} times what harmless changes of the "
            f"correct picture ({', '.join(self.changes)}) do to any head of its layer, and a layer where it is more "
            f"than {MARGIN:g} times what they do to any layer; {MARGIN**2:g} times for the map distance, which grows "
            "with the square of a small change."
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the changes, the rule, and the floor of the head means by layer (NaN as None)."""
        floor = {name: [None if np.isnan(v) else float(v) for v in one[:, -1]] for name, one in self.floor.items()}
        return {"changes": list(self.changes), "rule": self.rule, "layers": floor}


def harmless_runs(
    run: Run, *, picture: int = 0, progress: Progress | None = None, cancel: Event | None = None
) -> tuple[tuple[str, Run], ...]:
    """The case of a run with its picture harmlessly changed, made to give the very answer of that run.

    Args:
        run: the run; its model is asked once for every change.
        picture: which picture of the case is changed.
        progress: called as progress(changes done, of, name of the next).
        cancel: an event; when it is set the work stops.

    Raises:
        CaseError: the run was read from a file and holds no model.
        Cancelled: `cancel` was set.
    """
    if run.model is None:
        raise CaseError("This run was read from a file and holds no model: ask the case again to measure its noise.")
    answer = [run.tokens[index].id for index in (*run.thought_tokens, *run.answer_tokens)] if run.answer else []
    made = []
    for number, (name, change) in enumerate(HARMLESS.items()):
        if cancel is not None and cancel.is_set():
            raise Cancelled("Measuring the noise was stopped.")
        if progress is not None:
            progress(number, len(HARMLESS), name)
        pictures = list(run.case.pictures)
        pictures[picture] = Picture.open(change(pictures[picture].pixels), pictures[picture].name)
        case = replace(run.case, pictures=tuple(pictures))
        # A model that said nothing has no answer to be made to give; then its prompt is read alone.
        asked = {"target": answer} if answer else {"max_new_tokens": 1}
        made.append((name, run.model.ask(case, thinking=run.thinking, cancel=cancel, **asked)))
    if progress is not None:
        progress(len(HARMLESS), len(HARMLESS), "")
    return tuple(made)


def noise_floor(
    run: Run,
    *,
    target: str | None = None,
    query: Query | None = None,
    picture: int = 0,
    normalisation: Normalisation = "picture",
    neutral: Run | None = None,
    regions: Region | Sequence[Region] = (),
    copies: tuple[tuple[str, Run], ...] | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> NoiseFloor:
    """Measure how much harmless changes move the figures of a run.

    Args:
        run: the correct run, as it is asked in the comparison (`comparison.asked[0]`).
        target: make it give this answer first.
        query: the tokens that ask; by default the whole answer.
        picture, normalisation: as in the comparison.
        neutral: the neutral question's run of the unchanged picture, which serves the changed ones too.
        regions: of the run's image, such as `comparison.left_regions`; carried to each copy as in any comparison.
        copies: what `harmless_runs` returned for this run, to spare the model from being asked again.
        progress, cancel: see `harmless_runs`.

    Raises:
        QueryError, CaptureError, RegionError: as `compare`; or the copies belong to another run.
        CaseError: the run holds no model and no copies were given.
        Cancelled: `cancel` was set.
    """
    if target is not None and run.target != target:
        run = run.force(target)
    query = query or default_query(run)
    for name, copy in copies or ():
        _check_copy(run, name, copy, picture)
    copies = copies or harmless_runs(run, picture=picture, progress=progress, cancel=cancel)
    own = map_stack(run, query, picture, normalisation, neutral=neutral)
    shown = run.case.pictures[picture]
    sizes, grid = (shown.size, shown.size), (own.grid.rows, own.grid.cols)
    found = []
    for _, copy in copies:
        other = map_stack(copy, query, picture, normalisation, neutral=_neutral_of(copy, neutral, picture))
        # Laid on each other as any two pictures are: a shift that is found costs some sharpness, which is noise too.
        # A picture with too little in it to find anything out lies edge on edge, as is known of these copies.
        changed = copy.case.pictures[picture]
        laid = align(shown, changed)
        if laid.homography is None:
            laid = stated("same frame", shown, changed)
        masses = region_masses(sided_regions(laid, sizes, regions=regions), own, other, sizes)
        found.append(figures(own, other, overlap((grid, grid), sizes, laid.homography), masses))
    names = tuple(name for name, _ in copies)
    return NoiseFloor(
        names,
        tuple(found),
        floor_of(found),
        query,
        normalisation,
        picture,
        {region.name: region for region in checked(regions)},
        identity_of(run),
    )


def _check_copy(run: Run, name: str, copy: Run, picture: int) -> None:
    """Refuse a copy of another run, or one whose image was changed otherwise than it is called.

    Raises:
        QueryError: it is one.
    """
    unlike = unlike_network(run, copy) or unlike_case(run, copy, except_picture=picture)
    if unlike is None and run.answer and answer_ids(run) != answer_ids(copy):  # without one nothing was fed
        unlike = "another answer"
    if unlike is None and not _is_changed(run.case.pictures[picture], copy.case.pictures[picture], name):
        unlike = "another image"
    if unlike is not None:
        raise QueryError(f"The copy “{name}” belongs to another run ({unlike}): make copies with harmless_runs(run).")


def _is_changed(picture: Picture, copy: Picture, name: str) -> bool:
    """Whether a copy is this picture, changed as its name says; of other changes than `HARMLESS`, whether it may be."""
    if name not in HARMLESS:
        return picture.size == copy.size
    key = picture.sha256, name
    if key not in _changed:
        if len(_changed) >= KEPT:
            _changed.clear()
        _changed[key] = Picture.open(HARMLESS[name](picture.pixels)).sha256
    return _changed[key] == copy.sha256


KEPT = 512
"""Hashes of changed pictures that are remembered: a page asks again at every click."""
_changed: dict[tuple[str, str], str] = {}


def _neutral_of(copy: Run, neutral: Run | None, picture: int) -> Run | None:
    """The generic-prompt run of the unchanged image, to stand for that of its copy."""
    if neutral is None:
        return None
    pictures = list(neutral.case.pictures)
    pictures[picture] = copy.case.pictures[picture]
    return replace(neutral, case=replace(neutral.case, pictures=tuple(pictures)))


def floor_of(found: Sequence[Figures]) -> dict[str, np.ndarray]:
    """The floor that harmless changes give, by figure: float32 [layers, heads + 1]; see the head of this module."""
    floor = {}
    for name in found[0].values:
        moved = np.max([one.values[name] for one in found], axis=0)
        heads = moved[:, :-1]
        known = ~np.isnan(heads).all(axis=1)
        heads[known] = np.nanmax(heads[known], axis=1, keepdims=True)
        means = moved[:, -1]
        means[~np.isnan(means)] = np.max(means, where=~np.isnan(means), initial=0.0)
        floor[name] = np.maximum(moved * (MARGIN**2 if name == DISTANCE else MARGIN), np.float32(ROUNDING))
    return floor
