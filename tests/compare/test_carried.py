"""A region scored on the second side is the region that was marked on the first, wherever the picture was moved to.

Pictures of the gallery are cropped, shifted, zoomed, turned and tilted; how they lie on each other is found out. The
bundled model looks at both, and its maps of the second are scored on the region as it was carried there, and on the
pixels that were truly moved, one by one.
"""

import cv2
import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import compare, noise_floor
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.regions import Ellipse, Mask, Rectangle, Region, mask_from_png, region_mask, score_stack
from tests.compare.conftest import about_middle, seen_through

CHOSEN = ("pearl-fog", "cat-far", "canton-dusk", "shape-noise")
MOVES = ("crop", "shift", "zoom", "turned", "turned far", "upside down", "tilted")


def move(name, size, middle):
    """The homography of a change, and the size of the picture after it."""
    width, height = size
    if name == "crop":
        return np.array([[1, 0, -60], [0, 1, -40], [0, 0, 1.0]]), (width - 60, height - 40)
    if name == "shift":
        return np.array([[1, 0, 23.0], [0, 1, -17], [0, 0, 1]]), size
    if name == "zoom":
        return np.vstack([cv2.getRotationMatrix2D(middle, 0, 1.6), [0, 0, 1]]), size
    if name == "tilted":
        return np.array([[1, 0.05, 10], [-0.03, 0.95, 12], [1e-4, -5e-5, 1]]), size
    return about_middle(size, {"turned": 15, "turned far": 60, "upside down": 180}[name]), size


def truly_moved(mask, homography, size):
    """bool [height, width]: each pixel is the one that its centre came from, by the known change."""
    back = np.linalg.inv(homography)
    down, across = np.mgrid[: size[1], : size[0]] + 0.5
    place = np.tensordot(back, np.stack([across, down, np.ones_like(across)]), 1)
    x, y = np.floor(place[:2] / place[2]).astype(int)
    there = (x >= 0) & (y >= 0) & (x < mask.shape[1]) & (y < mask.shape[0])
    moved = np.zeros(size[::-1], bool)
    moved[there] = mask[y[there], x[there]]
    return moved


def box(mask):
    ys, xs = np.nonzero(mask)
    return float(xs.min()), float(ys.min()), float(np.ptp(xs) + 1), float(np.ptp(ys) + 1)


@pytest.fixture(scope="module")
def marked(micro):
    """By pair: the run about its correct picture, and its true regions with a box and an oval about the first."""
    found = {}
    for pair in pairs():
        if pair.id in CHOSEN:
            picture = Picture.open(pair.correct)
            regions = [Region(n, mask_from_png(file, picture.size)) for n, file in pair.regions["correct"].items()]
            x, y, width, height = box(region_mask(regions[0], picture.size))
            regions.append(Region("box", Rectangle(x, y, width, height)))
            regions.append(Region("oval", Ellipse(x + width / 2, y + height / 2, width / 2, height / 2)))
            found[pair.id] = micro.ask(Case(picture, pair.question, expected=pair.expected)), regions
    return found


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("pair", CHOSEN)
def test_scores_on_the_second_side_are_those_of_the_truly_moved_pixels_within_1_percent(micro, marked, pair, name):
    run, regions = marked[pair]
    picture = run.case.pictures[0]
    x, y, width, height = box(region_mask(regions[0], picture.size))
    homography, size = move(name, picture.size, (x + width / 2, y + height / 2))
    other = micro.ask(Case(seen_through(picture, homography, size), run.case.question))
    made = compare(run, other, regions=regions)
    assert made.alignment.kind == ("same frame" if name in ("crop", "shift") else "registered")
    for one in made.regions:
        before = region_mask(one.left, picture.size)
        moved = truly_moved(before, homography, size)
        if moved.sum() < 2000:
            continue  # one row of pixels more or less is more than 1 %
        wanted = score_stack(made.right, [Region("moved", Mask(moved))], size, ["mass"])["mass"][0]
        assert np.nanmax(np.abs(one.right_mass / wanted - 1)) < 0.01
        assert one.right_chance == pytest.approx(moved.mean(), rel=0.01)
        if name in ("crop", "shift"):  # pixel for pixel
            seen = before & truly_moved(np.ones(size[::-1], bool), np.linalg.inv(homography), picture.size)
            assert one.sided.outside == 1 - seen.sum() / before.sum()


def test_a_crop_moves_the_region_and_leaves_the_noise_floor_alone(micro):
    """The spheres of the tower, 160 pixels further left and 60 further up: laid by size alone they were at (247, 157.5,
    33, 139), and 77 % of the heads stood above the noise floor of their mass."""
    pair = next(pair for pair in pairs() if pair.id == "pearl-fog")
    picture = Picture.open(pair.correct)
    cropped = Picture.open(np.ascontiguousarray(picture.pixels[60:, 160:]))
    runs = [micro.ask(Case(one, pair.question, expected=pair.expected)) for one in (picture, cropped)]
    spheres = Region("spheres", Rectangle(*box(mask_from_png(pair.regions["correct"]["spheres"], picture.size).pixels)))
    made = compare(*runs, target=pair.expected, regions=spheres)
    (one,) = made.regions
    assert one.right == Region("spheres", Rectangle(169, 120, 44, 159))
    assert one.sided.said == "“spheres” on the failing image: same frame, shifted by -160 px across and -60 px down."
    noise = noise_floor(made.asked[0], query=made.left.query, regions=made.left_regions)
    above = made.figures.values["mass_spheres"] > noise.floor["mass_spheres"]
    assert above[:, :-1].mean() <= 0.12
