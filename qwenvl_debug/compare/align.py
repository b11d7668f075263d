"""Which place of one picture is which place of the other, and may the two be compared cell by cell at all?

Every way of laying one picture on the other (edge on edge, shifted, by points found on both) is tried and held
against the pixels (`agreement`). The simplest one that agrees is taken; where none does, the pictures are compared
through regions and layer figures only, and the reason is said. A person who knows better may state the answer.
"""

from __future__ import annotations

import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.compare.alignment import KINDS, Alignment, Kind
from qwenvl_debug.compare.ways import BETTER, STILL, SURE, Work, to_centres, warp
from qwenvl_debug.errors import QueryError

KEPT = 512
"""Alignments remembered, by the hashes of their pictures: a page asks again at every click."""
_found: dict[tuple[str, str], Alignment] = {}


def align(correct: Picture, failing: Picture) -> Alignment:
    """Find out how the failing picture lies on the correct one.

    Returns:
        The simplest alignment that the pixels support. Where none is, kind is "by region" and the reason says why:
        too little in common, mirrored, or too poor a fit.
    """
    key = (correct.sha256, failing.sha256)
    found = _found.get(key)  # held on to, for another thread may clear what is remembered
    if found is None:
        found = _align(correct, failing)
        if len(_found) >= KEPT:
            _found.clear()
        _found[key] = found
    return found


def _align(correct: Picture, failing: Picture) -> Alignment:
    if correct.sha256 == failing.sha256:
        return Alignment("same frame", np.eye(3), 0, 0, 0.0, "Both sides have the same picture, pixel by pixel.")
    work = Work(correct, failing)
    if work.nearly_equal():
        return work.same_frame(None)
    edges = work.hypothesis(work.edges()) if work.same_shape else None
    if edges is not None and edges.agreement.agree and edges.agreement.strength > SURE:
        return work.same_frame(None)  # no need to look for points
    ways = [way for way in (edges, *work.found()) if way is not None and way.agreement.agree]
    best = max(ways, key=lambda way: way.agreement.strength, default=None)
    if work.looks_mirrored(best):
        return work.refused(mirrored=True)
    if best is not None:
        if edges in ways and (
            edges.agreement.strength >= best.agreement.strength - BETTER or work.moved(best.homography) <= STILL
        ):
            return work.same_frame(best.registration)
        best = work.sharpened(best)
        return work.crop(best) or work.registered(best)
    return work.refused()


def stated(kind: Kind, correct: Picture, failing: Picture) -> Alignment:
    """The alignment a person asks for, whatever the pixels say.

    Args:
        kind: "same frame" lays the pictures edge on edge (stretched where their sizes differ); "by region" keeps them
            apart; "registered" looks for points found on both.
        correct, failing: the pictures.

    Raises:
        QueryError: there is no such kind, or "registered" was asked for and points could not be found or trusted.
    """
    if kind not in KINDS:
        raise QueryError(f"Alignment is one of {', '.join(KINDS)}, not “{kind}”.")
    if kind == "same frame":
        edges = np.diag([failing.width / correct.width, failing.height / correct.height, 1.0])
        return Alignment(kind, edges, 0, 0, 0.0, "Laid edge on edge because you said so.", stated=True)
    if kind == "by region":
        return Alignment(kind, None, 0, 0, np.nan, "Compared by regions because you said so.", stated=True)
    work = Work(correct, failing)
    ways = [way for way in work.found() if way.agreement.agree]
    if not ways:
        raise QueryError(work.why_not())
    return work.registered(work.sharpened(max(ways, key=lambda way: way.agreement.strength)), stated=True)


def warped(failing: np.ndarray, alignment: Alignment, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The failing picture laid on the correct one, to judge an alignment by eye.

    Args:
        failing: uint8 [height, width, 3].
        alignment: of the two pictures.
        size: width, height of the correct picture.

    Returns:
        uint8 [height, width, 3] in the correct picture's pixels, and bool [height, width], where the failing picture
        shows something.

    Raises:
        QueryError: the pictures are not laid on each other.
    """
    if alignment.homography is None:
        raise QueryError("These pictures are compared by regions: one cannot be laid on the other.")
    return warp(failing, to_centres(alignment.homography), size)
