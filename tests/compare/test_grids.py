"""Cells laid on each other lose nothing: against areas that are known, and against points thrown at random."""

import numpy as np
import pytest

from qwenvl_debug.compare import overlap
from qwenvl_debug.compare.register import carry
from tests.compare.conftest import about_middle

GRIDS, SIZES = ((26, 50), (30, 40)), ((640, 480), (700, 500))


def tilted():
    homography = about_middle(SIZES[0], 12, 0.8)
    homography[2, 0] = 1e-4
    return homography


def test_pieces_of_a_tilted_picture_have_the_areas_that_random_points_give():
    grids = ((6, 9), (5, 7))
    laid = overlap(grids, SIZES, tilted())
    points = np.random.default_rng(0).uniform(0, 1, (200_000, 2)) * SIZES[0]
    carried = carry(tilted(), points)
    hit = ((carried >= 0) & (carried < SIZES[1])).all(1)
    pairs = []
    for place, (rows, cols), size in zip((points, carried), grids, SIZES, strict=True):
        x, y = (place[hit] / (size[0] / cols, size[1] / rows)).astype(int).T
        pairs.append(y * cols + x)
    counted, found = np.zeros((2, 54, 35))
    np.add.at(counted, tuple(pairs), 54 / len(points))
    found[tuple(laid.cells)] = laid.shares[0]
    assert np.abs(found - counted).max() < 0.07  # some 3,700 points a cell
    assert found.sum() == pytest.approx(counted.sum(), rel=3e-3)


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
