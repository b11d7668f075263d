"""Which cells an intervention acts on."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from qwenvl_debug.causes import Cells, cells_of, elsewhere
from qwenvl_debug.errors import CauseError
from qwenvl_debug.regions import Mask, Rectangle, Region

masks = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def test_a_region_takes_the_fewest_cells_that_hold_95_percent_of_it(answered):
    _, run = answered("pearl-fog")
    picture, grid = run.case.pictures[0], run.grids[0]
    wide, high = picture.width / grid.cols, picture.height / grid.rows
    whole = cells_of(run, Region("two cells", [Rectangle(2 * wide, 3 * high, 2 * wide, high)]))
    assert whole.index == (3 * grid.cols + 2, 3 * grid.cols + 3)
    edge = cells_of(run, Region("a little of a third", [Rectangle(2 * wide, 3 * high, 2.08 * wide, high)]))
    assert edge.index == whole.index
    more = cells_of(run, Region("more of a third", [Rectangle(2 * wide, 3 * high, 2.5 * wide, high)]))
    assert len(more) == 3


def test_a_thin_part_takes_all_the_cells_it_lies_in_though_it_covers_none_by_half(answered):
    _, run = answered("pearl-fog")
    picture, grid = run.case.pictures[0], run.grids[0]
    line = Region("line", [Rectangle(0, picture.height / 2 + 1, picture.width, 3)])
    assert len(cells_of(run, line)) == grid.cols


def test_equally_covered_cells_come_together_so_that_a_mirrored_region_takes_mirrored_cells(answered):
    _, run = answered("pearl-fog")
    picture = run.case.pictures[0]
    mask = np.zeros((picture.height, picture.width), bool)
    mask[100:170, 50:210] = True
    mine = cells_of(run, Region("left", [Mask(mask)])).mask
    its = cells_of(run, Region("right", [Mask(mask[:, ::-1])])).mask
    assert np.array_equal(mine[:, ::-1], its)


def test_a_region_outside_the_image_is_refused(answered):
    _, run = answered("pearl-fog")
    with pytest.raises(CauseError, match="covers nothing"):
        cells_of(run, Region("away", [Rectangle(-50, -50, 20, 20)]))
    with pytest.raises(CauseError, match="no image 3"):
        cells_of(run, Region("away", [Rectangle(0, 0, 20, 20)]), image=3)


@given(masks)
def test_margin_region_and_rest_part_the_image(mask):
    cells = Cells.of(0, mask)
    margin = cells.margin()
    rest = cells.rest().without(margin)
    assert (cells.mask.astype(int) + margin.mask + rest.mask == 1).all()
    for row, col in np.argwhere(margin.mask):
        near = mask[max(row - 1, 0) : row + 2, max(col - 1, 0) : col + 2]
        assert near.any()


@given(masks, st.integers(1, 5))
def test_controls_have_the_same_shape_within_the_image_and_share_no_cell(mask, most):
    cells = Cells.of(0, mask)
    places = elsewhere(cells, most)
    assert len(places) <= most
    assert len({place.index for place in places}) == len(places)
    for place in places:
        assert not (place.mask & cells.mask).any()
        moved = np.argwhere(place.mask) - np.argwhere(cells.mask)
        assert (moved == moved[0]).all()


def test_there_are_as_many_controls_as_there_are_other_places():
    mask = np.zeros((3, 4), bool)
    mask[0, :3] = True
    assert len(elsewhere(Cells.of(0, mask), most=20)) == 4  # two in each of the other rows
    assert elsewhere(Cells.of(0, np.ones((3, 4), bool))) == []
