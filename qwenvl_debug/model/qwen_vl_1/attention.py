"""How the three kinds of attention of the first Qwen-VL are computed when no faster kernel is asked for."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention with its weights: softmax(query key^T * scaling + mask) value, in the model's own precision.

    Args:
        module: who attends; its `training` decides about dropout.
        query: [batch, heads, queries, head_dim].
        key: [batch, heads, keys, head_dim].
        value: [batch, heads, keys, head_dim].
        attention_mask: added to the scores, [batch, 1, queries, keys]; None where everything may be looked at.
        scaling: factor of the dot products.
        dropout: share of the weights dropped in training.

    Returns:
        [batch, queries, heads, head_dim] and the weights [batch, heads, queries, keys].
    """
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    # The original has its softmax in the model's precision, too, where most of transformers goes up to float32.
    weights = nn.functional.dropout(scores.softmax(-1), p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights
