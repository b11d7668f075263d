"""Do pictures come in at their places, each by itself, and is a mismatch refused?"""

import numpy as np
import pytest
import torch
from PIL import Image

from qwenvl_debug.model.qwen_vl_1.modelling import picture_tokens
from qwenvl_debug.model.qwen_vl_1.preprocessing import QWenImageProcessor, prepare

START, END, PAD = 400, 401, 402


def span(first=PAD):
    return [START, first, *[PAD] * 255, END]


def test_any_shape_becomes_448_pixels_a_side(noise):
    pixels = noise(150, 90)
    resized = np.asarray(Image.fromarray(pixels).resize((448, 448), Image.Resampling.BICUBIC))
    expected = (resized / 255 - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
    assert np.allclose(prepare(pixels).numpy(), expected.transpose(2, 0, 1), atol=1e-6)
    made = QWenImageProcessor()([pixels, noise(3, 500)], return_tensors="pt", input_data_format="channels_last")
    assert made["pixel_values"].shape == (2, 3, 448, 448)
    assert made["image_grid_thw"].tolist() == [[1, 32, 32]] * 2


def test_two_pictures_in_one_prompt_are_read_as_each_alone(original, recorded):
    network = original("sdpa")
    first = recorded["pixel_values"]
    pictures = torch.cat((first, first.flip(-1)))
    with torch.no_grad():
        both = network.transformer.visual(pictures).last_hidden_state
        ids = torch.tensor([[7, *span(), 8, *span(47), 9]])
        embeds = network.transformer.wte(ids)
        spliced = network.transformer._with_pictures(embeds, ids, pictures)
        for picture, start in ((0, 2), (1, 261)):
            alone = network.transformer.visual(pictures[picture : picture + 1]).last_hidden_state[0]
            assert torch.allclose(both[picture], alone, atol=1e-5)
            assert torch.allclose(spliced[0, start : start + 256], alone, atol=1e-5)
    outside = ~picture_tokens(ids, network.config)
    assert int(outside.sum()) == ids.shape[1] - 512
    assert torch.equal(spliced[outside], embeds[outside])
    assert not torch.allclose(both[0], both[1], atol=0.1)


def test_rows_of_a_batch_take_their_own_pictures(original, recorded):
    network = original("sdpa")
    pictures = torch.cat((recorded["pixel_values"], recorded["pixel_values"].flip(-2)))
    ids = torch.tensor([[7, *span(), 9], [8, *span(), 9]])
    with torch.no_grad():
        together = network(input_ids=ids, pixel_values=pictures).logits
        for row in range(2):
            alone = network(input_ids=ids[row : row + 1], pixel_values=pictures[row : row + 1]).logits
            assert torch.allclose(together[row], alone[0], atol=1e-4)


@pytest.mark.parametrize(
    ("ids", "count", "sentence"),
    [
        ([7, *span(), 9], 2, "1 places .* 2 pictures"),
        ([7, *span(), 9], 0, "1 places .* 0 pictures"),
        ([7, START, *[PAD] * 255, END, 9], 1, "0 places .* 1 pictures"),  # one token short
        ([7, 8, 9], 1, "0 places"),
    ],
)
def test_a_prompt_whose_places_do_not_match_the_pictures_is_refused(ids, count, sentence, original, recorded):
    pictures = recorded["pixel_values"].expand(count, -1, -1, -1) if count else None
    with pytest.raises(ValueError, match=sentence):
        original("sdpa")(input_ids=torch.tensor([ids]), pixel_values=pictures)


def test_pictures_of_another_size_are_refused(original):
    with pytest.raises(ValueError, match="448"):
        original("sdpa").transformer.visual(torch.zeros(1, 3, 224, 224))


def test_generation_without_a_cache_reads_the_picture_at_every_step(original, recorded):
    feed = {"input_ids": torch.tensor([[7, *span(), 9, 10]]), "pixel_values": recorded["pixel_values"]}
    settings = {"max_new_tokens": 3, "do_sample": False, "output_logits": True, "return_dict_in_generate": True}
    network = original("sdpa")
    # With dynamic NTK the two differ beyond seq_length: each step without a cache is a prompt of its own.
    network.config.use_dynamic_ntk = False
    try:
        cached = network.generate(**feed, **settings)
        fresh = network.generate(**feed, **settings, use_cache=False)
    finally:
        network.config.use_dynamic_ntk = True
    assert torch.equal(cached.sequences, fresh.sequences)
    assert torch.allclose(torch.stack(cached.logits), torch.stack(fresh.logits), atol=1e-4)
