"""What happens to the answer when a part of the image is not there? Changes of the image itself, outside the model.

A region can be taken away in several ways, and each brings something new into the image: a blurred patch, a patch of
one colour, the pixels of the other image. What all of them agree on is about the region (Hooker et al. 2019; Covert et
al. 2021 on the choice of what to fill in); so they are made side by side, and their agreement is stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.causes.effect import Effect
from qwenvl_debug.causes.progress import Steps
from qwenvl_debug.causes.subject import Subject, subject_of
from qwenvl_debug.compare import warped
from qwenvl_debug.errors import CauseError
from qwenvl_debug.regions import region_mask

if TYPE_CHECKING:
    from qwenvl_debug.causes.progress import Progress
    from qwenvl_debug.compare import Alignment
    from qwenvl_debug.model import Run
    from qwenvl_debug.regions import Region

Fill = Literal["blur", "mean", "other"]
FILLS: tuple[Fill, ...] = ("blur", "mean", "other")
"""What a region is filled with: itself, blurred; the mean colour around it; the other image's pixels."""

FEATHER = 0.004
"""Width of the soft border of a fill, as a share of the image's longer side: a hard edge is a thing of its own."""


@dataclass(frozen=True)
class Occlusion:
    """A region taken away in several ways.

    Attributes:
        effects: by fill.
    """

    effects: dict[str, Effect]

    @property
    def agree(self) -> bool:
        """Whether all fills move LD to the same side, and all or none flip the answer."""
        effects = list(self.effects.values())
        signs = {one.change > 0 for one in effects}
        return len(signs) == 1 and len({one.flips for one in effects}) == 1


def filled(pixels: np.ndarray, mask: np.ndarray, fill: Fill, other: np.ndarray | None = None) -> np.ndarray:
    """An image with a region filled in.

    Args:
        pixels: uint8 [height, width, 3].
        mask: bool [height, width], the region.
        fill: with what.
        other: uint8, as `pixels`, the other image in this one's pixels; for "other".

    Returns:
        uint8 [height, width, 3].
    """
    height, width = mask.shape
    match fill:
        case "blur":
            extent = max(np.ptp(np.flatnonzero(mask.any(axis))) + 1 if mask.any() else 1 for axis in (0, 1))
            new = cv2.GaussianBlur(pixels, (0, 0), max(2.0, extent / 4)).astype(np.float32)
        case "mean":
            reach = max(3, round(0.03 * max(height, width)))
            around = cv2.dilate(mask.astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0
            ring = around & ~mask
            new = np.broadcast_to(pixels[ring if ring.any() else ~mask].mean(0).astype(np.float32), pixels.shape)
        case "other":
            new = other.astype(np.float32)
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.5, FEATHER * max(height, width)))
    amount = np.maximum(soft, mask.astype(np.float32))[..., None]
    return np.clip(np.rint(pixels * (1 - amount) + new * amount), 0, 255).astype(np.uint8)


def occlude(
    run: Run | Subject,
    region: Region | Sequence[Region],
    fills: Sequence[Fill] = ("blur", "mean"),
    *,
    other: Picture | None = None,
    alignment: Alignment | None = None,
    expected: str | None = None,
    image: int = 0,
    gap: float | None = None,
    progress: Progress | None = None,
    cancel: Event | None = None,
) -> Occlusion:
    """Take a region of the image away and measure what that does to the answer.

    Args:
        run: a run that answered wrongly by itself.
        region: in pixels of the image.
        fills: what it is filled with, see `FILLS`.
        other: for the fill "other", the other image, and `alignment`, how this image lies in it.
        alignment: from pixels of `other` to pixels of this image.
        expected: the right answer; by default what the case expects.
        image: which image of the case.
        gap: LD of a correct run less that of this one, for the share that is recovered.
        progress: called as progress(done, of, text).
        cancel: an event; when it is set the work stops within a layer.

    Raises:
        CauseError: the region lies outside the image, or the images are not aligned.
        Cancelled: `cancel` was set.
    """
    subject = subject_of(run, expected, cancel)
    picture = subject.run.case.pictures[image]
    several = [region] if hasattr(region, "shapes") else list(region)
    mask = np.any([region_mask(one, picture.size) for one in several], axis=0)
    if not mask.any():
        raise CauseError("The region covers nothing of this image: draw it on the image.")
    laid = _laid(picture, other, alignment) if "other" in fills else (None, None)
    steps = Steps(progress, len(fills))
    effects = {}
    for fill in fills:
        inside = mask & laid[1] if fill == "other" else mask
        pixels = filled(picture.pixels, inside, fill, laid[0])
        after = steps.take(fill, lambda pixels=pixels: changed_image(subject, pixels, image).reading)
        name = f"region filled with {'the other image' if fill == 'other' else fill}"
        effects[fill] = Effect(name, (), subject.contrast, subject.reading, after, gap=gap)
    return Occlusion(effects)


def changed_image(subject: Subject, pixels: np.ndarray, image: int = 0) -> Subject:
    """The subject with other pixels in one of its images, and the same contrast."""
    case = subject.run.case
    pictures = list(case.pictures)
    pictures[image] = Picture.open(pixels, name=pictures[image].name)
    run = replace(subject.run, case=replace(case, pictures=tuple(pictures)))
    return Subject(run, subject.contrast, subject.cancel, states=())


def _laid(picture: Picture, other: Picture | None, alignment: Alignment | None) -> tuple[np.ndarray, np.ndarray]:
    """The other image in this one's pixels, and where it shows something."""
    if other is None or alignment is None or alignment.homography is None:
        raise CauseError("The other image's pixels can only be put in where the two images are aligned.")
    inverse = replace(alignment, homography=np.linalg.inv(alignment.homography))
    return warped(other.pixels, inverse, picture.size)
