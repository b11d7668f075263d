"""The eyes of the first Qwen-VL: a vision transformer over 1,024 patches, and a resampler that makes them 256 tokens.

The tower is a ViT-bigG as OpenCLIP published it, without a class token. The resampler is one layer of cross-attention:
256 learned queries look at the patches, and what they gather is all that the language model gets. So a token of a
picture is not a part of the picture; the weights of the resampler say of which patches it is made.

Names of modules and parameters are those of the published weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils.output_capturing import capture_outputs

from qwenvl_debug.model.qwen_vl_1.attention import eager_attention_forward
from qwenvl_debug.model.qwen_vl_1.configuration import QUERIES, QUERY_WIDTH, QWenVisionConfig

EPSILON = 1e-6
"""Of every LayerNorm here; config.json does not say it."""


class VisualAttention(nn.Module):
    """Self-attention among the patches of a picture."""

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__()
        self.config, self.num_heads, self.is_causal = config, config.heads, False
        self.scaling = (config.width // config.heads) ** -0.5
        self.in_proj = nn.Linear(config.width, 3 * config.width)
        self.out_proj = nn.Linear(config.width, config.width)

    def forward(self, hidden_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """From [pictures, patches, width] to the same, and the weights [pictures, heads, patches, patches] if eager."""
        # Query, key and value lie side by side within each head, not one after the other.
        parts = self.in_proj(hidden_states).unflatten(-1, (self.num_heads, 3, -1))
        query, key, value = parts.permute(3, 0, 2, 1, 4).unbind(0)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        gathered, weights = attend(self, query, key, value, None, dropout=0.0, scaling=self.scaling)
        return self.out_proj(gathered.flatten(2)), weights


class VisualMLP(nn.Module):
    """Two linear maps with an exact GELU between them."""

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__()
        inside = int(config.width * config.mlp_ratio)
        self.c_fc = nn.Linear(config.width, inside)
        self.c_proj = nn.Linear(inside, config.width)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """From [..., width] to [..., width]."""
        return self.c_proj(nn.functional.gelu(self.c_fc(hidden_states)))


class VisualBlock(nn.Module):
    """Attention and MLP, each after a LayerNorm and added to what came in."""

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width, eps=EPSILON)
        self.attn = VisualAttention(config)
        self.ln_2 = nn.LayerNorm(config.width, eps=EPSILON)
        self.mlp = VisualMLP(config)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """From [pictures, patches, width] to the same."""
        hidden_states = hidden_states + self.attn(self.ln_1(hidden_states))[0]
        return hidden_states + self.mlp(self.ln_2(hidden_states))


class VisualBlocks(nn.Module):
    """All blocks; a module of its own because the published names say so."""

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(VisualBlock(config) for _ in range(config.layers))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """From [pictures, patches, width] to the same."""
        for block in self.resblocks:
            hidden_states = block(hidden_states)
        return hidden_states


class ResamplerAttention(nn.Module):
    """Cross-attention of the learned queries to the patches, with the parameters of PyTorch's MultiheadAttention."""

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__()
        width = config.output_dim
        self.config, self.num_heads, self.is_causal = config, width // QUERY_WIDTH, False
        self.scaling = QUERY_WIDTH**-0.5
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Gather for each query what it looks at.

        Args:
            query: [pictures, queries, width].
            key: [pictures, patches, width].
            value: [pictures, patches, width].

        Returns:
            [pictures, queries, width], and the weights [pictures, heads, queries, patches] if eager.
        """
        weight, bias = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        heads = [
            nn.functional.linear(states, weight[part], bias[part]).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part, states in enumerate((query, key, value))
        ]
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        gathered, weights = attend(self, *heads, None, dropout=0.0, scaling=self.scaling)
        return self.out_proj(gathered.flatten(2)), weights


class Resampler(nn.Module):
    """256 learned queries look at the patches; nothing is added to what they gather, and no MLP follows."""

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__()
        width = config.output_dim
        self.side = config.side
        self.query = nn.Parameter(torch.empty(QUERIES, width))
        self.pos_embed = nn.Parameter(torch.empty(QUERIES, width), requires_grad=False)
        self.kv_proj = nn.Linear(config.width, width, bias=False)
        self.ln_q = nn.LayerNorm(width, eps=EPSILON)
        self.ln_kv = nn.LayerNorm(width, eps=EPSILON)
        self.attn = ResamplerAttention(config)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From [pictures, patches, width of the tower] to [pictures, 256, output_dim]."""
        value = self.ln_kv(self.kv_proj(patches))
        query = (self.ln_q(self.query) + self.pos_embed).expand(len(patches), -1, -1)
        return self.attn(query, value + on_grid(self.pos_embed, self.side), value)[0]


class QWenVisionTower(PreTrainedModel):
    """From pictures to the 256 vectors each that the language model reads."""

    config: QWenVisionConfig
    config_class = QWenVisionConfig
    main_input_name = "pixel_values"
    base_model_prefix = "visual"
    _no_split_modules = ("VisualBlock", "Resampler")
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _can_record_outputs = {  # noqa: RUF012 - transformers' own way to declare it
        "hidden_states": VisualBlock,
        "attentions": VisualAttention,
        "cross_attentions": ResamplerAttention,
    }

    def __init__(self, config: QWenVisionConfig) -> None:
        super().__init__(config)
        self.conv1 = nn.Conv2d(3, config.width, config.patch_size, stride=config.patch_size, bias=False)
        self.positional_embedding = nn.Parameter(torch.empty(QUERIES, config.width))
        self.ln_pre = nn.LayerNorm(config.width, eps=EPSILON)
        self.transformer = VisualBlocks(config)
        self.attn_pool = Resampler(config)
        self.ln_post = nn.LayerNorm(config.output_dim, eps=EPSILON)
        self.proj = nn.Parameter(torch.empty(config.output_dim, config.output_dim))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Random weights for what no checkpoint gives; transformers' helpers leave alone what was loaded."""
        super()._init_weights(module)
        initialise(module)

    @capture_outputs
    def forward(self, pixel_values: torch.Tensor, **kwargs: Any) -> BaseModelOutputWithPastAndCrossAttentions:
        """Turn pictures into vectors.

        Args:
            pixel_values: [pictures, 3, image_size, image_size], normalised (see `preprocessing`).

        Returns:
            `last_hidden_state` [pictures, 256, output_dim]; with `output_attentions=True` under eager attention also
            `attentions`, per block [pictures, heads, patches, patches], and `cross_attentions`, one
            [pictures, heads, 256, patches].

        Raises:
            ValueError: the pictures have another size.
        """
        expected = (3, self.config.image_size, self.config.image_size)
        if pixel_values.ndim != 4 or tuple(pixel_values.shape[1:]) != expected:
            raise ValueError(f"pixel_values must be [pictures, {', '.join(map(str, expected))}]; prepare the pictures.")
        patches = self.conv1(pixel_values.to(self.conv1.weight.dtype)).flatten(2).transpose(1, 2)
        hidden_states = self.ln_pre(patches + on_grid(self.positional_embedding, self.config.side))
        features = self.ln_post(self.attn_pool(self.transformer(hidden_states))) @ self.proj
        return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=features)


def on_grid(embedding: torch.Tensor, side: int) -> torch.Tensor:
    """Stretch an embedding of places to a finer grid, bicubically, in float32.

    Args:
        embedding: [16 * 16, width] in raster order.
        side: rows and columns wanted.

    Returns:
        [side * side, width] in raster order, in the precision of the embedding.
    """
    source = int(len(embedding) ** 0.5)
    if source == side:
        return embedding
    square = embedding.float().unflatten(0, (source, source)).permute(2, 0, 1)[None]
    stretched = nn.functional.interpolate(square, size=(side, side), mode="bicubic", align_corners=False)
    return stretched[0].permute(1, 2, 0).flatten(0, 1).to(embedding.dtype)


def initialise(module: nn.Module) -> None:
    """Random values for the parameters that stand in a module by themselves, unless they were loaded."""
    if isinstance(module, QWenVisionTower):
        init.normal_(module.positional_embedding, std=module.config.width**-0.5)
        init.normal_(module.proj, std=module.config.output_dim**-0.5)
    elif isinstance(module, Resampler):
        init.normal_(module.query, std=0.02)
        init.normal_(module.pos_embed, std=0.02)
    elif isinstance(module, ResamplerAttention):
        init.xavier_uniform_(module.in_proj_weight)
        init.zeros_(module.in_proj_bias)
