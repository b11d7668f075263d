"""What must be known about a generation of Qwen-VL models before its attention can be read.

The generations share their outline (a vision tower of blocks, a language model of layers) and differ in the order in
which patches go through the tower and in which language layers have a softmax. A `Family` holds those differences;
everything else is read from the checkpoint's own configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PreTrainedModel, PreTrainedTokenizerBase

from qwenvl_debug.model.families.places import Places
from qwenvl_debug.model.taps import Features


def merge_block_order(network: PreTrainedModel, grids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Where the patches of each picture stand in the tower when they enter in merge blocks.

    Patches enter block by block, row by row within a block: (0,0), (0,1), (1,0), (1,1), (0,2)… for blocks of 2 x 2.

    Args:
        network: the model; its vision configuration says how large a block is.
        grids: int64 [pictures, 3], (1, patch rows, patch columns) of each picture.

    Returns:
        For each picture int64 [rows * cols]: the place in the tower's sequence of the patch with that raster index.
    """
    merge = network.config.vision_config.spatial_merge_size
    orders, start = [], 0
    for _, rows, cols in grids.tolist():
        places = torch.arange(start, start + rows * cols).view(rows // merge, cols // merge, merge, merge)
        orders.append(places.permute(0, 2, 1, 3).reshape(-1))
        start += rows * cols
    return tuple(orders)


@dataclass(frozen=True)
class Family:
    """One generation.

    Attributes:
        title: its name for people.
        model_types: the `model_type` values of config.json that it serves.
        raster_order: from (network, int64 grids [pictures, 3]) to, per picture, the place in the tower's sequence of
            each patch in raster order.
        sees: whether a config.json of one of those types is a vision model's; a text-only one may share the type.
        auto_class: transformers' class whose `from_pretrained` makes the network.
        read_tokenizer: from (folder, name for errors) to the tokenizer; None for transformers' `AutoTokenizer`.
        templates: chat templates of this program, for checkpoints that publish none.
        read_image_processor: from (folder, name for errors) to the image processor; None for Qwen2-VL's, which all
            later generations use.
        softmax_kinds: the kinds of language layers, as `layer_types` names them, that have a softmax over earlier
            tokens; without `layer_types` every layer has.
        choosing: whether those layers look only at tokens that they choose for each row, and have no weight elsewhere.
        stops: tokens that end an answer beside those that the checkpoint names.
        picture_tokens: how many tokens a resampler makes of every picture; None where each cell is a token.
        boxes: how coordinates are written in an answer: "thousandths" of the picture's width and height, from 0 to
            1000, or "pixels" of the picture as it was prepared for the model.
        video: how it takes videos: "none" at all, "joined" pairs of frames, or pairs that are "timed" one by one.
        video_seconds: whether the network asks how far apart the pairs are.
        pickled: whether its published weights lie in .bin files, which are then read without running what they hold.
        norm_name: what its language model calls the module after the last layer.
    """

    title: str
    model_types: tuple[str, ...]
    raster_order: Callable[[PreTrainedModel, torch.Tensor], tuple[torch.Tensor, ...]] = merge_block_order
    sees: Callable[[Mapping[str, Any]], bool] = lambda config: "vision_config" in config
    auto_class: Any = AutoModelForImageTextToText
    read_tokenizer: Callable[[Path, str], PreTrainedTokenizerBase] | None = None
    templates: tuple[str, ...] = ()
    read_image_processor: Callable[[Path, str], Any] | None = None
    softmax_kinds: tuple[str, ...] = ("full_attention",)
    choosing: bool = False
    stops: tuple[str, ...] = ()
    picture_tokens: int | None = None
    boxes: Literal["thousandths", "pixels"] = "thousandths"
    video: Literal["none", "joined", "timed"] = "timed"
    video_seconds: bool = False
    pickled: bool = False
    norm_name: str = "norm"

    def language_attention(self, network: PreTrainedModel) -> dict[int, nn.Module]:
        """The attention module of every language layer that has a causal softmax over all earlier tokens.

        Layers with linear attention have no softmax at all; a layer with a sliding window drops its old keys.
        """
        layers = network.model.language_model.layers
        kinds = getattr(network.config.get_text_config(), "layer_types", None) or ["full_attention"] * len(layers)
        return {n: layers[n].self_attn for n, kind in enumerate(kinds) if kind in self.softmax_kinds}

    def vision_attention(self, network: PreTrainedModel) -> tuple[nn.Module, ...]:
        """The attention module of every block of the vision tower."""
        return tuple(block.attn for block in network.model.visual.blocks)

    def resampler(self, network: PreTrainedModel) -> nn.Module | None:
        """The attention module that makes a picture's tokens of its patches, where there is one."""
        return None

    def places(self, network: PreTrainedModel) -> Places:
        """Where taps are attached."""
        language_model = network.model.language_model
        layers = tuple(language_model.layers)
        return Places(
            language_model=language_model,
            layers=layers,
            softmax=(softmax := self.language_attention(network)),
            projections={number: module.o_proj for number, module in softmax.items()},
            mixers=tuple(getattr(layer, "self_attn", None) or layer.linear_attn for layer in layers),
            mlps=tuple(layer.mlp for layer in layers),
            norm=getattr(language_model, self.norm_name),
            unembedding=network.get_output_embeddings(),
            encoder=network.model.visual,
        )

    def features(self, output: Any) -> Features:
        """The image features in what the encoder returned, of all images in their order."""
        return Features(output.pooler_output, tuple(getattr(output, "deepstack_features", None) or ()))

    def with_features(self, output: Any, features: Features) -> Any:
        """What the encoder returned, with other image features in it."""
        changed = copy(output)
        changed.pooler_output = features.merged
        if features.deepstack:
            changed.deepstack_features = list(features.deepstack)
        return changed

    def feed(
        self,
        ids: torch.Tensor,
        pictures: torch.Tensor,
        pixel_values: torch.Tensor,
        grids: torch.Tensor,
        prompt_length: int,
        pair_seconds: float | None = None,
    ) -> dict[str, Any]:
        """The keyword arguments of the network for one sequence, all on one device.

        Args:
            ids: int64 [1, tokens], the prompt and perhaps an answer that is fed in.
            pictures: bool [1, tokens], True on the tokens of a picture.
            pixel_values: what the image processor made of all pictures, or of the pairs of frames of a video.
            grids: int64 [pictures or pairs, 3], (1, patch rows, patch columns).
            prompt_length: how many of the tokens are the prompt.
            pair_seconds: seconds from one pair of a video's frames to the next; None for pictures.
        """
        if pair_seconds is not None:
            whole = torch.tensor([[len(grids), *grids[0, 1:].tolist()]], device=grids.device)
            return {
                "input_ids": ids,
                "attention_mask": torch.ones_like(ids),
                "mm_token_type_ids": 2 * pictures.to(torch.int32),
                "pixel_values_videos": pixel_values,
                "video_grid_thw": whole,
                **({"second_per_grid_ts": torch.tensor([pair_seconds])} if self.video_seconds else {}),
            }
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            # 1 on picture tokens. Qwen2.5-VL would silently fall back to one-dimensional positions without it.
            "mm_token_type_ids": pictures.to(torch.int32),
            "pixel_values": pixel_values,
            "image_grid_thw": grids,
        }

    def patch_embedding(self, network: PreTrainedModel) -> nn.Module:
        """The module whose `proj` is the convolution that turns a patch into a vector."""
        return network.model.visual.patch_embed
