"""Random shapes and regions of every kind, for tests that must hold for all of them."""

import numpy as np
from hypothesis import strategies as st

from qwenvl_debug.regions import Brush, Ellipse, Mask, Polygon, Rectangle, Region

WIDTH, HEIGHT = 60, 40
SIZE = (WIDTH, HEIGHT)

place = st.floats(-80, 140, allow_nan=False)
length = st.floats(0, 90, allow_nan=False)
point = st.tuples(place, place)


def points(least: int) -> st.SearchStrategy:
    return st.lists(point, min_size=least, max_size=6).map(tuple)


@st.composite
def masks(draw, height: int = HEIGHT, width: int = WIDTH) -> Mask:
    """Masks from none to all of the pixels, from specks to blocks."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    block = draw(st.sampled_from([1, 3, 17]))
    coarse = rng.random((height // block + 1, width // block + 1)) < draw(st.sampled_from([0, 0.05, 0.5, 0.95, 1]))
    return Mask(np.kron(coarse, np.ones((block, block), bool))[:height, :width])


rectangles = st.builds(Rectangle, place, place, length, length)
ellipses = st.builds(Ellipse, place, place, length, length, st.floats(-360, 360))
polygons = st.builds(Polygon, points(3))
brushes = st.builds(Brush, points(1), st.floats(0.1, 50), st.booleans())
outlines = st.one_of(rectangles, ellipses, polygons)
shapes = st.one_of(outlines, brushes, masks())
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12).filter(str.strip)
expectations = st.sampled_from(["look", "avoid", "measure"])


def regions(of: st.SearchStrategy = shapes, most: int = 4) -> st.SearchStrategy[Region]:
    return st.builds(Region, names, st.lists(of, min_size=1, max_size=most).map(tuple), expectations)
