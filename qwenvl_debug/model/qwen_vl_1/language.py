"""The language model of the first Qwen-VL: causal attention with rotary positions, and a gated MLP.

Two adjustments carry it beyond the length it was trained at, `seq_length`, without further training. *Dynamic NTK*:
the base of the rotary angles grows with the length of the prompt, in powers of two, so that the slow ones turn no
further than in training; what is generated afterwards keeps the prompt's base. *logn*: a query at position i beyond
seq_length is multiplied by log(i) / log(seq_length), so that attention over more keys stays as sharp. Both rest in
training mode, as in the original.

Names of modules and parameters are those of the published weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from transformers.cache_utils import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from qwenvl_debug.model.qwen_vl_1.attention import eager_attention_forward
from qwenvl_debug.model.qwen_vl_1.configuration import QWenConfig


def ntk_alpha(length: int, seq_length: int) -> float:
    """How much a prompt's length widens the rotary base: 1 up to seq_length, then 3, 7, 15… at each doubling."""
    return max(2.0 ** math.ceil(math.log2(length / seq_length) + 1) - 1, 1.0)


def rotary(positions: torch.Tensor, head_dim: int, base: float, alpha: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosine and sine of the angle of each position and channel.

    Args:
        positions: int64 [tokens], counted from 0.
        head_dim: channels of a head; channel c and channel c + head_dim / 2 turn together.
        base: of the angles.
        alpha: see `ntk_alpha`.

    Returns:
        Both float32 [tokens, head_dim].
    """
    base = base * alpha ** (head_dim / (head_dim - 2))
    channels = torch.arange(0, head_dim, 2, device=positions.device).float()
    angles = torch.outer(positions.float(), 1.0 / (base ** (channels / head_dim)))
    angles = torch.cat((angles, angles), dim=-1)
    return angles.cos(), angles.sin()


def rotate(states: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn [batch, heads, tokens, head_dim] by the angles of `rotary`, in float32, and return in its own precision."""
    wide = states.float()
    left, right = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat((-right, left), dim=-1) * sin).type_as(states)


def logn(positions: torch.Tensor, seq_length: int) -> torch.Tensor:
    """Factor of the query at each position (counted from 0): 1 up to seq_length tokens, then log to base seq_length.

    Returns:
        float32 [tokens, 1].
    """
    place = (positions + 1).double()
    return (place.log() / math.log(seq_length)).clamp(min=1.0).float()[:, None]


class QWenRMSNorm(nn.Module):
    """Divides by the root of the mean square, in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """From [..., width] to the same."""
        wide = hidden_states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return wide.type_as(hidden_states) * self.weight


class QWenAttention(nn.Module):
    """Causal self-attention; every head has its own keys."""

    def __init__(self, config: QWenConfig, layer_idx: int) -> None:
        super().__init__()
        self.config, self.layer_idx, self.is_causal = config, layer_idx, True
        self.scaling = config.head_dim**-0.5
        self.c_attn = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.c_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=not config.no_bias)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None,
        angles: tuple[torch.Tensor, torch.Tensor],
        sharpen: torch.Tensor | None,
        past_key_values: Cache | None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Attend.

        Args:
            hidden_states: [batch, tokens, width].
            attention_mask: [batch, 1, tokens, keys], or None.
            angles: of `rotary`, for these tokens.
            sharpen: of `logn`, or None.
            past_key_values: keys and values of earlier tokens; these are added.

        Returns:
            [batch, tokens, width], and the weights [batch, heads, tokens, keys] if eager.
        """
        query, key, value = (
            part.unflatten(-1, (-1, self.config.head_dim)).transpose(1, 2)
            for part in self.c_attn(hidden_states).chunk(3, dim=-1)
        )
        query, key = rotate(query, *angles), rotate(key, *angles)
        if sharpen is not None:
            query = query * sharpen.type_as(query)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        gathered, weights = attend(self, query, key, value, attention_mask, dropout=0.0, scaling=self.scaling, **kwargs)
        return self.c_proj(gathered.flatten(2)), weights


class QWenMLP(nn.Module):
    """A gated MLP; `intermediate_size` counts both of its halves."""

    def __init__(self, config: QWenConfig) -> None:
        super().__init__()
        inside, bias = config.intermediate_size // 2, not config.no_bias
        self.w1 = nn.Linear(config.hidden_size, inside, bias=bias)
        self.w2 = nn.Linear(config.hidden_size, inside, bias=bias)
        self.c_proj = nn.Linear(inside, config.hidden_size, bias=bias)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """From [..., width] to [..., width]."""
        return self.c_proj(self.w1(hidden_states) * nn.functional.silu(self.w2(hidden_states)))


class QWenBlock(nn.Module):
    """Attention and MLP, each after an RMSNorm and added to what came in."""

    def __init__(self, config: QWenConfig, layer_idx: int) -> None:
        super().__init__()
        self.ln_1 = QWenRMSNorm(config.hidden_size, config.layer_norm_epsilon)
        self.attn = QWenAttention(config, layer_idx)
        self.ln_2 = QWenRMSNorm(config.hidden_size, config.layer_norm_epsilon)
        self.mlp = QWenMLP(config)

    def forward(self, hidden_states: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """From [batch, tokens, width] to the same; the arguments are those of `QWenAttention`."""
        hidden_states = hidden_states + self.attn(self.ln_1(hidden_states), **kwargs)[0]
        return hidden_states + self.mlp(self.ln_2(hidden_states))
