"""The bundled model's own forward pass for training, dense over a batch of pictures of one size.

transformers runs the vision tower picture by picture and embeds patches with a convolution, which is slow on a
CPU. Here the same weights are applied to a batch at once, the patch embedding as a matrix product; a test holds
this pass and transformers' equal.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from transformers import Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl.modeling_qwen3_vl import apply_rotary_pos_emb_vision
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from qwenvl_debug.micro.build import CELL, MERGE, PATCH


def patches(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 [B, height, width, 3] to float [B, patches, 3*PATCH*PATCH], in merge-block order, scaled to -1..1."""
    b, h, w, _ = pixels.shape
    x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
    x = x.view(b, 3, h // CELL, MERGE, PATCH, w // CELL, MERGE, PATCH)
    return x.permute(0, 2, 5, 3, 6, 1, 4, 7).reshape(b, -1, 3 * PATCH * PATCH)


def see(model: Qwen3VLForConditionalGeneration, pixels: torch.Tensor, grid: tuple[int, int]):
    """The vision tower on a batch.

    Returns:
        merged [B, cells, hidden] and the list of deepstack features, each of the same shape.
    """
    tower = model.model.visual
    thw = torch.tensor([[1, grid[0] * MERGE, grid[1] * MERGE]], device=pixels.device)
    index, weight = get_vision_interpolation_indices_and_weights(
        thw,
        num_grid_per_side=tower.num_grid_per_side,
        mode=tower.interpolation_mode,
        align_corners=tower.interpolation_align_corners,
        spatial_merge_size=MERGE,
        kwargs={},
    )
    kernel = tower.patch_embed.proj.weight.sum(dim=2).flatten(1)  # both frames of a still picture are the same
    x = F.linear(patches(pixels), kernel, tower.patch_embed.proj.bias)
    x = x + (tower.pos_embed(index) * weight[:, :, None]).sum(1)
    cos, sin = tower.rotary_pos_emb(x, get_vision_position_ids(thw, MERGE, kwargs={}))
    b, n, width = x.shape
    deep = []
    for layer, block in enumerate(tower.blocks):
        attention = block.attn
        q, k, v = attention.qkv(block.norm1(x)).view(b, n, 3, attention.num_heads, -1).unbind(2)
        q, k = apply_rotary_pos_emb_vision(q, k, cos, sin)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        x = x + attention.proj(mixed.transpose(1, 2).reshape(b, n, width))
        x = x + block.mlp(block.norm2(x))
        if layer in tower.deepstack_visual_indexes:
            merger = tower.deepstack_merger_list[list(tower.deepstack_visual_indexes).index(layer)]
            deep.append(merger(x.reshape(b * n, width)).view(b, n // MERGE**2, -1))
    return tower.merger(x.reshape(b * n, width)).view(b, n // MERGE**2, -1), deep


def read(model: Qwen3VLForConditionalGeneration, merged, deep, ids, block, positions) -> torch.Tensor:
    """The language model over packed questions: hidden states [B, S, hidden], one block blind to another."""
    language = model.model.language_model
    is_picture = ids == model.config.image_token_id
    embedded = language.embed_tokens(ids).to(merged.dtype)
    embedded = embedded.masked_scatter(is_picture[..., None], merged)
    causal = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device).tril()
    same = (block[:, None, :] == block[:, :, None]) | (block[:, None, :] == 0)
    mask = torch.zeros(same.shape, dtype=embedded.dtype, device=ids.device).masked_fill(~(same & causal), float("-inf"))
    return language(
        inputs_embeds=embedded,
        position_ids=positions,
        attention_mask=mask[:, None],
        use_cache=False,
        visual_pos_masks=is_picture,
        deepstack_visual_embeds=[d.reshape(-1, d.shape[-1]) for d in deep],
    ).last_hidden_state
