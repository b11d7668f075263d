"""The measures against closed forms and against SciPy."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy as scipy_entropy

from qwenvl_debug.maps import MEASURES, entropy, image_share, jensen_shannon
from qwenvl_debug.regions.measures import page


@pytest.fixture
def maps():
    return np.random.default_rng(7).gamma(0.3, size=(4, 3, 40))


def test_a_uniform_map_has_entropy_one_and_a_single_cell_zero():
    assert entropy(np.full((2, 5), 0.3)).tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    assert entropy(np.eye(5)).tolist() == [0.0] * 5


def test_two_equal_cells_of_eight_have_entropy_one_third():
    assert entropy(np.array([1.0, 1, 0, 0, 0, 0, 0, 0])) == pytest.approx(np.log(2) / np.log(8))


def test_entropy_agrees_with_scipy(maps):
    assert np.allclose(entropy(maps), scipy_entropy(maps, axis=-1) / np.log(maps.shape[-1]), atol=1e-12)


def test_entropy_does_not_depend_on_the_total(maps):
    assert np.allclose(entropy(maps), entropy(maps * 1e-6), atol=1e-12)


def test_divergence_is_the_square_of_scipys_distance(maps):
    ours = jensen_shannon(maps[:2], maps[2:])
    assert np.allclose(ours, jensenshannon(maps[:2], maps[2:], base=2, axis=-1) ** 2, atol=1e-12)


def test_divergence_of_a_map_with_itself_is_exactly_zero(maps):
    assert (jensen_shannon(maps, maps) == 0).all()


def test_divergence_is_one_for_maps_that_share_no_cell():
    assert jensen_shannon(np.array([3.0, 1, 0, 0]), np.array([0, 0, 1.0, 9])) == 1.0


def test_divergence_is_symmetric_and_between_zero_and_one(maps):
    forth, back = jensen_shannon(maps[:2], maps[2:]), jensen_shannon(maps[2:], maps[:2])
    assert np.array_equal(forth, back)
    assert ((forth > 0) & (forth < 1)).all()


def test_divergence_of_a_half_shared_map_has_its_closed_form():
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4): (log2(4/3) + log2(2/3)/2 + log2(2)/2) / 2
    expected = (np.log2(4 / 3) + np.log2(2 / 3) / 2 + 0.5) / 2
    assert jensen_shannon(np.array([2.0, 0]), np.array([5.0, 5.0])) == pytest.approx(expected)


@pytest.mark.parametrize("nothing", [np.zeros(4), np.full(4, np.nan)])
def test_a_map_of_nothing_has_no_number(nothing):
    something = np.ones(4)
    assert np.isnan(entropy(nothing))
    assert np.isnan(jensen_shannon(nothing, something))
    assert np.isnan(jensen_shannon(something, nothing))


def test_a_map_of_one_cell_has_no_entropy_and_two_have_no_distance():
    assert np.isnan(entropy(np.ones((2, 3, 1)))).all()
    assert np.isnan(jensen_shannon(np.ones((2, 3, 1)), np.full((3, 1), 0.5))).all()
    assert jensen_shannon(np.ones((2, 3, 1)), np.full((3, 1), 0.5)).shape == (2, 3)


def test_image_share_is_the_plain_sum_over_the_pictures_tokens():
    assert image_share(np.array([[0.1, 0.2, 0.3, 0.4]]), np.array([1, 2])).tolist() == [0.5]


def test_tiny_weights_keep_their_measures():
    tiny = np.array([1e-30, 1e-30, 0, 0], dtype=np.float32)
    assert entropy(tiny) == pytest.approx(0.5)
    assert jensen_shannon(tiny, np.array([1.0, 1, 0, 0])) == 0.0


def test_the_worked_examples_are_true():
    assert "0.5" in MEASURES["image_share"].example  # the test above
    assert MEASURES["entropy"].example.endswith("= 1/3")
    assert entropy(np.array([1, 1, 0, 0, 0, 0, 0, 0])) == pytest.approx(1 / 3)
    example = float(jensen_shannon(np.array([1, 0]), np.array([0.5, 0.5])))
    assert MEASURES["divergence"].example.endswith(f"{example:.3f}")


def test_the_page_about_measures_says_what_the_code_says():
    written = Path(__file__).parents[2] / "docs" / "measures.md"
    assert written.read_text(encoding="utf-8") == page(), "run: make docs"
