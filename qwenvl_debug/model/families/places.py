"""Where a generation keeps the modules that taps are attached to; see `model.taps` for what the places mean."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from qwenvl_debug.model.taps import Place


@dataclass(frozen=True)
class Places:
    """The modules of one network.

    Attributes:
        language_model: takes `inputs_embeds` and `past_key_values`.
        layers: its decoder layers, which hand a residual stream on.
        softmax: by layer, the attention modules that have a softmax over tokens.
        projections: by layer, of the same modules the output projection, which mixes the heads.
        mixers: of every layer the module that mixes tokens, attention or linear recurrence.
        mlps: of every layer its MLP, or mixture of experts.
        norm: reads the residual stream after the last layer.
        unembedding: from the final hidden state to logits.
        encoder: makes the image features; see `Family.features`.
        resampler: the attention that makes image tokens of patches, where there is one.
        pool: the module that it belongs to, which reads the patches.
    """

    language_model: nn.Module
    layers: tuple[nn.Module, ...]
    softmax: dict[int, nn.Module]
    projections: dict[int, nn.Module]
    mixers: tuple[nn.Module, ...]
    mlps: tuple[nn.Module, ...]
    norm: nn.Module
    unembedding: nn.Module
    encoder: nn.Module
    resampler: nn.Module | None = None
    pool: nn.Module | None = None

    def find(self, place: Place) -> nn.Module | None:
        """The module of a place; None where this network has none such. "residual" L is found at the final norm."""
        kind, layer = place.kind, place.layer
        if kind in ("residual", "attention", "heads", "attention_output", "mlp_output"):
            end = len(self.layers) + (kind == "residual")
            if layer is None or not 0 <= layer < end:
                return None
        match kind:
            case "residual":
                return self.norm if layer == len(self.layers) else self.layers[layer]
            case "attention":
                return self.softmax.get(layer)
            case "heads":
                return self.projections.get(layer)
            case "attention_output":
                return self.mixers[layer]
            case "mlp_output":
                return self.mlps[layer]
            case "norm":
                return self.norm
            case "encoder":
                return self.encoder
            case "resampler":
                return self.resampler
            case "patches":
                return self.pool
        return None

    @property
    def text(self) -> str:
        """What there is, for an error."""
        soft = ", ".join(map(str, sorted(self.softmax)))
        more = ", a resampler" if self.resampler is not None else ""
        return f"layers 0 to {len(self.layers) - 1}, of which {soft} have softmax attention{more}"
