"""What makes a picture harder, in graded strength: weather, light, sharpness, packing, framing, something in the way.

Each change takes a picture's pixels and a strength in its own unit, 0 being the picture as it was, bit for bit. What
moves the picture says how (a homography), so that regions drawn on the picture can be carried along. The same picture,
strength and seed always give the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from qwenvl_debug.compare.noise import jpeg
from qwenvl_debug.errors import QueryError

Moved = tuple[np.ndarray, np.ndarray | None]
"""uint8 [height, width, 3], and the homography float64 [3, 3] from the picture's pixels to the result's, or None where
nothing moved; (0, 0) is the corner of the first pixel."""


@dataclass(frozen=True)
class Perturbation:
    """One way to make a picture harder.

    Attributes:
        name: its key.
        title: what it is called on screen.
        plain: what it does, in one sentence.
        unit: what a strength means, for an axis.
        strengths: what a sweep tries unless it is told otherwise, mildest first.
        most: the greatest strength there is.
        needs_region: whether it acts on a region.
        change: see `apply`.
    """

    name: str
    title: str
    plain: str
    unit: str
    strengths: tuple[float, ...]
    most: float
    change: Callable[[np.ndarray, float, np.ndarray | None, np.random.Generator], Moved]
    needs_region: bool = False

    def apply(
        self, pixels: np.ndarray, strength: float, *, region_mask: np.ndarray | None = None, seed: int = 0
    ) -> Moved:
        """The picture at a strength.

        Args:
            pixels: uint8 [height, width, 3].
            strength: 0 to `most`, in `unit`.
            region_mask: bool [height, width], what to act on; needed by those that say so.
            seed: fixes what is drawn at random.

        Raises:
            QueryError: the strength is out of range, or a region is needed and none is given.
        """
        if not 0 <= strength <= self.most:
            raise QueryError(f"“{self.title}” goes from 0 to {self.most:g} ({self.unit}), not to {strength:g}.")
        if self.needs_region and (region_mask is None or not region_mask.any()):
            raise QueryError(f"“{self.title}” needs a region on the picture: draw or name one.")
        if strength == 0:
            return pixels.copy(), None
        changed, moved = self.change(pixels, float(strength), region_mask, np.random.default_rng(seed))
        return np.clip(np.rint(changed), 0, 255).astype(np.uint8), moved


def _blur(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    return cv2.GaussianBlur(pixels, (0, 0), max(0.01 * strength * min(pixels.shape[:2]), 0.05)), None


def _fog(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, rng: np.random.Generator) -> Moved:
    """Uneven, and thicker towards the top, where things are farther away."""
    height, width = pixels.shape[:2]
    cloud = rng.uniform(0.7, 1.15, (4, 5)).astype(np.float32)
    cloud = cv2.resize(cloud, (width, height), interpolation=cv2.INTER_CUBIC)
    thicker = np.linspace(1.1, 0.8, height, dtype=np.float32)[:, None]
    amount = np.clip(cloud * thicker * strength, 0, 0.985)[..., None]
    return pixels * (1 - amount) + np.float32([205, 209, 213]) * amount, None


def _dim(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    return pixels * np.float32(1 - strength), None


def _brighten(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    return pixels + (255.0 - pixels) * np.float32(strength), None


def _contrast(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    middle = pixels.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)
    return middle + (pixels - middle) * np.float32(1 - strength), None


def _jpeg(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    return jpeg(pixels, round(100 - strength)), None


def _noise(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, rng: np.random.Generator) -> Moved:
    return pixels + strength * rng.standard_normal(pixels.shape, dtype=np.float32), None


def _rotation(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    height, width = pixels.shape[:2]
    turn = np.deg2rad(-strength)  # to the left, as angles are drawn; y points down
    return _moved(pixels, np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]), (width, height))


def _scale(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    return _moved(pixels, np.eye(2) * (1 - strength), pixels.shape[1::-1])


def _crop(pixels: np.ndarray, strength: float, _mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    return _moved(pixels, np.eye(2) / (1 - strength), pixels.shape[1::-1])


def _occlude(pixels: np.ndarray, strength: float, mask: np.ndarray | None, _rng: np.random.Generator) -> Moved:
    """A plain board over the region's box that grows from the bottom, in the picture's mean colour."""
    ys, xs = np.nonzero(mask)
    top, bottom = ys.min(), ys.max() + 1
    covered = pixels.copy()
    covered[bottom - round(strength * (bottom - top)) : bottom, xs.min() : xs.max() + 1] = np.rint(
        pixels.mean(axis=(0, 1), dtype=np.float64)
    )
    return covered, None


def _moved(pixels: np.ndarray, turn: np.ndarray, size: tuple[int, int]) -> Moved:
    """Turned or scaled about the middle; what comes into the frame has the colour of the border's middle value."""
    middle = np.array(size) / 2
    homography = np.eye(3)
    homography[:2, :2], homography[:2, 2] = turn, middle - turn @ middle
    shrinks = float(np.sqrt(abs(np.linalg.det(turn))))
    if shrinks < 0.95:  # or fine detail would turn into false patterns
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.45 / shrinks)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return _warp(pixels, homography, np.median(edge, axis=0)), homography


def _warp(pixels: np.ndarray, homography: np.ndarray, border: np.ndarray | float) -> np.ndarray:
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV has (0, 0) at the first pixel's centre
    centred = np.linalg.inv(half) @ homography @ half
    value = tuple(np.broadcast_to(np.asarray(border, float), 4 if pixels.ndim == 2 else 3).tolist())
    return cv2.warpPerspective(pixels, centred, pixels.shape[1::-1], flags=cv2.INTER_LINEAR, borderValue=value)


_SHARES = (0.0, 0.2, 0.4, 0.6, 0.8, 0.95)

PERTURBATIONS: dict[str, Perturbation] = {
    one.name: one
    for one in (
        Perturbation("blur", "Blur", "Out of focus.", "% of the shorter side", (0, 0.5, 1, 1.5, 2, 3), 10, _blur),
        Perturbation("fog", "Fog", "Uneven grey fog, thicker towards the top.", "share of fog", _SHARES, 1, _fog),
        Perturbation("dim", "Less light", "Darker, in proportion.", "share of light taken", _SHARES, 1, _dim),
        Perturbation("bright", "More light", "Brighter, towards white.", "share of white", _SHARES, 1, _brighten),
        Perturbation("contrast", "Less contrast", "Towards its mean colour.", "share taken", _SHARES, 1, _contrast),
        Perturbation(
            "jpeg",
            "JPEG",
            "Saved as JPEG at lower and lower quality.",
            "100 - quality",
            (0, 20, 50, 80, 90, 97),
            100,
            _jpeg,
        ),
        Perturbation(
            "noise",
            "Noise",
            "Grain, as a sensor has in the dark.",
            "grey levels",
            (0, 10, 25, 50, 80, 120),
            255,
            _noise,
        ),
        Perturbation(
            "rotation",
            "Rotation",
            "Turned to the left about its middle.",
            "degrees",
            (0, 5, 10, 20, 30, 45),
            180,
            _rotation,
        ),
        Perturbation(
            "scale",
            "Farther away",
            "Smaller, in an empty frame.",
            "share smaller",
            (0, 0.2, 0.4, 0.5, 0.6, 0.7),
            0.95,
            _scale,
        ),
        Perturbation(
            "crop",
            "Closer",
            "The middle only, enlarged.",
            "share cut away",
            (0, 0.15, 0.3, 0.45, 0.6, 0.75),
            0.95,
            _crop,
        ),
        Perturbation(
            "occlude",
            "Something in the way",
            "A plain board over a region, growing from below.",
            "share of the region's height",
            (0, 0.2, 0.4, 0.6, 0.8, 1),
            1,
            _occlude,
            needs_region=True,
        ),
    )
}
"""Every change there is, by name."""
