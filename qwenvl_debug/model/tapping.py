"""How taps come to be part of a forward pass: hooks on the modules of their places, and a part in attention calls.

Hooks sit on modules that several threads share, so they act only for the thread that entered `tapping`; and since
`DebugModel.turn` lets one thread at a time use a network, no other thread pays for them either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor, nn

from qwenvl_debug.errors import CaptureError
from qwenvl_debug.model.bias import biased
from qwenvl_debug.model.taps import AttentionCall, BiasTap, Rows, Tap

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from qwenvl_debug.model.families import Family


class Watcher(Protocol):
    """Sees every attention call of a pass, of the language model and of the vision encoder alike, and changes none."""

    def see(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        scaling: float | None,
        mask: Tensor | None = None,
    ) -> None:
        """See `capture.Recorder.see`."""


@dataclass
class Active:
    """What is active in a thread.

    Attributes:
        watchers: who sees every attention call.
        attention: the taps of each attention module.
        rows: the positions of the sequence that the pass is at.
        thread: whose it is.
    """

    watchers: tuple[Watcher, ...] = ()
    attention: dict[nn.Module, list[Tap]] = field(default_factory=dict)
    rows: Rows = field(default_factory=lambda: Rows(0, 0))
    thread: int = field(default_factory=get_ident)


_active: ContextVar[Active | None] = ContextVar("taps", default=None)


def tapped_attention(call: AttentionCall, plain: Callable[[AttentionCall], Tensor]) -> Tensor:
    """The output of an attention call, seen by the active watchers and changed by the active taps of its module.

    Args:
        call: the call.
        plain: transformers' own function, from a call to its output [batch, rows, heads, head_dim].
    """
    active = _active.get()
    if active is None:
        return plain(call)
    for watcher in active.watchers:
        watcher.see(call.module, call.query, call.key, call.scaling, call.mask)
    taps = active.attention.get(call.module)
    if not taps:
        return plain(call)
    rows = Rows(call.start, call.key.shape[2])
    biases = [tap for tap in taps if isinstance(tap, BiasTap)]
    output = biased(call, [tap.bias for tap in biases], plain)
    for tap in taps:
        if isinstance(tap, BiasTap):
            tap.acted += any(tap.bias.changes(row) for row in range(rows.first, rows.end))
        elif (changed := tap.see((call, output), rows)) is not None:
            output = changed
    return output


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Show a watcher every attention call that this thread makes while the block runs."""
    before = _active.get() or Active()
    token = _active.set(Active((*before.watchers, watcher), before.attention, before.rows))
    try:
        yield
    finally:
        _active.reset(token)


@contextmanager
def tapping(network: PreTrainedModel, family: Family, taps: Sequence[Tap]) -> Iterator[Active]:
    """Attach taps to a network while the block runs; call it within `DebugModel.turn`.

    Yields:
        What is active. Who runs single layers rather than the whole network sets its `rows`.

    Raises:
        CaptureError: a place does not exist in this model; or, at the end, a tap acted on less than it must.
    """
    before = _active.get() or Active()
    active = Active(before.watchers, {module: list(there) for module, there in before.attention.items()})
    with ExitStack() as hooks:
        for tap in taps:
            _attach(network, family, tap, active, hooks)
        if taps:
            _follow_rows(family.places(network).language_model, active, hooks)
        token = _active.set(active)
        try:
            yield active
        finally:
            _active.reset(token)
    for tap in taps:
        if tap.acted < tap.needed:
            raise CaptureError(
                f"An intervention at {tap.place} acted on {tap.acted} of {tap.needed} positions, so its effect would "
                "mean nothing: the positions it names were not part of this pass."
            )


def _attach(network: PreTrainedModel, family: Family, tap: Tap, active: Active, hooks: ExitStack) -> None:
    kind, layer = tap.place.kind, tap.place.layer
    places = family.places(network)
    module = places.find(tap.place)
    if module is None:
        raise CaptureError(f"There is no place “{tap.place}” in this model: it has {places.text}.")
    if kind in ("attention", "resampler"):
        active.attention.setdefault(module, []).append(tap)
    elif kind == "encoder":
        _hook(hooks, module.register_forward_hook(_features_hook(family, tap, active)))
    elif kind == "residual" and layer == len(places.layers):
        _hook(hooks, places.norm.register_forward_pre_hook(_input_hook(tap, active)))
    elif kind in ("residual", "patches", "heads"):
        _hook(hooks, module.register_forward_pre_hook(_input_hook(tap, active)))
    else:
        _hook(hooks, module.register_forward_hook(_output_hook(tap, active)))


def _hook(hooks: ExitStack, handle: Any) -> None:
    hooks.callback(handle.remove)


def _mine(active: Active) -> bool:
    """Whether this thread is the one that attached the taps."""
    return get_ident() == active.thread


def _input_hook(tap: Tap, active: Active) -> Callable:
    def hook(_module: nn.Module, args: tuple) -> tuple | None:
        if not _mine(active):
            return None
        rows = active.rows if tap.place.kind != "patches" else Rows(0, args[0].shape[1])
        changed = tap.see(args[0], rows)
        return None if changed is None else (changed, *args[1:])

    return hook


def _output_hook(tap: Tap, active: Active) -> Callable:
    def hook(_module: nn.Module, _args: tuple, output: Any) -> Any:
        if not _mine(active):
            return None
        several = isinstance(output, tuple)
        changed = tap.see(output[0] if several else output, active.rows)
        if changed is None:
            return None
        return (changed, *output[1:]) if several else changed

    return hook


def _features_hook(family: Family, tap: Tap, active: Active) -> Callable:
    def hook(_module: nn.Module, _args: tuple, output: Any) -> Any:
        if not _mine(active):
            return None
        found = family.features(output)
        changed = tap.see(found, Rows(0, len(found.merged)))
        return None if changed is None else family.with_features(output, changed)

    return hook


def _follow_rows(language_model: nn.Module, active: Active, hooks: ExitStack) -> None:
    """Keep `active.rows` true: which positions of the sequence the language model is fed at each step."""

    def hook(_module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> None:
        fed = next(x for x in (kwargs.get("inputs_embeds"), kwargs.get("input_ids"), *args[:1]) if x is not None)
        cache = kwargs.get("past_key_values")
        first = 0 if cache is None else cache.get_seq_length()
        active.rows = Rows(first, first + fed.shape[1])

    _hook(hooks, language_model.register_forward_pre_hook(hook, with_kwargs=True))
