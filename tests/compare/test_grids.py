"""Cells laid on each other lose nothing: against areas that are known, and against points thrown at random."""

import numpy as np
import pytest

from qwenvl_debug.compare import overlap
from qwenvl_debug.errors import RegionError
from tests.compare.conftest import about_middle

GRIDS, SIZES = ((26, 50), (30, 40)), ((640, 480), (700, 500))


def tilted():
    homography = about_middle(SIZES[0], 12, 0.8)
    homography[2, 0] = 1e-4
    return homography


def about_middles(*, across=1.0, down=1.0, turn=0.0, tilt=(0.0, 0.0), factor=1.0):
    """Scaled, turned and tilted about the middle of the left picture, onto the middle of the right one."""
    angle = np.deg2rad(turn)
    turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [*tilt, 1]])
    here, there = np.eye(3), np.eye(3)
    here[:2, 2], there[:2, 2] = np.array(SIZES[0]) / -2, np.array(SIZES[1]) / 2
    return factor * there @ turned @ np.diag([across, down, 1]) @ here


LAID = {
    "tilted": tilted(),
    "mirrored": about_middles(across=-1),
    "upside down": about_middles(down=-0.8),
    "turned by 180 degrees": about_middles(turn=180, across=1.3),
    "turned by 180 degrees, exactly": about_middles(across=-1, down=-1),
    "turned by 90 degrees": about_middles(turn=90),
    "mirrored and turned": about_middles(across=-1.2, turn=25),
    "of a negative factor": about_middles(turn=10, factor=-7.0),
    "steeply tilted": about_middles(turn=30, tilt=(2.5e-3, -1e-3)),
    "with the horizon in the picture": about_middles(across=0.5, down=0.5, tilt=(8e-3, 2e-3)),
    "thin": about_middles(across=1e-3, turn=15),
}


@pytest.mark.parametrize("how", LAID)
def test_pieces_have_the_areas_that_random_points_give(how):
    grids, homography = ((6, 9), (5, 7)), LAID[how]
    laid = overlap(grids, SIZES, homography)
    points = np.random.default_rng(0).uniform(0, 1, (200_000, 2)) * SIZES[0]
    x, y, depth = homography @ np.c_[points, np.ones(len(points))].T
    ahead = depth * np.sign(homography[2] @ (*np.array(SIZES[0]) / 2, 1)) > 0
    carried = np.stack([x, y], -1) / depth[:, None]
    hit = ((carried >= 0) & (carried < SIZES[1])).all(1) & ahead
    pairs = []
    for place, (rows, cols), size in zip((points, carried), grids, SIZES, strict=True):
        x, y = (place[hit] / (size[0] / cols, size[1] / rows)).astype(int).T
        pairs.append(y * cols + x)
    counted, found = np.zeros((2, 54, 35))
    np.add.at(counted, tuple(pairs), 54 / len(points))
    found[tuple(laid.cells)] = laid.shares[0]
    assert np.abs(found - counted).max() < 0.07  # some 3,700 points a cell
    assert found.sum() == pytest.approx(counted.sum(), rel=3e-3)
    assert (laid.seen(0) <= 1 + 1e-9).all()
    assert (laid.seen(1) <= 1 + 1e-9).all()


@pytest.mark.parametrize("how", LAID)
def test_the_shares_of_either_side_are_those_of_the_other_way_round(how):
    """Cells of the right picture, laid on the left one by the inverse, give the same pieces of the same areas."""
    grids, tables = ((6, 9), (5, 7)), []
    for laid in (overlap(grids, SIZES, LAID[how]), overlap(grids[::-1], SIZES[::-1], np.linalg.inv(LAID[how]))):
        tables.append(np.zeros((2, 54, 35)))
        left, right = laid.cells if not len(tables) - 1 else laid.cells[::-1]
        shares = laid.shares if not len(tables) - 1 else laid.shares[::-1]
        for side in (0, 1):
            tables[-1][side, left, right] = shares[side]
    assert np.abs(tables[0] - tables[1]).max() < 1e-6


@pytest.mark.parametrize("turn", [0, 17, 90, 180])
@pytest.mark.parametrize("across", [1, -1])
def test_pictures_without_a_common_area_have_no_pieces_and_no_distance(turn, across):
    apart = about_middles(turn=turn, across=across)
    apart[:2, 2] += 5000
    laid = overlap(((6, 9), (5, 7)), SIZES, apart)
    assert laid.empty
    assert (laid.seen(0) == 0).all()
    maps = np.ones((2, 54))
    assert laid.cut(maps, 0).shape == (2, 0)
    assert np.isnan(laid.gather(laid.cut(maps, 0), 0)).all()


@pytest.mark.parametrize(
    "flat", [np.diag([1, 0, 1.0]), np.diag([1e-9, 1e-9, 1.0]), np.array([[1, 2, 0], [2, 4, 0], [0, 0, 1.0]])]
)
def test_a_picture_that_is_flattened_shares_no_area(flat):
    assert overlap(((6, 9), (5, 7)), SIZES, flat).empty


@pytest.mark.parametrize("wrong", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.eye(2)])
def test_what_is_no_homography_is_refused_in_one_sentence(wrong):
    with pytest.raises(RegionError, match=r"^[A-Z][^\n]*\.$"):
        overlap(((6, 9), (5, 7)), SIZES, wrong)


def test_half_a_turn_about_the_middle_meets_the_cells_in_reverse_order():
    laid = overlap(((4, 5), (4, 5)), (SIZES[0], SIZES[0]), np.array([[-1, 0, 640], [0, -1, 480], [0, 0, 1.0]]))
    assert (laid.cells[0] + laid.cells[1] == 19).all()
    assert np.allclose(laid.shares, 1)


def test_what_both_pictures_show_whole_keeps_its_mass():
    laid = overlap(GRIDS, SIZES, tilted())
    inside = [laid.seen(side) > 1 - 1e-9 for side in (0, 1)]
    assert inside[0].sum() > 1000
    assert inside[1].sum() > 100
    for side in (0, 1):
        maps = np.random.default_rng(side).random((3, len(inside[side]))) * inside[side]
        assert np.allclose(laid.cut(maps, side).sum(-1), maps.sum(-1))
        assert np.allclose(laid.gather(laid.cut(maps, side), side)[:, inside[side]], maps[:, inside[side]])


def test_cells_the_other_picture_does_not_show_are_nan():
    laid = overlap(GRIDS, SIZES, np.array([[1, 0, -320], [0, 1, 0], [0, 0, 1.0]]))
    gathered = laid.gather(laid.cut(np.ones(26 * 50), 0), 0).reshape(26, 50)
    assert np.isnan(gathered[:, :25]).all()
    assert np.allclose(gathered[:, 25:], 1)


def test_a_crop_is_cut_at_its_very_border():
    laid = overlap(((1, 2), (1, 1)), ((20, 10), (8, 10)), np.array([[1, 0, -6], [0, 1, 0], [0, 0, 1.0]]))
    assert laid.cells.tolist() == [[0, 1], [0, 0]]
    assert np.allclose(laid.shares, [[0.4, 0.4], [0.5, 0.5]])


def test_the_general_way_agrees_with_the_exact_one_where_both_apply():
    shifted = np.array([[1.1, 0, -30], [0, 0.9, 12], [0, 0, 1.0]])
    exact = overlap(GRIDS, SIZES, shifted)
    nearly = shifted.copy()
    nearly[0, 1] = 1e-9
    general = overlap(GRIDS, SIZES, nearly)
    tables = []
    for one in (exact, general):
        table = np.zeros((1300, 1200))
        np.add.at(table, tuple(one.cells), one.shares[0])
        tables.append(table)
    assert np.abs(tables[0] - tables[1]).max() < 1e-6


def test_edge_on_edge_with_equal_grids_changes_nothing_and_costs_nothing():
    maps = np.random.default_rng(1).random((4, 1300)).astype(np.float32)
    laid = overlap((GRIDS[0], GRIDS[0]), (SIZES[0], SIZES[1]), np.diag([700 / 640, 500 / 480, 1]))
    assert laid.cut(maps, 1) is maps
