"""Do two pictures show the same thing at the same place: evidence that survives fog, blur, noise and a negative.

Brightness and contrast differ between versions of one picture, edges stay where they were. So each picture is cut
into three bands of detail (fine, middle, coarse), every band is divided by its own local contrast, and the two are
correlated at *every* shift at once. If the pictures lie on each other, the correlation has one sharp peak at no shift
at all; pictures of two scenes have no such peak anywhere, however alike in layout. A negative turns the peak upside
down, so its size counts and not its sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

BANDS = 3
SIGMA = 1.5  # of the blur that cuts a band off; each band is taken from a picture half as large as that before
SOFTEN = 0.5  # grey levels of local contrast below which a band is noise of rounding and fades out
LEAST_CORRELATION, LEAST_PEAK = 0.3, 8.0
"""A band agrees from these on. Of 132 pairs of different pictures of the bundled gallery none agreed in two bands; of
its fogged, dim, blurred, noisy, covered and negative copies all agreed in three (correlation >= 0.44, peak >= 9)."""


@dataclass(frozen=True)
class Agreement:
    """How well two pictures that are laid on each other agree.

    Attributes:
        correlation: of each band from fine to coarse, -1..1.
        peak: how many standard deviations of all shifts the correlation without a shift stands out.
        shift: of each band, (x, y) in pixels of the pictures at which the correlation is strongest.
    """

    correlation: tuple[float, ...]
    peak: tuple[float, ...]
    shift: tuple[tuple[float, float], ...]

    @property
    def bands(self) -> int:
        """In how many bands the pictures agree."""
        return sum(self._agrees(band) for band in range(len(self.peak)))

    @property
    def agree(self) -> bool:
        """Whether the pictures lie on each other: at least two of three bands say so, or the only one there is.

        Pictures too small or too thin for any band say nothing, and so do not agree.
        """
        return bool(self.peak) and self.bands >= min(2, len(self.peak))

    @property
    def strength(self) -> float:
        """Mean size of the correlation over the bands, 0..1, to choose between ways of laying one on the other; 0 where
        there is no band."""
        return float(np.mean(np.abs(self.correlation))) if self.correlation else 0.0

    def _agrees(self, band: int) -> bool:
        strong = abs(self.correlation[band]) >= LEAST_CORRELATION and self.peak[band] >= LEAST_PEAK
        return strong and max(map(abs, self.shift[band])) <= 1.5 * 2**band


def agreement(left: np.ndarray, right: np.ndarray, seen: np.ndarray | None = None) -> Agreement:
    """Hold two pictures against each other.

    Args:
        left, right: float32 [height, width], grey, of one size.
        seen: bool [height, width], where both show something; by default everywhere.
    """
    mask = np.ones(left.shape, np.float32) if seen is None else seen.astype(np.float32)
    correlation, peak, shift = [], [], []
    for band in range(BANDS):
        if band:
            left, right, mask = (cv2.pyrDown(one) for one in (left, right, mask))
        if min(left.shape) < 16:  # too few pixels for the correlation of shifts to mean anything
            break
        window = _window(mask)
        surface = _correlation(_band(left), _band(right), window)
        deviation = float(surface.std()) or np.inf
        y, x = np.unravel_index(int(np.abs(surface).argmax()), surface.shape)
        correlation.append(float(surface[0, 0]))
        peak.append(abs(float(surface[0, 0])) / deviation)
        height, width = surface.shape
        shift.append((2.0**band * _signed(x, width), 2.0**band * _signed(y, height)))
    return Agreement(tuple(correlation), tuple(peak), tuple(shift))


def _signed(at: int, length: int) -> int:
    """A cyclic shift as the shorter way round."""
    return int((at + length // 2) % length - length // 2)


def _band(grey: np.ndarray) -> np.ndarray:
    """Detail of one size, divided by its local contrast."""
    detail = cv2.GaussianBlur(grey, (0, 0), SIGMA) - cv2.GaussianBlur(grey, (0, 0), 2 * SIGMA)
    return detail / (np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 4 * SIGMA)) + SOFTEN)


def _window(mask: np.ndarray) -> np.ndarray:
    """Fades out towards the borders of what is seen, whose edges are no detail of the picture."""
    inside = cv2.erode(np.pad((mask > 0.99).astype(np.uint8), 1), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    far = 4 * SIGMA + 0.02 * max(mask.shape)
    return np.clip(cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 3)[1:-1, 1:-1] / far, 0, 1)


def _correlation(left: np.ndarray, right: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Normalised correlation of two bands at every (cyclic) shift, [height, width]; no shift first."""
    total = float(window.sum()) or np.inf
    left, right = ((one - float((one * window).sum()) / total) * window for one in (left, right))
    scale = float(np.linalg.norm(left) * np.linalg.norm(right)) or np.inf
    spectrum = np.conj(np.fft.rfft2(left)) * np.fft.rfft2(right)
    return np.fft.irfft2(spectrum, s=left.shape) / scale
