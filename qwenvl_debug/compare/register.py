"""How does one picture lie on another: points found on both, and the perspective that carries most of them over.

SIFT points (Lowe 2004) are matched both ways with a ratio test, a homography is fitted by MAGSAC++ (Barath et al.
2020, OpenCV's USAC_MAGSAC), and refined on the pixels themselves by ECC (Evangelidis and Psarakis 2008). ORB (Rublee
et al. 2011) is tried beside SIFT, and what more points agree on is taken. Nothing here decides whether the result is
good enough: `align` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from qwenvl_debug.regions.homography import map_points

RATIO = 0.8  # Lowe's: a match must be this much closer than the second best
REACH = 2.0  # pixels within which a point counts as carried over
POINTS = 3000
RIM, BLUR = 6, 3  # pixels of the border that are left out of the last climb, and width of the blur that eases it
PLENTY = 60  # points that agree: no other kind needs to be tried


@dataclass(frozen=True, eq=False)
class Registration:
    """A homography and what speaks for it.

    Attributes:
        homography: float64 [3, 3], from pixel centres of the left picture to those of the right one.
        source, target: float [matches, 2], the matched points of the left and of the right picture.
    """

    homography: np.ndarray
    source: np.ndarray
    target: np.ndarray

    @property
    def matches(self) -> int:
        """Matched points in all."""
        return len(self.source)

    @cached_property
    def inliers(self) -> int:
        """Matched points that the homography carries over within `REACH` pixels."""
        return int((self._distance <= REACH).sum())

    @property
    def error(self) -> float:
        """Root mean square distance of the inliers in pixels of the right picture; NaN where there are none."""
        near = self._distance[self._distance <= REACH]
        return float(np.sqrt((near**2).mean())) if len(near) else float("nan")

    @cached_property
    def _distance(self) -> np.ndarray:
        return np.linalg.norm(map_points(self.homography, self.source) - self.target, axis=1)


def points(grey: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Points of a picture and their descriptions, once by SIFT and once by ORB.

    Args:
        grey: uint8 [height, width].

    Returns:
        For each method: float32 [points, 2], descriptions [points, ...], OpenCV's norm to compare them by.
    """
    # Faint pictures (fog, dusk) keep their structure but fall below the detectors' contrast thresholds: even them out.
    even = cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(grey)
    found = []
    for detector, norm in (
        (cv2.SIFT_create(nfeatures=POINTS, contrastThreshold=0.01), cv2.NORM_L2),
        (cv2.ORB_create(nfeatures=POINTS, fastThreshold=7), cv2.NORM_HAMMING),
    ):
        marks, described = detector.detectAndCompute(even, None)
        if described is not None and len(marks) >= 4:
            found.append((np.float32([mark.pt for mark in marks]), described, norm))
    return found


def register(left: list, right: list) -> Registration | None:
    """The homography that most points of two pictures agree on; None where there are too few to fit one.

    Args:
        left, right: what `points` found on either.
    """
    best = None
    for (from_points, described, norm), (onto_points, other, _) in _of_one_kind(left, right):
        pairs = _mutual(described, other, norm)
        if len(pairs) < 6:
            continue
        source, target = from_points[pairs[:, 0]], onto_points[pairs[:, 1]]
        homography, _ = cv2.findHomography(source, target, cv2.USAC_MAGSAC, REACH, maxIters=10_000, confidence=0.9999)
        if homography is None or not np.isfinite(homography).all():
            continue
        one = Registration(homography, source, target)
        if one.inliers < 4:
            continue
        if best is None or one.inliers > best.inliers:
            best = one
        if best.inliers >= PLENTY:
            break
    return best


def refined(homography: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray | None:
    """A homography moved to where the pixels agree best (ECC); None where that does not settle.

    Pixels near what only one of the pictures shows are left out: blurred for the climb, they would be mixed with what
    is beyond the border, and pull at it by half a pixel. On the bundled gallery, zoomed by 1.6, turned by 15 and 60
    degrees and tilted, no place that both pictures show is then off by more than 0.5 pixels, and by more than 0.1 in
    one picture of ten; points alone leave up to 6.7.

    Args:
        homography: float64 [3, 3], between pixel centres.
        left, right: uint8 [height, width].
    """
    start = np.ascontiguousarray(homography, np.float32)
    rule = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-7)
    shown = np.full(left.shape, 255, np.uint8)
    seen = cv2.warpPerspective(shown, homography, right.shape[::-1], flags=cv2.INTER_NEAREST)
    kernel = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
    seen = cv2.erode(seen, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    try:
        _, found = cv2.findTransformECC(left, right, start, cv2.MOTION_HOMOGRAPHY, rule, seen, BLUR)
    except cv2.error:  # it raises where the pictures are too unlike to climb
        return None
    return found.astype(np.float64) if np.isfinite(found).all() else None


def _of_one_kind(left: list, right: list) -> list[tuple]:
    return [(one, other) for one in left for other in right if one[2] == other[2]]


def _mutual(left: np.ndarray, right: np.ndarray, norm: int) -> np.ndarray:
    """Pairs that are each other's best and clearly better than the second best; int [pairs, 2]."""
    matcher = cv2.BFMatcher(norm)

    def best(one: np.ndarray, other: np.ndarray) -> dict[int, int]:
        found = [pair for pair in matcher.knnMatch(one, other, k=2) if len(pair) == 2]
        return {near.queryIdx: near.trainIdx for near, next_near in found if near.distance < RATIO * next_near.distance}

    forth, back = best(left, right), best(right, left)
    return np.array([(a, b) for a, b in forth.items() if back.get(b) == a], np.int64).reshape(-1, 2)
