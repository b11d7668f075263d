"""One forced pass whose parts can be run again, from any layer and from any row.

An intervention changes some rows of some layer. Rows before the first changed one, and layers before the changed one,
come out as they did; so the pass keeps the residual stream that every layer read, and the keys and values of every
layer, and an intervention starts from there. A change at the last prompt token costs one row per layer; a change in the
image at layer l costs the rows from its first cell on in the layers from l on; the vision encoder never runs again.

Layers that do not hold their past as keys and values (linear attention, layers that choose their tokens) cannot begin
in the middle of a sequence. In models with such layers every row is run again, from the changed layer on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from qwenvl_debug.errors import Cancelled, CaptureError
from qwenvl_debug.model.tapping import tapping
from qwenvl_debug.model.taps import Features, Observer, Place, Replace, Rows, Tap

if TYPE_CHECKING:
    from threading import Event

    from qwenvl_debug.model.debug_model import DebugModel
    from qwenvl_debug.model.inputs import Prompt

BY_ROW = ("position_embeddings", "angles", "sharpen", "attention_mask")
"""Arguments of a decoder layer whose last dimension but one is that of the rows; they are cut for a later start."""

INSIDE = ("attention", "heads", "attention_output", "mlp_output")
"""Places within a decoder layer, which hooks reach."""


class Replay:
    """A prompt, and perhaps the beginning of an answer, run once and kept.

    Args:
        model: who is asked.
        asked: the prompt.
        fed: tokens that are fed after it.
        keep: of how many last rows the logits are wanted.
        base: taps that belong to the pass itself; whatever is run again has them too.
        states: the layers, 0 to L, whose input is kept; None keeps all. A pass can be run again from these only.
        cancel: an event; when it is set the work stops before the next layer.

    Attributes:
        length: tokens of the sequence.
        layers: decoder layers of the language model.
        image: int64 [image tokens], their positions in the sequence.
        features: what the vision encoder handed over, in the order of `image`.
        logits: float32 [keep, vocabulary], of the last rows.

    Raises:
        CaptureError: a tap names a place that does not exist, or acts on less than it must.
        Cancelled: `cancel` was set.
    """

    def __init__(
        self,
        model: DebugModel,
        asked: Prompt,
        fed: Sequence[int] = (),
        *,
        keep: int = 1,
        base: Sequence[Tap] = (),
        states: Sequence[int] | None = None,
        cancel: Event | None = None,
    ) -> None:
        self.model, self.asked, self.fed = model, asked, tuple(fed)
        self.keep, self.cancel, self._base = keep, cancel, tuple(base)
        self._places = model.generation.places(model.network)
        self.layers = len(self._places.layers)
        self.length = len(asked.ids) + len(self.fed)
        self.image = torch.tensor([n for n, picture in enumerate(asked.pictures) if picture is not None])
        self.restarts = len(self._places.softmax) == self.layers and not model.generation.choosing
        self._states: dict[int, torch.Tensor] = {}
        self._calls: list[dict[str, Any]] = [{} for _ in range(self.layers)]
        self._cache: DynamicCache | None = None
        self.features = Features(torch.empty(0, 0))
        with model.turn(cancel), torch.no_grad():
            self.logits = self._first(range(self.layers + 1) if states is None else states)

    @staticmethod
    def nbytes_of(model: DebugModel, tokens: int, states: int) -> int:
        """Bytes that a kept pass fills.

        Args:
            model: whose pass.
            tokens: of its sequence.
            states: layers whose input is kept.
        """
        config = model.config.get_text_config()
        width = config.hidden_size * getattr(config, "hc_count", 1)
        head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        kept = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        return tokens * (states * width + 2 * model.n_layers * kept * head) * model.dtype.itemsize

    def state(self, layer: int) -> torch.Tensor:
        """The residual stream that a layer read, [length, width]; layer L is what the final norm read.

        Raises:
            CaptureError: it was not kept.
        """
        if layer not in self._states:
            raise CaptureError(f"The residual stream before layer {layer} was not kept in this pass.")
        return self._states[layer][0]

    def output(self, place: Place) -> torch.Tensor:
        """What passed at "heads", "attention_output" or "mlp_output" of a layer, [length, width]."""
        kept: list[torch.Tensor] = []
        self.run([Observer(place, lambda value, _rows: kept.append(value[0]))], keep=1)
        return kept[0]

    def run(self, taps: Sequence[Tap], keep: int | None = None) -> torch.Tensor:
        """The logits of the last rows, with taps.

        Args:
            taps: at any place of the language model, or at "encoder".
            keep: how many rows; by default as many as the pass itself kept.

        Returns:
            float32 [keep, vocabulary].

        Raises:
            CaptureError: a place does not exist or lies before the language model; or a tap acted on less than it must.
        """
        keep = keep or self.keep
        for tap in taps:
            if tap.place.kind in ("resampler", "patches"):
                raise CaptureError(
                    f"A pass cannot be run again from “{tap.place}”, which comes before its image tokens."
                )
        start = min((tap.layer for tap in taps), default=self.layers)
        first = self._first_row([tap.first for tap in taps], keep)
        hidden = self.state(start)[None, first:]
        features = self.features
        for tap in taps:
            if tap.place.kind == "encoder":
                features = tap.see(features, Rows(0, len(features.merged)))
        if start == 0 and features is not self.features:
            here = self.image >= first
            hidden, streams = hidden.clone(), hidden.shape[-1] // features.merged.shape[-1]
            changed = features.merged[here].repeat(
                1, streams
            )  # one, but for generations with several streams side by side
            hidden[:, (self.image[here] - first).to(hidden.device)] = changed.to(hidden)
        deepstack = [one[None] for one in features.deepstack]
        with self.model.turn(self.cancel), torch.no_grad():
            inner = [tap for tap in (*self._base, *taps) if tap.place.kind in INSIDE and tap.layer >= start]
            outer = [tap for tap in (*self._base, *taps) if tap.place.kind in ("residual", "norm")]
            done = {id(tap): tap.acted for tap in self._base}
            with tapping(self.model.network, self.model.generation, inner) as active:
                active.rows = Rows(first, self.length)
                logits = self._onwards(start, hidden, first, deepstack, keep, outer)
            for tap in self._base:
                tap.acted = done[id(tap)]
        _acted(taps)
        return logits[0]

    def patched(
        self, layer: int, patches: Sequence[tuple[Sequence[int], torch.Tensor, Features | None]]
    ) -> torch.Tensor:
        """The last row's logits after patches of the residual stream that a layer reads, several at once.

        Args:
            layer: 0 to L.
            patches: of each the positions, ascending, the vectors to put there, [positions, width], and the other
                image's features [image tokens among the positions, width], whose deepstack part is still to be added.

        Returns:
            float32 [patches, vocabulary].
        """
        if self.model.generation.choosing and len(patches) > 1:  # such layers take one sequence at a time
            return torch.cat([self.patched(layer, [one]) for one in patches])
        first = self._first_row([min(positions) for positions, _, _ in patches], 1)
        hidden = self.state(layer)[None, first:].repeat(len(patches), 1, 1)
        deepstack = [one[None].repeat(len(patches), 1, 1) for one in self.features.deepstack]
        for number, (positions, values, features) in enumerate(patches):
            hidden[number, torch.tensor(list(positions)) - first] = values.to(hidden)
            if features is not None:
                where = torch.isin(self.image, torch.tensor(list(positions)))
                for mine, its in zip(deepstack[layer:], features.deepstack[layer:], strict=True):
                    mine[number, where] = its.to(mine)
        with self.model.turn(self.cancel), torch.no_grad():
            inner = [tap for tap in self._base if tap.place.kind in INSIDE and tap.layer >= layer]
            with tapping(self.model.network, self.model.generation, inner) as active:
                active.rows = Rows(first, self.length)
                return self._onwards(layer, hidden, first, deepstack, 1, self._base)[:, -1]

    def without(self, positions: Sequence[int]) -> torch.Tensor:
        """The last row's logits with some tokens taken out of the sequence; all others keep their position ids.

        This is what dropping tokens saves: the language model really runs on fewer rows.

        Args:
            positions: in the sequence; not the last.

        Returns:
            float32 [vocabulary].
        """
        gone = set(positions)
        kept = torch.tensor([n for n in range(self.length) if n not in gone])
        image = torch.isin(kept, self.image)
        places = image.nonzero()[:, 0]
        number = {int(position): n for n, position in enumerate(self.image)}
        features = torch.tensor([number[int(position)] for position in kept[image]], dtype=torch.long)
        hidden = self.state(0)[None, kept]
        with self.model.turn(self.cancel), torch.no_grad():
            for layer in range(self.layers):
                call = self._calls[layer] | {"past_key_values": None}
                for name in BY_ROW:
                    if call.get(name) is not None:
                        call[name] = _chosen(call[name], kept, columns=name == "attention_mask")
                if call.get("position_ids") is not None:
                    call["position_ids"] = call["position_ids"][..., kept]
                hidden = self._places.layers[layer](hidden, **call)
                if layer < len(self.features.deepstack) and len(places):
                    added = self.features.deepstack[layer][features].to(hidden)
                    hidden = hidden.index_add(1, places.to(hidden.device), added[None])
            return self._places.unembedding(self._places.norm(hidden)[:, -1]).float()[0]

    def whole(self, taps: Sequence[Tap], keep: int | None = None) -> torch.Tensor:
        """As `run`, by a whole pass of the network, vision encoder included: slower, and possible at every place."""
        keep = keep or self.keep
        network, generation = self.model.network, self.model.generation
        with self.model.turn(self.cancel), torch.no_grad(), tapping(network, generation, [*self._base, *taps]):
            feed = self.asked.feed(self.model.device, more=self.fed)
            return network(**feed, use_cache=False, logits_to_keep=keep).logits[0].float()

    def _first(self, states: Sequence[int]) -> torch.Tensor:
        """Run the whole pass and keep what is asked for."""
        observers: list[Tap] = [Observer(Place("residual", layer), self._keep_state(layer)) for layer in states]
        if len(self.image):
            observers.append(Observer(Place("encoder"), self._keep_features))
        network = self.model.network
        hooks = [
            layer.register_forward_pre_hook(self._keep_call(number), with_kwargs=True)
            for number, layer in enumerate(self._places.layers)
        ]
        try:
            with tapping(network, self.model.generation, [*self._base, *observers]):
                feed = self.asked.feed(self.model.device, more=self.fed)
                found = network(**feed, use_cache=self.restarts, logits_to_keep=self.keep)
        finally:
            for hook in hooks:
                hook.remove()
        self._cache = found.past_key_values if self.restarts else None
        return found.logits[0].float()

    def _keep_state(self, layer: int):
        def keep(value: torch.Tensor, _rows: Rows) -> None:
            self._states[layer] = value

        return keep

    def _keep_features(self, value: Features, _rows: Rows) -> None:
        self.features = value

    def _keep_call(self, layer: int):
        def keep(_module: torch.nn.Module, _args: tuple, kwargs: dict[str, Any]) -> None:
            self._calls[layer] = {name: value for name, value in kwargs.items() if name != "past_key_values"}

        return keep

    def _first_row(self, firsts: Sequence[int], keep: int) -> int:
        return min([*firsts, self.length - keep]) if self.restarts else 0

    def _onwards(
        self,
        start: int,
        hidden: torch.Tensor,
        first: int,
        deepstack: Sequence[torch.Tensor],
        keep: int,
        taps: Sequence[Tap],
    ) -> torch.Tensor:
        """From what a layer reads, [batch, rows from `first` on, width], to logits [batch, keep, vocabulary]."""
        rows = Rows(first, self.length)
        here = (self.image >= first).nonzero()[:, 0]
        places = (self.image[here] - first).to(hidden.device)
        for layer in range(start, self.layers):
            if self.cancel is not None and self.cancel.is_set():
                raise Cancelled("The work was stopped.")
            hidden = _seen(taps, Place("residual", layer), hidden, rows)
            hidden = self._places.layers[layer](hidden, **self._call(layer, first, len(hidden)))
            if layer < len(deepstack) and len(here):
                added = deepstack[layer][:, here.to(deepstack[layer].device)].to(hidden)
                hidden = hidden.index_add(1, places, added.expand(len(hidden), -1, -1))
        hidden = _seen(taps, Place("residual", self.layers), hidden, rows)
        hidden = _seen(taps, Place("norm"), self._places.norm(hidden), rows)
        return self._places.unembedding(hidden[:, -keep:]).float()

    def _call(self, layer: int, first: int, batch: int) -> dict[str, Any]:
        """The arguments of a layer as the pass gave them, for the rows from `first` on."""
        call = dict(self._calls[layer])
        if not self.restarts or first == 0:
            return call | {"past_key_values": None}
        for name in BY_ROW:
            if call.get(name) is not None:
                call[name] = _cut(call[name], first)
        if call.get("position_ids") is not None:
            call["position_ids"] = call["position_ids"][..., first:]
        kept = self._cache.layers[layer]
        if call.get("attention_mask") is None:  # left out where every row sees all earlier ones
            ends = torch.arange(first, self.length, device=kept.keys.device)
            call["attention_mask"] = (torch.arange(self.length, device=ends.device) <= ends[:, None])[None, None]
        cache = DynamicCache()
        before = (kept.keys[:, :, :first], kept.values[:, :, :first])
        cache.update(*(one.expand(batch, -1, -1, -1) for one in before), self._places.softmax[layer].layer_idx)
        return call | {"past_key_values": cache}


def _cut(value: Any, first: int) -> Any:
    return tuple(_cut(one, first) for one in value) if isinstance(value, tuple) else value[..., first:, :]


def _chosen(value: Any, rows: torch.Tensor, columns: bool) -> Any:
    if isinstance(value, tuple):
        return tuple(_chosen(one, rows, columns) for one in value)
    chosen = value.index_select(value.ndim - 2, rows.to(value.device))
    return chosen.index_select(value.ndim - 1, rows.to(value.device)) if columns else chosen


def _seen(taps: Sequence[Tap], place: Place, value: torch.Tensor, rows: Rows) -> torch.Tensor:
    for tap in taps:
        if tap.place == place and (changed := tap.see(value, rows)) is not None:
            value = changed
    return value


def _acted(taps: Sequence[Tap]) -> None:
    for tap in taps:
        if isinstance(tap, Replace) and tap.acted < tap.needed:
            raise CaptureError(
                f"An intervention at {tap.place} acted on {tap.acted} of {tap.needed} positions, so its effect would "
                "mean nothing."
            )
