"""Tiny models of every family, written and loaded once for all tests of this room."""

import shutil

import numpy as np
import pytest
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.model import DebugModel, load_model
from tests.model.tiny import tiny_checkpoint

# Tiny matrices gain nothing from a second thread, and lose much when the machine is busy.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """From a family's name to the folder of its tiny checkpoint."""
    root, made = tmp_path_factory.mktemp("checkpoints"), {}

    def folder(family: str):
        if family not in made:
            made[family] = tiny_checkpoint(root / family, family)
        return made[family]

    return folder


@pytest.fixture
def copy(checkpoint, tmp_path):
    """A checkpoint that may be damaged."""
    return shutil.copytree(checkpoint("qwen3_vl"), tmp_path / "copy")


@pytest.fixture(scope="session")
def tiny(checkpoint):
    """From a family's name to its tiny model, loaded."""
    loaded: dict[str, DebugModel] = {}

    def model(family: str = "qwen3_vl") -> DebugModel:
        if family not in loaded:
            loaded[family] = load_model(checkpoint(family))
        return loaded[family]

    return model


@pytest.fixture(scope="session")
def noise():
    """From a size to a picture of that size whose every pixel differs."""

    def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)

    return picture


@pytest.fixture(scope="session")
def wide_case(noise):
    """A question about a picture that is far from square."""
    return Case(noise(150, 90), "Which tower is this? 这是哪座塔？")
