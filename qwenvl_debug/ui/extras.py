"""What does the viewer know beside the maps? How the pictures lie on each other, sinks, and the regions drawn."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from qwenvl_debug.regions import coverage, region_mask, unique_names
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.undefined import undefined_on
from qwenvl_debug.ui import drawings
from qwenvl_debug.ui.region_overlay import box_outlines, outlines

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.compare import Alignment, Comparison, Overlap
    from qwenvl_debug.maps import MapStack, Sinks
    from qwenvl_debug.regions import Region

APART = "The images are aligned but share no area, so cells cannot be compared"
NOT_ALIGNED = "The pictures do not lie on each other, so cells cannot be compared one to one"


def extras_data(
    identity: str,
    comparison: Comparison,
    pictures: tuple[Picture, Picture],
    sinks: tuple[Sinks, Sinks] | None,
    named: tuple[Sequence[Region], Sequence[Region]] = ((), ()),
) -> dict[str, Any]:
    """Everything but the maps, JSON-ready.

    Args:
        identity: of the maps it belongs to.
        comparison: what is compared.
        pictures: the correct and the failing one.
        sinks: of both sides, or None while nobody asked for them.
        named: the boxes that either answer names on these pictures.
    """
    alignment = comparison.alignment
    possible = comparison.pieces is not None and not comparison.pieces.empty
    why = APART if comparison.pieces is not None else f"{NOT_ALIGNED}: {alignment.reason}"
    return {
        "id": identity,
        "alignment": {
            "kind": alignment.kind,
            "text": statement(alignment, comparison.pieces),
            "reason": alignment.reason,
            "matrix": None if alignment.homography is None else [float(v) for v in np.ravel(alignment.homography)],
        },
        "difference": {"possible": possible, "why": "" if possible else why},
        "pieces": pieces_payload(comparison.pieces) if possible else None,
        "regions": [
            regions_payload(picture, stack, boxes)
            for picture, stack, boxes in zip(pictures, (comparison.left, comparison.right), named, strict=True)
        ],
        "sinks": None if sinks is None else sinks_payload(sinks),
    }


def statement(alignment: Alignment, pieces: Overlap | None) -> str:
    """How the two pictures lie on each other, in one line; pieces are those of their grids."""
    said = " Stated by you." if alignment.stated else ""
    if pieces is not None and pieces.empty:
        return f"{APART}.{said}"
    if alignment.kind == "same frame":
        how = "one to one" if pieces is not None and pieces.equal else "by the area they share, as the grids differ"
        return f"Same frame: cells are compared {how}.{said}"
    if alignment.known:
        return "Aligned by the known transform."
    if alignment.kind == "registered":
        return (
            f"Registered: {alignment.inliers} of {alignment.matches} points found on both pictures agree "
            f"to {alignment.error:.1f} px.{said}"
        )
    return f"Not aligned: {alignment.reason} Compared through regions and layer figures only.{said}"


def pieces_payload(pieces: Overlap | None) -> dict[str, Any] | None:
    """How the grids lie on each other, for the browser's difference; None where they are equal, or not laid at all."""
    if pieces is None or pieces.equal:
        return None
    return {
        "cells": [_packed(cells.astype("<i4")) for cells in pieces.cells],
        "shares": [_packed(shares.astype("<f4")) for shares in pieces.shares],
        "seen": [_packed((pieces.seen(side) >= 0.5).astype(np.uint8)) for side in (0, 1)],
    }


def regions_payload(picture: Picture, stack: MapStack, boxes: Sequence[Region] = ()) -> list[dict[str, Any]]:
    """The regions drawn on a picture, then the boxes that an answer names and that nobody has drawn or taken over.

    Of each its outline, how much of each cell it covers (255 is all of it), chance, and why no map has a mass on it, if
    so (else None).
    """
    drawn = {region.name: region for region in (drawings.load(picture.sha256) or drawings.Drawing()).regions()[0]}
    new = [box for box in boxes if not any(box.shapes == region.shapes for region in drawn.values())]
    names = unique_names([f"{box.name} (answer)" for box in new], drawn)
    new = [replace(box, name=name) for box, name in zip(new, names, strict=True)]
    drawn |= {box.name: box for box in new}
    found = []
    for outline in [*outlines(picture), *box_outlines(new, picture)]:
        record = json.dumps(to_record(drawn[outline["name"]]), sort_keys=True)
        found.append({**outline, **_covered(record, picture.size, (stack.grid.rows, stack.grid.cols))})
    return found


@lru_cache(maxsize=512)
def _covered(record: str, size: tuple[int, int], grid: tuple[int, int]) -> dict[str, Any]:
    """How much of each cell a region covers, packed; the share of the picture that it covers; why it has no mass."""
    covered = coverage(region_mask(from_record(json.loads(record)), size), grid)
    cells, chance = _packed(np.round(covered * 255).astype(np.uint8)), float(covered.mean(dtype=np.float64))
    return {"coverage": cells, "chance": chance, "undefined": undefined_on(covered.ravel()).get("mass")}


def sinks_payload(sinks: tuple[Sinks, Sinks]) -> dict[str, Any]:
    """The cells that are sinks, by side and layer, and the rule that found them."""
    sides = [[np.flatnonzero(layer).tolist() for layer in one.cells] for one in sinks]
    return {"rule": sinks[0].rule, "sides": sides}


def _packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
