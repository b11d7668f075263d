"""Which ways are there to lay one picture on another, and how well do the pixels agree with each?

Edge on edge, moved by whole pixels, and by points found on both, as found and refined; and the same of the mirror
image, to tell that a picture was mirrored. `align` chooses among them.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from qwenvl_debug.case import Picture
from qwenvl_debug.compare.agreement import Agreement, agreement
from qwenvl_debug.compare.alignment import Alignment
from qwenvl_debug.compare.register import Registration, points, refined, register
from qwenvl_debug.regions.homography import map_points

WORK = 768
"""Longest side, in pixels, of the copies that are compared."""
LEAST_INLIERS, FEW_INLIERS = 20, 8
"""Points that must agree on one way of laying; the fewer are enough where the pixels agree beyond doubt (`SURE`)."""
LEAST_OVERLAP, MOST_SCALE = 0.05, 12.0
STILL = 1.0  # pixels (of the copies) that a picture may seem to have moved and still be laid edge on edge
SURE = 0.85  # agreement from which on nothing else needs to be tried
NO_BETTER = 0.97  # agreement that points alone reach: the choice among ways needs no pixels
SAME = 0.005  # a difference of agreement that means nothing
EDGE, LEAST_EDGES = 12.0, 300  # grey levels from one pixel to the next that make an edge; and how many pixels of edges
EQUAL = 4.0  # grey levels by which a pixel may differ and still be the same
MOST_COVERED = 0.4  # least share of the edges that are the same where pictures show the same frame
BETTER = 0.03  # by how much a less simple way of laying must agree better to be believed


@dataclass(frozen=True, eq=False)
class Way:
    """One way of laying the failing picture on the correct one, between pixel centres of the copies."""

    homography: np.ndarray
    agreement: Agreement
    seen: float
    registration: Registration | None = None

    @property
    def weight(self) -> float:
        """Agreement times the share of the picture it is seen on; 0 where the pictures do not agree."""
        return self.agreement.strength * self.seen if self.agreement.agree else 0.0


class Work:
    """Smaller grey copies of both pictures, and what was found out about them on the way."""

    def __init__(self, correct: Picture, failing: Picture) -> None:
        self.sizes = correct.size, failing.size
        self.scales = tuple(min(1.0, WORK / max(size)) for size in self.sizes)
        self.grey = tuple(
            _grey(picture.pixels, scale) for picture, scale in zip((correct, failing), self.scales, strict=True)
        )
        shapes = [size[0] / size[1] for size in self.sizes]
        self.same_shape = abs(np.log(shapes[0] / shapes[1])) < 0.01
        self.best_found: Registration | None = None

    def edges(self) -> np.ndarray:
        (h, w), (other_h, other_w) = (grey.shape for grey in self.grey)
        return to_centres(np.diag([other_w / w, other_h / h, 1.0]))

    def nearly_equal(self) -> bool:
        """Whether the pictures are of one size and hold the same edges at the same pixels, but for light and contrast
        and for a part that was covered.

        A picture moved by a single pixel fails this, and so does one of another scene. It settles plain pictures, where
        rounding is all the fine detail there is and bands of detail would not agree.
        """
        left, right = (grey.astype(np.float32) for grey in self.grey)
        if self.sizes[0] != self.sizes[1]:
            return False
        edges = np.maximum(_steps(left), _steps(right)) > EDGE
        if edges.sum() < LEAST_EDGES:
            return False
        x, y = left[edges], right[edges]
        kept = np.ones(len(x), bool)
        for _ in range(4):  # least squares again and again on what fits: a covered part must not draw the line
            gain = float(np.cov(x[kept], y[kept])[0, 1] / max(float(x[kept].var()), 1e-6))
            rest = np.abs(y - y[kept].mean() - gain * (x - x[kept].mean()))
            kept = rest <= max(EQUAL, float(np.median(rest)))
        return gain > 0.2 and float((rest <= EQUAL).mean()) >= MOST_COVERED

    def hypothesis(self, homography: np.ndarray, registration: Registration | None = None) -> Way:
        """Hold a homography against the pixels."""
        laid, seen = warp(self.grey[1], homography, self.grey[0].shape[::-1])
        found = agreement(self.grey[0].astype(np.float32), laid.astype(np.float32), seen)
        return Way(homography, found, float(seen.mean()), registration)

    def found(self) -> list[Way]:
        """What the points found on both pictures say, as it is and refined; nothing where it cannot be."""
        self.best_found = register(self._points[0], self._points[1])
        way = self._plausible(self.best_found)
        if way is None:
            return []
        better = self.refined(way) if way.agreement.strength < NO_BETTER else None
        ways = [way] if better is None else [way, better]
        enough = way.registration.inliers >= LEAST_INLIERS
        return [one for one in ways if enough or one.agreement.strength > SURE]

    def refined(self, way: Way) -> Way | None:
        """The same way moved to where the pixels agree best; None where that does not settle."""
        better = refined(way.homography, *self.grey)
        if better is None or not self._possible(better):
            return None
        return self.hypothesis(better, replace(way.registration, homography=better))

    def sharpened(self, way: Way) -> Way:
        """The same way, refined unless that agrees less: points may be off by pixels where there are none of them."""
        better = self.refined(way)
        return way if better is None or better.agreement.strength < way.agreement.strength - SAME else better

    def looks_mirrored(self, rival: Way | None) -> bool:
        """Whether the failing picture's mirror image lies on the correct picture, and better than the picture itself.

        Most things are nearly symmetric, so that many a point of a mirrored picture is found on the picture.
        """
        other = copy(self)
        other.grey = self.grey[0], np.ascontiguousarray(self.grey[1][:, ::-1])
        ways = [other.hypothesis(other.edges())] if self.same_shape else []
        if rival is None or rival.agreement.strength < SURE:
            ways += filter(None, [other._plausible(register(self._points[0], points(other.grey[1])))])
        return max((way.weight for way in ways), default=0.0) > (rival.weight + BETTER if rival else 0)

    @cached_property
    def _points(self) -> tuple[list, list]:
        return points(self.grey[0]), points(self.grey[1])

    def _plausible(self, registration: Registration | None) -> Way | None:
        """The way a registration lays the pictures; None where too few points or no camera could have seen it so."""
        if registration is None or registration.inliers < FEW_INLIERS:
            return None
        return (
            self.hypothesis(registration.homography, registration) if self._possible(registration.homography) else None
        )

    def _possible(self, homography: np.ndarray) -> bool:
        """Whether a camera could have done it: nothing turned inside out, no corner beyond the horizon."""
        h, w = self.grey[0].shape
        corners = map_points(homography, np.array([[0, 0], [w, 0], [w, h], [0, h]], float))
        if not np.isfinite(corners).all() or not cv2.isContourConvex(corners.astype(np.float32)):
            return False
        area = _signed_area(corners) / (w * h)
        if not 1 / MOST_SCALE**2 <= area <= MOST_SCALE**2:  # negative where mirrored
            return False
        seen = warp(np.ones(self.grey[1].shape, np.uint8), homography, (w, h))[1]
        return bool(seen.mean() >= LEAST_OVERLAP)

    def moved(self, homography: np.ndarray) -> float:
        """How far the homography lies from edge on edge: the greatest distance over a grid, in pixels of the copy."""
        h, w = self.grey[0].shape
        grid = np.stack(np.meshgrid(np.linspace(0, w - 1, 5), np.linspace(0, h - 1, 5)), -1).reshape(-1, 2)
        return float(np.linalg.norm(map_points(homography, grid) - map_points(self.edges(), grid), axis=1).max())

    def full(self, homography: np.ndarray) -> np.ndarray:
        """From pixel centres of the copies to pixels of the pictures themselves."""
        scaled = (
            np.diag([1 / self.scales[1]] * 2 + [1.0]) @ _to_corners(homography) @ np.diag([self.scales[0]] * 2 + [1.0])
        )
        return scaled / scaled[2, 2]

    def small(self, homography: np.ndarray) -> np.ndarray:
        """From pixels of the pictures to pixel centres of the copies."""
        larger, smaller = np.diag([1 / self.scales[0]] * 2 + [1.0]), np.diag([self.scales[1]] * 2 + [1.0])
        return to_centres(smaller @ homography @ larger)

    def same_frame(self, registration: Registration | None) -> Alignment:
        (w, h), (other_w, other_h) = self.sizes
        equal = (w, h) == (other_w, other_h)
        reason = (
            "Both pictures have the same size and show the same frame: what differs is light, sharpness or a part."
            if equal
            else "Both pictures show the same frame at two sizes."
        )
        edges = np.diag([other_w / w, other_h / h, 1.0])
        counts = (registration.inliers, registration.matches) if registration else (0, 0)
        return Alignment("same frame", edges, *counts, 0.0, reason)

    def crop(self, way: Way) -> Alignment | None:
        """The same frame moved by whole pixels, as a crop is, where that agrees as well as the way that was found."""
        found, homography = way.registration, self.full(way.homography)
        whole = np.eye(3)
        middle = np.array(self.sizes[0]) / 2
        whole[:2, 2] = np.rint(map_points(homography, middle[None])[0] - middle)
        rival = self.hypothesis(self.small(whole), found)
        if not rival.agreement.agree or rival.agreement.strength < way.agreement.strength - BETTER / 3:
            return None
        reason = "One picture is a crop of the other, or the same one moved by whole pixels."
        return Alignment("same frame", whole, found.inliers, found.matches, 0.0, reason)

    def registered(self, way: Way, stated: bool = False) -> Alignment:
        found = way.registration
        homography, error = self.full(way.homography), found.error / self.scales[1]
        reason = (
            f"Laid on each other by {found.inliers} of {found.matches} points found on both pictures, "
            f"{error:.1f} pixels off on average: judge it by swiping one over the other."
        )
        return Alignment("registered", homography, found.inliers, found.matches, error, reason, stated)

    def refused(self, mirrored: bool = False) -> Alignment:
        """Not laid on each other, and the reason."""
        found = self.best_found
        inliers, matches = (found.inliers, found.matches) if found else (0, 0)
        reason = f"{self.why_not(mirrored)} They are compared by regions."
        return Alignment("by region", None, inliers, matches, np.nan, reason)

    def why_not(self, mirrored: bool = False) -> str:
        """Why the pictures cannot be laid on each other, in a sentence."""
        inliers = self.best_found.inliers if self.best_found else 0
        if mirrored:
            return "One picture is the mirror image of the other, so left and right cannot be told to be the same."
        if inliers < LEAST_INLIERS:
            return (
                f"The pictures show too little in common to lay one on the other ({inliers} points agree, "
                f"{LEAST_INLIERS} are needed)."
            )
        return f"{inliers} points agree on how one picture lies on the other, but what lies on each other differs."


def _steps(grey: np.ndarray) -> np.ndarray:
    """The largest step from each pixel to a neighbour, float32 [height, width]."""
    return np.maximum(*(np.abs(cv2.filter2D(grey, cv2.CV_32F, kernel)) for kernel in _KERNELS))


_KERNELS = (np.float32([[0, 0, 0], [0, -1, 1], [0, 0, 0]]), np.float32([[0, 0, 0], [0, -1, 0], [0, 1, 0]]))


def _grey(pixels: np.ndarray, scale: float) -> np.ndarray:
    """uint8 [height, width], smaller by the mean of the pixels that fall together."""
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    if scale == 1:
        return grey
    size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
    return cv2.resize(grey, size, interpolation=cv2.INTER_AREA)


def warp(pixels: np.ndarray, homography: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels seen through a homography (centres of the result to centres of `pixels`), and where there are any."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid = cv2.warpPerspective(pixels, homography, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    there = np.full(pixels.shape[:2], 255, np.uint8)
    return laid, cv2.warpPerspective(there, homography, size, flags=flags) > 127


def _signed_area(corners: np.ndarray) -> float:
    x, y = corners.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def to_centres(homography: np.ndarray) -> np.ndarray:
    """From (0, 0) at the first pixel's corner to (0, 0) at its centre, which is where OpenCV has it."""
    return _shift(-0.5) @ homography @ _shift(0.5)


def _to_corners(homography: np.ndarray) -> np.ndarray:
    return _shift(0.5) @ homography @ _shift(-0.5)


def _shift(by: float) -> np.ndarray:
    return np.array([[1, 0, by], [0, 1, by], [0, 0, 1.0]])
