"""Training sees the model that users run: the dense, packed pass equals transformers' own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2VLImageProcessorPil

from qwenvl_debug.micro.batches import cell_truth, draw_batch, pack
from qwenvl_debug.micro.build import CELL, MERGE, fresh_model, sentences, tokenizer
from qwenvl_debug.micro.forward import patches, read, see
from qwenvl_debug.micro.scenes import scene


@pytest.fixture(scope="module")
def tokens():
    return tokenizer()


@pytest.fixture(scope="module")
def model(tokens):
    return fresh_model(tokens, 3).eval()


def test_patches_are_those_of_the_published_image_processor():
    pixels = np.random.default_rng(0).integers(0, 256, (5 * CELL, 7 * CELL, 3), dtype=np.uint8)
    processor = Qwen2VLImageProcessorPil(
        patch_size=CELL // MERGE, merge_size=MERGE, temporal_patch_size=2, image_mean=[0.5] * 3, image_std=[0.5] * 3,
        size={"shortest_edge": CELL**2, "longest_edge": 1000 * CELL**2},
    )  # fmt: skip
    theirs = processor(Image.fromarray(pixels), return_tensors="pt")
    assert theirs["image_grid_thw"].tolist() == [[1, 5 * MERGE, 7 * MERGE]]
    ours = patches(torch.from_numpy(pixels)[None])[0]
    one_frame = theirs["pixel_values"].view(len(ours), 3, 2, -1)[:, :, 0].flatten(1)
    assert torch.allclose(ours, one_frame, atol=1e-5)


def test_the_packed_pass_gives_each_question_the_logits_it_has_alone(model, tokens):
    grid = (5, 7)
    batch = draw_batch(tokens, 1, 2, grid, asked=3)
    with torch.no_grad():
        merged, deep = see(model, torch.from_numpy(batch.pixels), grid)
        arrays = (torch.from_numpy(a) for a in (batch.ids, batch.block, batch.positions))
        packed = model.lm_head(read(model, merged, deep, *arrays))
        for n in range(2):
            for block in range(1, 4):
                keep = (batch.block[n] == 0) | (batch.block[n] == block)
                ids = torch.from_numpy(batch.ids[n][keep])[None]
                flat = patches(torch.from_numpy(batch.pixels[n])[None])[0].view(-1, 3, 1, (CELL // MERGE) ** 2)
                alone = model(
                    input_ids=ids, pixel_values=flat.expand(-1, -1, 2, -1).flatten(1),
                    image_grid_thw=torch.tensor([[1, grid[0] * MERGE, grid[1] * MERGE]]),
                    mm_token_type_ids=(ids == model.config.image_token_id).int(),
                ).logits[0]  # fmt: skip
                assert torch.allclose(packed[n][torch.from_numpy(keep)], alone, atol=2e-4)


def test_labels_stand_on_the_answers_and_nowhere_else(tokens):
    ids, labels, block, _ = pack(
        tokens, [[("Where is the cat?", "on the table"), ("猫在哪里？", "在桌子上面")]], (2, 3)
    )
    for number, answer in ((1, "on the table"), (2, "在桌子上面")):
        learnt = ids[0][(labels[0] != -100) & (block[0] == number)]
        assert tokens.decode(learnt.tolist(), skip_special_tokens=False) == answer + "<|im_end|>"


def test_cell_truth_names_what_covers_the_cell():
    drawn = scene(9, "shapes", (8 * CELL, 6 * CELL), count=2)
    thing, colour, _ = cell_truth(drawn, (6, 8))
    for o in drawn.objects:
        y, x = np.argwhere(o.mask).mean(0).astype(int)
        if o.mask[y // CELL * CELL :, :][:CELL, x // CELL * CELL :][:, :CELL].mean() > 0.9:
            assert thing[y // CELL * 8 + x // CELL] > 0
            assert colour[y // CELL * 8 + x // CELL] > 0
    assert (thing == 0).sum() > 20


def test_everything_taught_survives_the_tokenizer(tokens):
    for text in (*sentences(), "Ünïcödé ☃ 龘", "<|im_end|>"):
        assert tokens.decode(tokens.encode(text).ids, skip_special_tokens=False) == text
