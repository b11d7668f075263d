"""What is said of how two pictures lie on each other, for whoever compares them cell by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

Kind = Literal["same frame", "registered", "by region"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, eq=False)
class Alignment:
    """How the failing picture lies on the correct one.

    Attributes:
        kind: "same frame" (one picture, or a crop or edit of it), "registered" (laid on each other by points found on
            both), or "by region" (not laid on each other: no cell of one is a cell of the other).
        homography: float64 [3, 3], from pixels of the correct picture to pixels of the failing one; (0, 0) is the
            corner of the first pixel, not its centre, as for regions. None where compared by region.
        inliers: points found on both pictures that the homography carries over within 2 pixels; 0 where none were
            needed.
        matches: points found on both.
        error: root mean square distance of the inliers, in pixels of the failing picture; 0 where none were needed,
            NaN where compared by region.
        reason: one plain sentence on what was found, for the page.
        stated: whether a person said so, rather than the pictures.
        known: whether the transform is known exactly, because this program made it.
    """

    kind: Kind
    homography: np.ndarray | None
    inliers: int
    matches: int
    error: float
    reason: str
    stated: bool = False
    known: bool = False

    def carries(self, sizes: tuple[tuple[int, int], tuple[int, int]], to: int = 1) -> str:
        """How a region passes from one image to the other, in a few words.

        Args:
            sizes: width, height in pixels of the correct and of the failing image.
            to: 1 from the correct to the failing image, 0 the other way round.
        """
        if self.homography is None:
            return "scaled by size, because the images are compared by regions only"
        if self.kind == "registered":
            if self.known:
                return "carried by the known transform"
            return f"carried by the registration: {self.inliers} of {self.matches} points agree to {self.error:.1f} px"
        (width, height), (other_width, other_height) = sizes[1 - to], sizes[to]
        sign = 1 if to == 1 else -1
        x, y = (sign * value for value in (self.homography[:2, 2] / self.homography[2, 2]).tolist())
        if (x, y) != (0, 0):
            return f"same frame, shifted by {x:+g} px across and {y:+g} px down"
        if (width, height) != (other_width, other_height):
            return f"same frame, scaled from {width} x {height} to {other_width} x {other_height} pixels"
        return "same frame"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; NaN as None."""
        return {
            "kind": self.kind,
            "homography": None if self.homography is None else self.homography.tolist(),
            "inliers": self.inliers,
            "matches": self.matches,
            "error": None if np.isnan(self.error) else self.error,
            "reason": self.reason,
            "stated": self.stated,
            "known": self.known,
        }

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Alignment:
        """The alignment whose `to_dict` this is."""
        homography, error = record["homography"], record["error"]
        return cls(
            **record
            | {
                "homography": None if homography is None else np.array(homography, np.float64),
                "error": np.nan if error is None else error,
            }
        )
