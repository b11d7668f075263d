"""Activation patching: does the answer change when one run gets the other's values at one place?

Both runs are asked nearly the same; one answered rightly. A value of the correct run, put into the failing one,
restores the right answer if that place carries the difference (denoising); the reverse breaks it (noising). The share
of the gap that comes back is the measure; 0 is nothing and 1 everything. Method and pitfalls: Vig et al. 2020, Meng et
al. 2022, Zhang and Nanda 2024 (arXiv 2309.16042); for images in pairs, NOTICE (Golovanevsky et al., arXiv 2406.16320).
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import TYPE_CHECKING, Literal

import numpy as np

from qwenvl_debug.causes.cells import PLACES, Cells, elsewhere
from qwenvl_debug.causes.effect import Effect, answer_under
from qwenvl_debug.causes.interventions import At
from qwenvl_debug.causes.pair import Pair
from qwenvl_debug.causes.placing import placed
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.compare.sided import checked
from qwenvl_debug.errors import CauseError

if TYPE_CHECKING:
    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.compare import Alignment
    from qwenvl_debug.model import Run
    from qwenvl_debug.model.taps import Intervention
    from qwenvl_debug.regions import Region


def patch(
    correct: Run,
    failing: Run,
    regions: Region | Sequence[Region] = (),
    *,
    left_regions: Region | Sequence[Region] = (),
    right_regions: Region | Sequence[Region] = (),
    at: Literal["encoder"] | At = "encoder",
    layer: int | None = None,
    group: str = "region",
    expected: str | None = None,
    alignment: Alignment | None = None,
    image: int = 0,
    controls: int = PLACES,
    generate: bool = False,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Effect:
    """Put the correct run's values into the failing run and measure how much of the gap comes back.

    Args:
        correct, failing: runs of one model.
        regions: on the correct image, in its pixels, carried to the failing one; needed for the groups of image cells.
        left_regions, right_regions: on the correct and on the failing image, where each has its own.
        at: "encoder" for image features (merged and deepstack together), "residual" for the residual stream that
            `layer` reads, "attention" or "mlp" for what that block of `layer` adds.
        layer: for all but "encoder".
        group: "region", "margin", "other cells", "image", "question", "last prompt token" or "answer so far".
        expected: the right answer; by default the correct run's own.
        alignment: how the failing image lies in the correct one; found by itself where it is not given.
        image: which image of both cases.
        controls: of a patch of the region, at how many other places of the same shape it is made too, at most.
        generate: whether to generate the new answer, too.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: the runs are of different models, the images are not aligned, the group is empty in one of them, or
            there is no failure to explain.
        Cancelled: `cancel` was set.
    """
    pair = Pair(correct, failing, expected=expected, alignment=alignment, image=image, cancel=cancel)
    given = bool(checked(regions) or checked(left_regions) or checked(right_regions))
    if not given and group in ("region", "margin", "other cells"):
        raise CauseError(f"The group “{group}” needs a region: name one.")
    if at != "encoder" and layer is None:
        raise CauseError(f"A patch at “{at}” needs a layer: 0 to {pair.failing.pass_.layers}.")
    cells = placed(pair, regions, left_regions, right_regions).failing if given else None
    places = elsewhere(cells, controls) if group == "region" and cells is not None else []
    places = [place for place in places if len(pair.patchable(place)) == len(place)]
    steps = Steps(progress, 1 + len(places) + generate)
    change = patch_of(pair, cells, at, layer, group)
    after = steps.take(group, lambda: pair.failing.under(change))
    others = tuple(
        steps.take("other places", lambda place=place: pair.failing.under(patch_of(pair, place, at, layer, "region")))
        for place in places
    )
    answer = steps.take("the new answer", lambda: answer_under(pair.failing, change)) if generate else None
    where = at if layer is None else f"{at} {layer}"
    before = pair.failing.reading
    return Effect(f"{group} patched at {where}", (change,), pair.contrast, before, after, others, pair.gap, answer)


def patch_of(pair: Pair, cells: Cells | None, at: str, layer: int | None, group: str) -> Intervention:
    """The patch of a group of tokens at a place.

    Raises:
        CauseError: the images are not aligned, or there is no such group in both sequences.
    """
    if at == "encoder":
        whole = Cells.of(pair.image, np.ones(pair.shape, bool))
        by_name = {"image": whole}
        if cells is not None:
            margin = cells.margin()
            by_name |= {"region": cells, "margin": margin, "other cells": cells.rest().without(margin)}
        if group not in by_name:
            raise CauseError(f"The encoder makes image features only: patch “{group}” at the residual stream.")
        return pair.features(by_name[group])
    pair.check_aligned() if group in ("region", "margin", "other cells", "image") else None
    found = next((one for one in pair.groups(None if group == "image" else cells) if one.name == group), None)
    if found is None:
        raise CauseError(f"There is no group “{group}” that both sequences have.")
    return pair.states(at, layer, found)
