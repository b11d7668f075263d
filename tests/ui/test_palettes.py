"""Colours on the page are the colours in the files: the browser's scales against OpenCV's."""

import re
from importlib.resources import files

import numpy as np
import pytest

from qwenvl_debug.report import PALETTES, palette

SCRIPT = (files("qwenvl_debug.ui") / "viewer" / "palettes.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PALETTES)
def test_the_browsers_scale_has_the_same_colours_as_the_files(name):
    anchors = re.findall(r"#([0-9a-f]{6})", re.search(rf"{name.capitalize()}: \[(.*?)\]", SCRIPT)[1])
    ours = np.array([[int(anchor[at : at + 2], 16) for at in (0, 2, 4)] for anchor in anchors])
    places = np.linspace(0, 255, len(anchors)).round().astype(int)
    np.testing.assert_array_equal(ours, palette(name)[places])
