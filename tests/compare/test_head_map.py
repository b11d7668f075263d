"""The plane of heads against scikit-learn, and what it must not do: move a head that did not move."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from qwenvl_debug.compare import head_map
from qwenvl_debug.maps import MapStack
from qwenvl_debug.model.run import Grid

RNG = np.random.default_rng(5)


def stack(values):
    """A stack of these maps [layers, heads, rows, cols], which is all that a head map looks at."""
    layers, heads, rows, cols = values.shape
    nothing = np.full((layers, heads), np.nan, np.float32)
    grid = Grid(rows, cols, np.arange(rows * cols), 0)
    return MapStack(values.astype(np.float32), nothing, nothing, grid, None, "picture")


def maps(rows=7, cols=9, layers=4, heads=5):
    """Maps around a few spots, so that the first axes stand out as they do in a model."""
    spots = RNG.dirichlet(np.full(rows * cols, 0.2), size=3)
    mixed = RNG.dirichlet([0.5, 0.5, 0.5], size=layers * heads) @ spots
    noisy = 0.9 * mixed + 0.1 * RNG.dirichlet(np.ones(rows * cols), size=layers * heads)
    return noisy.reshape(layers, heads, rows, cols)


def test_the_points_are_the_first_two_principal_components_of_the_square_roots():
    left, right = maps(), maps()
    patterns = np.sqrt(np.concatenate([one.reshape(20, -1) for one in (left, right)]))
    reference = PCA(n_components=2, svd_solver="full")
    expected = reference.fit_transform(patterns)
    found = head_map(stack(left), stack(right))
    points = np.concatenate([found.left.reshape(20, 2), found.right.reshape(20, 2)])
    signs = np.sign((points * expected).sum(axis=0))
    assert np.allclose(points * signs, expected, atol=1e-5)
    assert found.explained == pytest.approx(reference.explained_variance_ratio_.tolist(), abs=1e-6)


def test_a_run_beside_itself_does_not_move():
    left = maps()
    assert (head_map(stack(left), stack(left)).moved == 0).all()


def test_the_same_maps_give_the_same_points_every_time():
    left, right = stack(maps()), stack(maps())
    first, second = head_map(left, right), head_map(left, right)
    assert np.array_equal(first.left, second.left)
    assert np.array_equal(first.right, second.right)


def test_only_the_heads_that_changed_have_moved():
    left = maps()
    right = left.copy()
    right[2, 3] = left[2, 3, ::-1]
    moved = head_map(stack(left), stack(right)).moved
    assert np.unravel_index(moved.argmax(), moved.shape) == (2, 3)
    assert np.sort(moved.ravel())[-2] < 1e-6


def test_heads_without_a_map_are_left_out_and_stay_empty():
    left, right = maps(), maps()
    whole = head_map(stack(left[1:]), stack(right[1:]))
    for one in (left, right):
        one[0] = np.nan
    found = head_map(stack(left), stack(right))
    assert np.isnan(found.left[0]).all()
    assert np.isnan(found.moved[0]).all()
    assert np.allclose(found.left[1:], whole.left, atol=1e-6)
    right[2, 1] = np.nan
    found = head_map(stack(left), stack(right))
    assert np.isnan(found.moved[2, 1])
    assert not np.isnan(found.left[2, 1]).any()


def test_a_finer_grid_of_the_same_maps_is_the_same_point():
    left = maps()
    finer = np.repeat(np.repeat(left, 2, axis=2), 3, axis=3) / 6
    assert head_map(stack(left), stack(finer)).moved.max() < 1e-6


def test_where_nothing_differs_there_is_no_axis():
    same = np.full((2, 3, 4, 4), 1 / 16)
    found = head_map(stack(same), stack(same))
    assert (found.left == 0).all()
    assert np.isnan(found.explained).all()
    gone = head_map(stack(np.full_like(same, np.nan)), stack(np.full_like(same, np.nan)))
    assert np.isnan(gone.left).all()
