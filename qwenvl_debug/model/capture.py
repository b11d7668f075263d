"""How attention is recorded while the model answers as it always does.

One attention function is registered with transformers. It calls transformers' own SDPA function with the arguments it
was given and returns that function's result, so the answer cannot differ. When a `Recorder` is active in the current
context it also keeps two tensors: the query rows of interest, and a reference to the keys, which at every step hold
the rotated keys of all tokens so far. That is all `Trace` needs to compute any of those rows exactly, later.

A recorder is one of those who may watch a pass (`tapping.watching`): every thread has its own, and it knows the modules
of its own model by identity. No recording state belongs to this module or to a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from qwenvl_debug.errors import Cancelled, CaptureError
from qwenvl_debug.model.bias import Bias
from qwenvl_debug.model.resampler_trace import ResamplerTrace
from qwenvl_debug.model.tapping import tapped_attention
from qwenvl_debug.model.taps import AttentionCall
from qwenvl_debug.model.trace import Trace, VisionTrace

ATTENTION = "qwenvl_debug"
"""The name to load a model with: `attn_implementation=ATTENTION`."""


class Recorder:
    """Keeps queries and keys of one forward pass, or of one generation, of one picture-and-question.

    Args:
        language: the attention modules to keep, with their layer numbers.
        vision: likewise in the vision tower.
        rows: sequence positions within the prompt whose queries to keep; None keeps all.
        prompt_length: positions from here on are always kept.
        cancel: when set, the next attention call raises `Cancelled`.
        choosing: whether language layers choose the keys that a row may look at, so that their masks are kept too.
        resampler: the attention module that makes a picture's tokens of its patches, where there is one.
    """

    def __init__(
        self,
        language: Mapping[nn.Module, int],
        vision: Mapping[nn.Module, int],
        rows: Sequence[int] | None,
        prompt_length: int,
        cancel: Event | None = None,
        choosing: bool = False,
        resampler: nn.Module | None = None,
    ) -> None:
        self._language, self._vision, self._cancel = dict(language), dict(vision), cancel
        self._resampler, self._resampled = resampler, []
        self._rows = None if rows is None else sorted({row for row in rows if row < prompt_length})
        self._prompt_length, self._choosing = prompt_length, choosing
        self._chosen: dict[int, list[torch.Tensor]] = {}  # layer -> per step, bool [kept rows, keys so far]
        self._steps: dict[tuple[int, int], list[int]] = {}  # (first, end) of each step -> the positions kept of it
        self._queries: dict[int, list[torch.Tensor]] = {layer: [] for layer in self._language.values()}
        self._keys: dict[int, torch.Tensor] = {}
        self._chunks: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {n: [] for n in self._vision.values()}
        self._scaling: dict[nn.Module, float] = {}

    def see(
        self,
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        scaling: float | None,
        mask: torch.Tensor | None = None,
    ) -> None:
        """Take note of one attention call.

        Args:
            module: the attention module that calls.
            query: [1, heads, queries, head_dim], rotated; a tower may take several pictures or windows at once.
            key: [1, key heads, keys, head_dim], rotated; of a language layer, all keys so far.
            scaling: what the dot products are multiplied by.
            mask: bool [1, 1, queries, keys], True where a row may look; None for every earlier token.

        Raises:
            Cancelled: when cancelling was asked for.
        """
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("The answer was stopped.")
        if module in self._language:
            layer, start = self._language[module], key.shape[2] - query.shape[2]
            kept = self._kept(start, key.shape[2])
            if len(kept) < query.shape[2]:
                # Indexing copies, so that the queries of a long prompt are freed; a new token's are kept as they are.
                query = query[:, :, torch.tensor(kept, device=query.device) - start]
            self._queries[layer].append(query[0])
            self._keys[layer] = key
            if self._choosing and mask is not None:
                rows = torch.tensor(kept, device=mask.device) - start
                self._chosen.setdefault(layer, []).append(mask[0, 0, rows].cpu())
        elif module in self._vision:
            self._chunks[self._vision[module]] += zip(query, key, strict=True)
        elif module is self._resampler:
            self._resampled += zip(query, key, strict=True)
        else:
            return
        self._scaling[module] = query.shape[-1] ** -0.5 if scaling is None else scaling

    def _kept(self, start: int, end: int) -> list[int]:
        if (start, end) not in self._steps:
            inside = range(start, end) if self._rows is None else [row for row in self._rows if start <= row < end]
            prompt = [row for row in inside if row < self._prompt_length]
            self._steps[start, end] = prompt + list(range(max(start, self._prompt_length), end))
        return self._steps[start, end]

    def trace(
        self, n_layers: int, n_heads: int, tokens: int, grids: torch.Tensor, biases: Sequence[Bias] = ()
    ) -> Trace:
        """What was kept of the language model, moved to main memory.

        Args:
            n_layers: language layers of the model, with or without a map.
            n_heads: query heads of a layer.
            tokens: length of the whole sequence; a last token that was never fed has no key and no row.
            grids: int64 [pictures, 3], (1, patch rows, patch columns).
            biases: what was added to attention logits on the way, which the weights then include.

        Raises:
            CaptureError: when a layer was never seen.
        """
        missing = sorted(set(self._language.values()) - set(self._keys))
        if missing:
            raise CaptureError(f"Nothing was recorded at layers {missing}: load the model with load_model.")
        scaling = {layer: self._scaling[module] for module, layer in self._language.items()}
        return Trace(
            n_layers=n_layers,
            n_heads=n_heads,
            layers=tuple(sorted(self._keys)),
            positions=[row for step in sorted(self._steps) for row in self._steps[step]],
            tokens=tokens,
            queries={layer: torch.cat(parts, dim=1).cpu() for layer, parts in self._queries.items()},
            keys={layer: key[0].cpu() for layer, key in self._keys.items()},
            scaling=scaling,
            biases=biases,
            chosen={
                layer: torch.cat([pad(step, (0, self._keys[layer].shape[2] - step.shape[1])) for step in steps])
                for layer, steps in self._chosen.items()
            },
            resampled=[
                ResamplerTrace(
                    grid_rows=int(grid[1]),
                    grid_cols=int(grid[2]),
                    queries=query.cpu(),
                    keys=key.cpu(),
                    scaling=self._scaling[self._resampler],
                )
                for grid, (query, key) in zip(grids, self._resampled, strict=False)
            ],
        )

    def vision(self, orders: Sequence[torch.Tensor], grids: torch.Tensor) -> tuple[VisionTrace, ...]:
        """What was kept of the vision tower, one trace per picture, patches in raster order.

        Args:
            orders: per picture, the place in the tower's sequence of each patch in raster order.
            grids: int64 [pictures, 3], (1, patch rows, patch columns).
        """
        if not self._chunks:
            return ()
        queries = {layer: torch.cat([q for q, _ in chunks], dim=1).cpu() for layer, chunks in self._chunks.items()}
        keys = {layer: torch.cat([k for _, k in chunks], dim=1).cpu() for layer, chunks in self._chunks.items()}
        window = {
            layer: torch.repeat_interleave(torch.tensor([q.shape[1] for q, _ in chunks]))
            for layer, chunks in self._chunks.items()
        }
        scaling = {layer: self._scaling[module] for module, layer in self._vision.items()}
        return tuple(
            VisionTrace(
                layers=tuple(sorted(self._chunks)),
                grid_rows=int(grid[1]),
                grid_cols=int(grid[2]),
                queries={layer: queries[layer][:, order] for layer in queries},
                keys={layer: keys[layer][:, order] for layer in keys},
                windows={layer: window[layer][order] for layer in window},
                scaling=scaling,
            )
            for order, grid in zip(orders, grids, strict=True)
        )


def attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The registered function: transformers' SDPA, seen and perhaps changed by what taps this pass."""
    call = AttentionCall(module, query, key, value, attention_mask, kwargs.get("scaling"), kwargs)
    return tapped_attention(call, _sdpa), None


def _sdpa(call: AttentionCall) -> torch.Tensor:
    return sdpa_attention_forward(call.module, call.query, call.key, call.value, call.mask, **call.kwargs)[0]


# Without a mask function of the same name the attention mask is silently None, and a prompt may attend to its future.
AttentionInterface.register(ATTENTION, attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
