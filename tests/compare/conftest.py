"""The bundled gallery's pictures, textured pictures of our own, and the bundled model, loaded once."""

import cv2
import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.model import load_model


@pytest.fixture(scope="session")
def gallery():
    """By pair: the correct and the failing picture."""
    return {pair.id: (Picture.open(pair.correct), Picture.open(pair.failing)) for pair in pairs()}


@pytest.fixture(scope="session")
def micro():
    return load_model("micro")


def seen_through(picture, homography, size=None):
    """A picture through a homography of pixel corners, with grey around it: the ground truth of an alignment."""
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    centred = np.linalg.inv(half) @ homography @ half
    return Picture.open(
        cv2.warpPerspective(np.ascontiguousarray(picture.pixels), centred, size or picture.size, borderValue=(128,) * 3)
    )


def about_middle(size, degrees=0.0, scale=1.0):
    """Turned and scaled about the middle of a picture of this size, float64 [3, 3]."""
    return np.vstack([cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), degrees, scale), [0, 0, 1]])
