"""Are the captured rows of the vision tower right, and is each patch where it lies in the picture?

The reference is computed here from what each attention module is given and its own weights, and the order of the
patches is found by their content, so neither rests on the code under test.
"""

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.inputs import prompt
from tests.model.tiny import FAMILIES


def rotated(states, cos, sin):
    left, right = states.chunk(2, dim=-1)
    return states * cos[:, None] + torch.cat((-right, left), dim=-1) * sin[:, None]


def eager_maps(network, feed):
    """Per block float64 [heads, patches, patches] in the tower's own order, and the first block's input."""
    maps, inputs = [], []

    def watch(module, args, kwargs):
        hidden, (cos, sin) = (args[0] if args else kwargs["hidden_states"]), kwargs["position_embeddings"]
        heads = module.num_heads
        query, key, _ = module.qkv(hidden).double().view(len(hidden), 3, heads, -1).unbind(1)
        query, key = rotated(query, cos.double(), sin.double()), rotated(key, cos.double(), sin.double())
        scores = torch.einsum("qhd,khd->hqk", query, key) / query.shape[-1] ** 0.5
        edges = kwargs["cu_seqlens"][1:-1].to(torch.long)
        part = torch.zeros(len(hidden), dtype=torch.long)
        part[edges] = 1
        part = part.cumsum(0)
        maps.append(scores.masked_fill(part[:, None] != part, -torch.inf).softmax(-1).numpy())

    visual = network.model.visual
    hooks = [block.attn.register_forward_pre_hook(watch, with_kwargs=True) for block in visual.blocks]
    hooks.append(visual.patch_embed.register_forward_hook(lambda _, args, output: inputs.append((args[0], output))))
    hooks.append(
        visual.blocks[0].register_forward_pre_hook(
            lambda _, args, kwargs: inputs.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
        )
    )
    with torch.no_grad():
        network(**feed)
    for hook in hooks:
        hook.remove()
    return maps, inputs


def place_of_patches(pictures, patch, inputs):
    """Per picture int [patches]: where the tower holds the patch with that raster index, found by content."""
    (pixels, embedded), first = inputs
    sorted_by_window = (
        [int(np.flatnonzero((embedded == row).all(-1))[0]) for row in first]
        if (np.isin(first[:, 0], embedded[:, 0]).all())
        else range(len(first))
    )
    came = {pixels[old].numpy().tobytes(): new for new, old in enumerate(sorted_by_window)}
    for picture in pictures:
        scaled = ((picture.astype(np.float32) / 255 - 0.5) / 0.5).transpose(2, 0, 1)
        places = []
        for row in range(picture.shape[0] // patch):
            for col in range(picture.shape[1] // patch):
                tile = scaled[:, row * patch : (row + 1) * patch, col * patch : (col + 1) * patch]
                frames = np.stack([tile, tile], axis=1).reshape(-1)
                found = [n for key, n in came.items() if np.allclose(np.frombuffer(key, np.float32), frames, atol=1e-5)]
                assert len(found) == 1
                places += found
        yield np.array(places)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_block_equals_an_eager_computation_with_patches_in_raster_order(family, checkpoint, tiny, noise):
    model = tiny(family)
    patch = model.image_processor.patch_size
    # Sizes that need no resizing, so that patches can be recognised; two pictures, neither square.
    pictures = [noise(10 * patch, 6 * patch, 1), noise(4 * patch, 8 * patch, 2)]
    case = Case(pictures, "Which tower?")
    run = model.ask(case, max_new_tokens=2, vision_layers=range(3))
    network = AutoModelForImageTextToText.from_pretrained(checkpoint(family), attn_implementation="eager").eval()
    maps, inputs = eager_maps(network, prompt(model, case).feed("cpu"))
    assert [(trace.grid_rows, trace.grid_cols) for trace in run.vision] == [(6, 10), (8, 4)]
    for trace, places in zip(run.vision, place_of_patches(pictures, patch, inputs), strict=True):
        for layer in range(3):
            expected = maps[layer][:, places][:, :, places]
            assert np.abs(trace.weights(layer) - expected).max() <= 1e-5
            assert np.abs(expected.sum(-1) - 1).max() < 1e-9, "a picture attends only to itself"


def test_windows_hide_the_rest_of_the_picture(tiny, noise):
    run = tiny("qwen2_5_vl").ask(Case(noise(140, 84), "Which?"), max_new_tokens=1, vision_layers=(0, 1))
    (trace,) = run.vision
    inside = trace.weights(0, rows=[0], heads=0).reshape(6, 10) > 0
    assert inside[:4, :4].all(), "windows of 56 x 56 pixels are 4 x 4 patches"
    assert inside.sum() == 16
    assert (trace.weights(1, rows=[0], heads=0) > 0).all(), "block 1 attends over the whole picture"


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_a_picture_looks_the_same_to_the_tower_alone_or_in_company(family, tiny, noise):
    model = tiny(family)
    first, second = noise(60, 130, 3), noise(150, 80, 4)
    both = model.ask(Case([first, second], "Which?"), max_new_tokens=1, vision_layers=(0, 2)).vision
    alone = model.ask(Case(second, "Which?"), max_new_tokens=1, vision_layers=(0, 2)).vision
    for layer in (0, 2):
        assert np.allclose(both[1].weights(layer), alone[0].weights(layer), atol=1e-5)


def test_only_chosen_blocks_are_kept(tiny, wide_case):
    run = tiny().ask(wide_case, max_new_tokens=1, vision_layers=(2,))
    (trace,) = run.vision
    assert trace.layers == (2,)
    patches = trace.grid_rows * trace.grid_cols
    assert trace.weights(2, rows=[5, 3], heads=1).shape == (1, 2, patches)
    assert np.allclose(trace.weights(2, rows=[5, 3])[1], trace.weights(2, heads=1)[0, [5, 3]], atol=1e-6)
    assert tiny().ask(wide_case, max_new_tokens=1).vision == ()
    with pytest.raises(CaptureError, match="no layer 1 in this run"):
        trace.weights(1)
    with pytest.raises(CaptureError, match=f"patches 0 to {patches - 1}"):
        trace.weights(2, rows=[patches])
    with pytest.raises(CaptureError, match="no vision layer 9"):
        tiny().ask(wide_case, vision_layers=(9,))
