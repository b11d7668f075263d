"""Whether what is shown for a model is true: captured attention against transformers' own eager attention.

Three questions are put to the very model that is loaded. Is the answer with capture, token for token, the answer of
transformers' `generate` without it? Are the kept rows of every language layer and head those of a second pass with
`attn_implementation="eager"`? Are the rows of the vision tower those of transformers' eager function?

A second pass in 16-bit numbers drifts away from the first by itself: two correct kernels round differently, and layers
add that up. So for a model in 16 bits, or with weights in 8 or 4, the second pass runs as the first did, and
transformers' eager function is given each layer's queries and keys in float32.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import LogitsProcessor, LogitsProcessorList

from qwenvl_debug.case import Case
from qwenvl_debug.model.capture import Recorder
from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.inputs import Prompt, prompt
from qwenvl_debug.model.run import Run
from qwenvl_debug.model.run_checks import Check, all_passed, run_checks
from qwenvl_debug.model.tapping import watching

TOLERANCE = 1e-4
"""Greatest difference between two weights that rounding explains. Single layers agree to about 1e-6 in float32; on the
way through a deep model rounding adds up."""

VISION_ROWS = 16
"""Patches of each picture, spread evenly, whose rows are compared in every block of the vision tower."""


@dataclass(frozen=True)
class SelfCheck:
    """What a self-check found.

    Attributes:
        max_error_language: greatest absolute difference of a weight, over all maps, heads and kept rows; NaN where
            a weight is not a number.
        max_error_vision: the same for the vision tower.
        same_answer: whether the answer with capture is the answer without.
        answer: the answer.
        layers: language layers compared.
        rows: rows compared in each of them.
        vision_layers: blocks of the vision tower compared.
        seconds_capture: time of the answer with capture.
        seconds_plain: time of the answer without.
        seconds: time of everything.
        checks: what must hold of the run itself, see `run_checks`.
    """

    max_error_language: float
    max_error_vision: float
    same_answer: bool
    answer: str
    layers: int
    rows: int
    vision_layers: int
    seconds_capture: float
    seconds_plain: float
    seconds: float
    checks: tuple[Check, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        # Each by itself: what is not a number is not near, and Python's max() would pass over it.
        near = self.max_error_language <= TOLERANCE and self.max_error_vision <= TOLERANCE
        return self.same_answer and near and all_passed(self.checks)


def check(model: DebugModel, case: Case, max_new_tokens: int = 16) -> SelfCheck:
    """Compare a model's captured attention and answer with transformers' own, on a case.

    Args:
        model: the model; afterwards it is as it was before.
        case: a small picture will do, for the whole vision tower is kept.
        max_new_tokens: length of the answer compared.

    Raises:
        QwenVLDebugError: as `DebugModel.ask`.
    """
    began = time.perf_counter()
    run = model.ask(case, max_new_tokens=max_new_tokens, vision_layers=range(model.vision_depth))
    captured = time.perf_counter()
    plain = model.plain(case, max_new_tokens)
    answered = time.perf_counter()
    asked = prompt(model, case)
    ids = [token.id for token in run.tokens[len(asked.ids) :]]
    with model.turn(), torch.no_grad():
        language = _language_error(model, asked, ids, run)
        vision = _vision_error(model, asked, run)
    return SelfCheck(
        max_error_language=language,
        max_error_vision=vision,
        same_answer=ids == plain,
        answer=run.answer,
        layers=len(run.trace.layers),
        rows=len(run.trace.positions),
        vision_layers=model.vision_depth,
        seconds_capture=captured - began,
        seconds_plain=answered - captured,
        seconds=time.perf_counter() - began,
        checks=run_checks(run),
    )


class _Follow(LogitsProcessor):
    """Makes a generation choose given tokens, so that a second pass goes the way of the first, step by step."""

    def __init__(self, prompt_length: int, ids: Sequence[int]) -> None:
        self.prompt_length, self.ids = prompt_length, ids

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        only = torch.full_like(scores, float("-inf"))
        only[:, self.ids[input_ids.shape[1] - self.prompt_length]] = 0
        return only


class _EagerLanguage(Recorder):
    """Gives each language layer's queries and keys to transformers' eager function, in float32."""

    def __init__(self, modules: Mapping[nn.Module, int], compare: Callable[[int, torch.Tensor], None]) -> None:
        self.layer_of, self.compare = modules, compare

    def see(
        self,
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        scaling: float | None,
        mask: torch.Tensor | None = None,
    ) -> None:
        """Compare one attention call."""
        if module in self.layer_of:
            positions = torch.arange(key.shape[2], device=key.device)
            hidden = positions > positions[-query.shape[2] :, None]
            if mask is not None and mask.dtype == torch.bool:
                hidden = hidden | ~mask[0, 0]
            mask = torch.zeros(hidden.shape, device=key.device).masked_fill(hidden, torch.finfo(torch.float32).min)
            key = key.float()
            weights = _eager_function(module)(module, query.float(), key, key, mask[None, None], scaling=scaling)[1]
            self.compare(self.layer_of[module], weights)


def _language_error(model: DebugModel, asked: Prompt, ids: Sequence[int], run: Run) -> float:
    """Answer once more; each layer's weights are compared as they come and dropped."""
    errors: list[float] = []

    def compare(layer: int, weights: torch.Tensor) -> None:
        """Weights are [1, heads, queries, keys] of one step."""
        start, end = weights.shape[3] - weights.shape[2], weights.shape[3]
        rows = [row for row in run.trace.positions.tolist() if start <= row < end]
        if rows:
            eager = weights[0, :, [row - start for row in rows]].float().cpu().numpy()
            errors.append(float(np.abs(run.trace.weights(layer, rows)[..., :end] - eager).max()))

    modules = model.generation.language_attention(model.network)
    with ExitStack() as stack:
        if model.dtype == torch.float32 and model.bits is None:
            stack.enter_context(model.attention("eager"))
            for layer, module in modules.items():
                hook = module.register_forward_hook(lambda _, __, output, layer=layer: compare(layer, output[1]))
                stack.callback(hook.remove)
        else:
            stack.enter_context(watching(_EagerLanguage({module: n for n, module in modules.items()}, compare)))
        follow = LogitsProcessorList([_Follow(len(asked.ids), ids)])
        model.network.generate(**asked.feed(model.device), max_new_tokens=len(ids), logits_processor=follow)
    return float(np.max(errors))


class _EagerVision(Recorder):
    """Asks transformers' eager function for some rows of every attention call of the tower."""

    def __init__(self, blocks: Sequence[nn.Module], wanted: Sequence[int], resampler: nn.Module | None) -> None:
        self.layer_of = {module: layer for layer, module in enumerate(blocks)}
        self.wanted = set(wanted)
        self.seen = [0] * len(blocks)  # patches so far, for a block may call once per picture or window
        self.rows: dict[tuple[int, int], tuple[int, np.ndarray]] = {}
        self.resampler, self.resampled = resampler, []

    def see(
        self,
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        scaling: float | None,
        mask: torch.Tensor | None = None,
    ) -> None:
        """Note, for each wanted patch of this call, the place of the call's first patch and the patch's weights."""
        eager = _eager_function(module)
        if module is self.resampler:
            self.resampled += eager(module, query.float(), key.float(), key.float(), None, scaling=scaling)[1].cpu()
        if module not in self.layer_of:
            return
        layer = self.layer_of[module]
        for one, keys in zip(query.float().split(1), key.float().split(1), strict=True):  # pictures or windows
            start = self.seen[layer]
            self.seen[layer] += query.shape[2]
            inside = sorted(place for place in self.wanted if start <= place < self.seen[layer])
            if inside:
                some = one[:, :, [place - start for place in inside]]
                weights = eager(module, some, keys, keys, None, scaling=scaling)[1][0].cpu().numpy()
                for number, place in enumerate(inside):
                    self.rows[layer, place] = start, weights[:, number]


def _vision_error(model: DebugModel, asked: Prompt, run: Run) -> float:
    orders = [order.numpy() for order in model.generation.raster_order(model.network, asked.image_grid_thw)]
    chosen = [np.unique(np.linspace(0, len(order) - 1, VISION_ROWS).astype(int)) for order in orders]
    wanted = [int(order[row]) for order, rows in zip(orders, chosen, strict=True) for row in rows]
    resampler = model.generation.resampler(model.network)
    eager = _EagerVision(model.generation.vision_attention(model.network), wanted, resampler)
    with watching(eager):
        model.network(**asked.feed(model.device), use_cache=False, logits_to_keep=1)
    errors = [0.0]
    for trace, weights in zip(run.trace.resampled, eager.resampled, strict=True):
        errors.append(float(np.abs(trace.weights() - weights.numpy()).max()))
    # Of a pair of frames, which the tower reads as one, the first stands for both.
    firsts = sorted({token.picture for token in run.tokens if token.picture is not None})
    for order, rows, trace in zip(orders, chosen, [run.vision[picture] for picture in firsts], strict=True):
        for layer in trace.layers:
            for row, ours in zip(rows, trace.weights(layer, rows).swapaxes(0, 1), strict=True):
                start, weights = eager.rows[layer, int(order[row])]
                expected = np.zeros_like(ours)
                inside = (order >= start) & (order < start + weights.shape[-1])
                expected[:, inside] = weights[:, order[inside] - start]
                errors.append(float(np.abs(ours - expected).max()))
    return float(np.max(errors))


def _eager_function(module: nn.Module) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The eager attention function that stands beside a module in transformers' source."""
    return sys.modules[type(module).__module__].eager_attention_forward
