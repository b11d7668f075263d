"""A limit of image tokens holds for every aspect ratio, and changes nothing where an image fits anyway."""

import numpy as np
import pytest

from qwenvl_debug.case import Case
from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.image_size import fitting_size
from qwenvl_debug.model.inputs import prompt

RATIOS = [1, 1.3, 2, 7, 33.3, 100, 199.9]


def picture(width, height):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def processor(checkpoint):
    return load_model(checkpoint("qwen3_vl")).image_processor


def cells(processor, size, width, height):
    (grid,) = processor(images=[picture(width, height)], return_tensors="pt", size=size)["image_grid_thw"].tolist()
    return grid[1] * grid[2] // processor.merge_size**2


@pytest.mark.parametrize("most", [1, 2, 16, 100])
@pytest.mark.parametrize("short", [3, 10, 40])
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("upright", [False, True])
def test_no_image_takes_more_tokens_than_are_allowed(processor, most, short, ratio, upright):
    sides = (int(short * ratio), short)
    width, height = sides[::-1] if upright else sides
    area = most * (processor.patch_size * processor.merge_size) ** 2
    size = {"shortest_edge": min(3136, area), "longest_edge": area}
    fitted = fitting_size(processor, (width, height), size, most)
    assert cells(processor, fitted, width, height) <= most
    if fitted is not size:
        assert cells(processor, size, width, height) > most
        larger = fitted["longest_edge"] + 1
        larger = {"shortest_edge": min(size["shortest_edge"], larger), "longest_edge": larger}
        assert cells(processor, larger, width, height) > most


def test_a_model_keeps_its_limit_for_every_image_of_a_case(checkpoint):
    model = load_model(checkpoint("qwen3_vl"), max_image_tokens=16)
    case = Case([picture(2000, 10), picture(64, 48), picture(10, 2000)], "Which?")
    asked = prompt(model, case)
    assert all(1 <= len(grid.positions) <= 16 for grid in asked.grids)
    assert asked.grids[0].cols > 8
    assert asked.grids[2].rows > 8
    assert model.ask(case, max_new_tokens=1).grids[0].cols == asked.grids[0].cols


def test_without_a_limit_an_image_is_prepared_as_by_the_checkpoint_itself(checkpoint):
    model = load_model(checkpoint("qwen3_vl"))
    case = Case([picture(2000, 10), picture(64, 48)], "Which?")
    plain = model.image_processor(images=[one.pixels for one in case.pictures], return_tensors="pt")
    made = prompt(model, case)
    assert np.array_equal(made.pixel_values, plain["pixel_values"])
    assert np.array_equal(made.image_grid_thw, plain["image_grid_thw"])


@pytest.mark.parametrize("most", [0, -3, True, 1.5, "16"])
def test_a_limit_that_is_no_number_of_tokens_is_refused(checkpoint, most):
    with pytest.raises(ModelLoadError, match="max_image_tokens is a whole number from 1"):
        load_model(checkpoint("qwen3_vl"), max_image_tokens=most)
