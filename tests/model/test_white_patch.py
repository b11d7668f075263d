"""Does a white patch light the very cell it was painted on? Shown on Qwen2.5-VL, whose tower sorts patches by window.

The model is set by hand: its blocks add nothing, so that a patch keeps its brightness all the way; a picture token is
large where it is white and nothing where it is black; and every word asks for large. Where the map is brightest must
then be where the white was painted, on any grid, whatever order the patches took through the tower.
"""

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from qwenvl_debug.case import Case
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt
from tests.model.tiny import tiny_checkpoint

CELL = 28
"""Pixels along a cell: two patches of 14. A window of this checkpoint is 56 pixels, two cells."""


@pytest.fixture(scope="module")
def seeing(tmp_path_factory):
    """The hand-set model, saved in the published layout and loaded as any other."""
    folder = tiny_checkpoint(tmp_path_factory.mktemp("white") / "model", "qwen2_5_vl")
    network = AutoModelForImageTextToText.from_pretrained(folder)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if weight.ndim > 1 or name.endswith("bias"):
                weight.zero_()
        tower, language = network.model.visual, network.model.language_model
        tower.patch_embed.proj.weight[0] = 1 / tower.patch_embed.proj.weight[0].numel()  # the mean, -1 to 1
        tower.merger.mlp[0].weight[0, :: tower.config.hidden_size] = 1.0  # of a cell's four patches
        tower.merger.mlp[2].weight[0, 0] = 1.0  # after GELU: nothing where it was black
        language.embed_tokens.weight[:, 1] = 1.0  # every word
        attention = language.layers[0].self_attn
        slow = 7 + 16 * torch.arange(4)  # the dimension of each head that hardly turns with the position
        attention.q_proj.weight[slow, 1] = 4.0
        attention.k_proj.weight[slow[:2], 0] = 4.0
    network.save_pretrained(folder)
    return load_model(folder)


@pytest.mark.parametrize(("rows", "cols"), [(3, 7), (7, 3), (5, 5)])
def test_a_white_patch_lights_its_cell_whatever_the_windows(rows, cols, seeing):
    for row, col in [(0, 0), (0, cols - 1), (rows - 1, 1), (rows // 2, cols // 2), (rows - 1, cols - 1)]:
        picture = np.zeros((rows * CELL, cols * CELL, 3), dtype=np.uint8)
        picture[row * CELL : (row + 1) * CELL, col * CELL : (col + 1) * CELL] = 255
        run = seeing.ask(Case(picture, "Where?"), max_new_tokens=1)
        (grid,) = run.grids
        assert (grid.rows, grid.cols) == (rows, cols)
        lit = run.trace.weights(0, run.last_prompt)[:, 0, grid.positions].reshape(4, rows, cols)
        for head in lit:
            assert np.unravel_index(head.argmax(), head.shape) == (row, col)
            assert head[row, col] > 20 * np.partition(head.ravel(), -2)[-2]


def test_the_windows_do_change_the_order_here(seeing):
    """Else the test above would pass without anything to undo."""
    grids = prompt(seeing, Case(np.zeros((3 * CELL, 7 * CELL, 3), dtype=np.uint8), "?")).image_grid_thw
    places = seeing.generation.raster_order(seeing.network, grids)[0]
    from_blocks = torch.arange(3 * 7 * 4).view(3, 7, 2, 2).permute(0, 2, 1, 3).reshape(-1)
    assert not torch.equal(places, from_blocks)
