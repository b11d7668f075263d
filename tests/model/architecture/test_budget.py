"""From pixels to tokens: the same numbers as transformers' own functions, on pictures of every shape."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize
from transformers.vision_utils import get_vision_window_index

from qwenvl_debug.errors import PictureError
from qwenvl_debug.model.architecture import PictureRules, described, token_budget

OLD = described("Qwen/Qwen2.5-VL-7B-Instruct").rules
NEW = described("Qwen/Qwen3-VL-8B-Instruct").rules
SIDES = st.integers(1, 6000)


@settings(max_examples=200, deadline=None)
@given(width=SIDES, height=SIDES, rules=st.sampled_from([OLD, NEW]))
def test_a_picture_is_resized_as_transformers_resizes_it(width, height, rules):
    if max(width, height) > 200 * min(width, height):
        with pytest.raises(PictureError, match="crop it"):
            token_budget(rules, width, height)
        return
    block = rules.patch * rules.merge
    high, wide = smart_resize(height, width, block, rules.least, rules.most)
    budget = token_budget(rules, width, height)
    assert (budget.resized_width, budget.resized_height) == (wide, high)
    assert budget.tokens == (high // block) * (wide // block)
    assert budget.patches == budget.tokens * rules.merge**2


@settings(max_examples=60, deadline=None)
@given(width=st.integers(28, 1500), height=st.integers(28, 1500))
def test_windows_are_those_that_transformers_cuts(width, height):
    budget = token_budget(OLD, width, height)
    grid = torch.tensor([[1, budget.patch_rows, budget.patch_cols]])
    _, edges = get_vision_window_index(grid, spatial_merge_size=2, window_size=112, patch_size=14)
    sizes = torch.diff(torch.unique_consecutive(edges))
    assert budget.windows == len(sizes)
    assert budget.window_patches == int(sizes.max())


def test_a_fixed_square_with_queries_makes_the_same_tokens_of_every_picture():
    rules = PictureRules(14, 1, 448**2, 448**2, square=448, queries=256, window=None, limits="fixed")
    for size in ((30, 4000), (448, 448), (1, 1)):
        budget = token_budget(rules, *size)
        assert (budget.patches, budget.tokens, budget.rows, budget.cols) == (1024, 256, None, None)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-3, 4)])
def test_an_empty_picture_is_refused(size):
    with pytest.raises(PictureError, match="above 0"):
        token_budget(NEW, *size)
