"""The bundled model, its gallery as runs, and tiny models of every generation."""

import numpy as np
import pytest
import torch
from PIL import Image

from qwenvl_debug.case import Case
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.model import load_model
from qwenvl_debug.regions import Mask, Region

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def micro():
    return load_model("micro")


@pytest.fixture(scope="session")
def answered(micro):
    """From a pair of the gallery to its correct and failing run, answered once."""
    made, known = {}, {pair.id: pair for pair in pairs()}

    def runs(name):
        if name not in made:
            pair = known[name]
            sides = (pair.correct, pair.failing)
            made[name] = [micro.ask(Case(side, pair.question, expected=pair.expected)) for side in sides]
        return made[name]

    return runs


@pytest.fixture(scope="session")
def region_of():
    """From a pair and a name to the true region on the failing image."""
    known = {pair.id: pair for pair in pairs()}

    def region(pair, name, side="failing"):
        mask = np.asarray(Image.open(known[pair].regions[side][name]).convert("L")) > 127
        return Region(name, [Mask(mask)])

    return region
