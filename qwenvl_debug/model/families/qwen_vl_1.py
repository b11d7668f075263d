"""Qwen-VL and Qwen-VL-Chat, the first generation: a resampler makes 256 tokens of every picture.

Its checkpoints keep their weights in .bin files and their vocabulary in `qwen.tiktoken`, say nothing of how pictures
are prepared (that is fixed), and name their tuning to converse in generation_config.json. The network is
`model.qwen_vl_1`'s, whatever code the checkpoint brings along.
"""

from __future__ import annotations

import json
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.families.family import Family
from qwenvl_debug.model.families.places import Places
from qwenvl_debug.model.qwen_vl_1.configuration import QUERIES, QWenConfig
from qwenvl_debug.model.qwen_vl_1.preprocessing import QWenImageProcessor
from qwenvl_debug.model.qwen_vl_1.tokenizer import CHATML, FILE, RAW, QWenTokenizer
from qwenvl_debug.model.registration import register
from qwenvl_debug.model.taps import Features

register()


class FirstGeneration(Family):
    """Where the first generation keeps what the others keep elsewhere."""

    def language_attention(self, network: PreTrainedModel) -> dict[int, nn.Module]:
        """The attention module of every language layer; all have a causal softmax."""
        return {layer: block.attn for layer, block in enumerate(network.transformer.h)}

    def vision_attention(self, network: PreTrainedModel) -> tuple[nn.Module, ...]:
        """The attention module of every block of the vision tower."""
        return tuple(block.attn for block in network.transformer.visual.transformer.resblocks)

    def resampler(self, network: PreTrainedModel) -> nn.Module:
        """The cross-attention that makes 256 tokens of the patches."""
        return network.transformer.visual.attn_pool.attn

    def places(self, network: PreTrainedModel) -> Places:
        """Where taps are attached."""
        language_model = network.transformer
        layers = tuple(language_model.h)
        return Places(
            language_model=language_model,
            layers=layers,
            softmax=self.language_attention(network),
            projections={number: layer.attn.c_proj for number, layer in enumerate(layers)},
            mixers=tuple(layer.attn for layer in layers),
            mlps=tuple(layer.mlp for layer in layers),
            norm=language_model.ln_f,
            unembedding=network.lm_head,
            encoder=language_model.visual,
            resampler=self.resampler(network),
            pool=language_model.visual.attn_pool,
        )

    def features(self, output: Any) -> Features:
        """As `Family.features`; the tower gives [images, 256, width]."""
        return Features(output.last_hidden_state.flatten(0, 1))

    def with_features(self, output: Any, features: Features) -> Any:
        """As `Family.with_features`."""
        changed = copy(output)
        changed.last_hidden_state = features.merged.unflatten(0, output.last_hidden_state.shape[:2])
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
        """As `Family.feed`. Pictures are found by their markers, and all have one size."""
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values": pixel_values,
            "prefill_length": prompt_length,
        }

    def patch_embedding(self, network: PreTrainedModel) -> nn.Module:
        """The tower itself, whose convolution is two-dimensional and stays as it is."""
        return network.transformer.visual


def raster_order(network: PreTrainedModel, grids: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Patches enter in raster order, one picture after the other."""
    count = network.config.visual.side**2
    return tuple(torch.arange(picture * count, (picture + 1) * count) for picture in range(len(grids)))


def read_tokenizer(folder: Path, name: str) -> QWenTokenizer:
    """The tokenizer of `qwen.tiktoken`, with the conversation that the checkpoint was tuned on.

    Raises:
        ModelLoadError: the file is missing.
    """
    if not (folder / FILE).is_file():
        raise ModelLoadError(f"“{name}” is incomplete: it holds no tokenizer ({FILE}).")
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
    if _settings(folder / "generation_config.json").get("chat_format") == "raw":
        tokenizer.chat_template = RAW
        tokenizer.eos_token = "<|endoftext|>"
    return tokenizer


def read_image_processor(folder: Path, name: str) -> QWenImageProcessor:
    """How pictures are prepared; no file says it, but the configuration gives the sizes."""
    visual = QWenConfig.from_pretrained(folder, local_files_only=True).visual
    return QWenImageProcessor(side=visual.image_size, patch_size=visual.patch_size)


def _settings(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


QWEN_VL_1 = FirstGeneration(
    title="Qwen-VL",
    model_types=(QWenConfig.model_type,),
    raster_order=raster_order,
    sees=lambda config: bool(config.get("visual")),
    auto_class=AutoModelForCausalLM,
    read_tokenizer=read_tokenizer,
    templates=(CHATML, RAW),
    read_image_processor=read_image_processor,
    stops=("<|im_end|>", "<|im_start|>"),
    picture_tokens=QUERIES,
    boxes="thousandths",  # the model card of Qwen-VL: coordinates normalised to [0, 1000)
    video="none",
    pickled=True,
)
