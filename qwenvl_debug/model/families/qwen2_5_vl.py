"""Qwen2.5-VL: most blocks of the tower attend within windows of 112 x 112 pixels, and the patches are sorted by window.

A few blocks (7, 15, 23 and 31 of the published models) attend over the whole picture, in the same sorted order.
"""

import torch
from transformers import PreTrainedModel
from transformers.vision_utils import get_vision_window_index

from qwenvl_debug.model.families.family import Family, merge_block_order


def window_order(network: PreTrainedModel, grids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """As `merge_block_order`, for a tower that sorts its merge blocks by window before the first block.

    The sorting is transformers' own function, which is also what the tower calls.
    """
    config = network.config.vision_config
    merge = config.spatial_merge_size
    sorted_blocks, _ = get_vision_window_index(
        grids.cpu(), spatial_merge_size=merge, window_size=config.window_size, patch_size=config.patch_size
    )
    sorted_patches = (sorted_blocks[:, None] * merge**2 + torch.arange(merge**2)).reshape(-1)
    place = torch.argsort(sorted_patches)
    return tuple(place[order] for order in merge_block_order(network, grids))


QWEN2_5_VL = Family(
    title="Qwen2.5-VL",
    model_types=("qwen2_5_vl",),
    raster_order=window_order,
    boxes="pixels",  # its authors: absolute, "the size after the processor" (QwenLM/Qwen3-VL issues 676 and 866)
    video="joined",
    video_seconds=True,
)
