"""A loaded model that can be asked, with its attention in view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Event, RLock
from typing import Any, Literal

import torch
from transformers import GenerationConfig, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers.image_processing_backends import PilBackend

from qwenvl_debug.case import Case
from qwenvl_debug.errors import Cancelled, CaseError
from qwenvl_debug.model import ask
from qwenvl_debug.model.capture import ATTENTION
from qwenvl_debug.model.chat_template import ChatTemplate
from qwenvl_debug.model.decoding import DECODINGS, GREEDY, OwnSettings
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.leftovers import Loading
from qwenvl_debug.model.modes import BASIC, Mode
from qwenvl_debug.model.run import Run
from qwenvl_debug.model.taps import Intervention
from qwenvl_debug.model.wishes import check_blocks, check_layers, check_target, check_wishes

Progress = Callable[[int, int, str], Any]
"""Called as progress(done, of, the end of the text so far) from the thread that works."""

ANSWER_TOKENS, THOUGHT_TOKENS = 64, 2048
"""How long an answer may be, and how many tokens more where the model thinks first, unless something is asked for."""


@dataclass(frozen=True, eq=False)
class DebugModel:
    """A checkpoint made ready by `load_model`. It may be shared by threads: they take turns.

    Attributes:
        name: what `load_model` was given.
        revision: commit of a hub checkpoint, fingerprint of a folder; of a LoRA that of its base and its own.
        network: the transformers model.
        tokenizer: the checkpoint's tokenizer.
        image_processor: the checkpoint's image processor.
        template: the checkpoint's chat template.
        stop_ids: tokens that end an answer; the first is what ends a forced answer.
        generation: the generation.
        mode: how much is kept of an answer, see `model.modes`.
        bits: in how many bits the language model's matrices are stored, or None for whole numbers of `dtype`.
        max_image_tokens: tokens that an image may take where somebody set a limit, else None.
        own: what the checkpoint says of how its answers are generated.
        decoding: how answers are generated unless a question says otherwise: "greedy" or "checkpoint".
        seed: of the random numbers, where the checkpoint samples and is asked as it says.
        loading: what came of reading the weights: how they are stored, what was left unused, what to know.
    """

    name: str
    revision: str
    network: PreTrainedModel = field(repr=False)
    tokenizer: PreTrainedTokenizerBase = field(repr=False)
    image_processor: PilBackend = field(repr=False)
    template: ChatTemplate = field(repr=False)
    stop_ids: tuple[int, ...]
    generation: Family = field(repr=False)
    mode: Mode = BASIC
    bits: int | None = None
    max_image_tokens: int | None = None
    own: OwnSettings = field(default_factory=lambda: OwnSettings({}, {}, {}), repr=False)
    decoding: str = GREEDY
    seed: int = 0
    loading: Loading = field(default_factory=lambda: Loading("unknown"))
    _lock: RLock = field(default_factory=RLock, repr=False)

    @property
    def family(self) -> str:
        """The generation's name, such as "Qwen3-VL"."""
        return self.generation.title

    @property
    def device(self) -> torch.device:
        """Where a question goes in; a model that is spread may keep weights elsewhere, even on disk."""
        spread = getattr(self.network, "hf_device_map", None) or {}
        if not {"cpu", "disk"} & set(spread.values()) and self.network.device.type != "meta":
            return self.network.device
        # accelerate computes on the first GPU that takes part, else on the CPU, wherever the weights wait.
        chosen = next((place for place in spread.values() if place not in ("cpu", "disk")), "cpu")
        return torch.device("cuda", chosen) if isinstance(chosen, int) else torch.device(chosen)

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights that are not quantised, and of everything computed with them."""
        return self.network.dtype

    @property
    def precision(self) -> str:
        """How the weights are held, for people: "float32", or "8-bit with bfloat16"."""
        return self.loading.precision

    @property
    def config(self) -> PreTrainedConfig:
        """The checkpoint's configuration."""
        return self.network.config

    @property
    def n_layers(self) -> int:
        """Layers of the language model."""
        return self.config.get_text_config().num_hidden_layers

    @property
    def n_heads(self) -> int:
        """Query heads of a language layer."""
        return self.config.get_text_config().num_attention_heads

    @cached_property
    def layers_with_maps(self) -> tuple[int, ...]:
        """Language layers that have an attention map."""
        return tuple(sorted(self.generation.language_attention(self.network)))

    @property
    def vision_depth(self) -> int:
        """Blocks of the vision tower."""
        return len(self.generation.vision_attention(self.network))

    def ask(
        self,
        case: Case,
        *,
        target: str | Sequence[int] | None = None,
        max_new_tokens: int | None = None,
        rows: Literal["asked", "all"] = "asked",
        layers: Sequence[int] | None = None,
        vision_layers: Sequence[int] | None = None,
        top: int = 5,
        thinking: bool | None = None,
        thoughts: Sequence[int] = (),
        interventions: Sequence[Intervention] = (),
        decoding: str | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
        cancel: Event | None = None,
    ) -> Run:
        """Ask a case and keep what is needed to see where the model looked.

        Unless told otherwise the answer is greedy: the likeliest token each time. What the checkpoint's own settings
        ask for beside that (penalties, sampling) is then left out, and named in `provenance.settings["dropped"]`.

        Args:
            case: pictures and a question.
            target: an answer to feed in instead of the model's own (teacher forcing), as words or as token numbers.
                Where the model would think first it is fed after the chat template's own empty thoughts, unless it
                holds thoughts itself (`… </think> answer`) or `thoughts` are given.
            max_new_tokens: thoughts and answer together end after this many tokens at the latest; by default
                `ANSWER_TOKENS`, and `THOUGHT_TOKENS` more where the model thinks first. See `Run.cut`.
            rows: whose attention to keep: "asked" for the question's words, the last token of the prompt and the
                answer; "all" for every token.
            layers: language layers to keep; by default every one that has a map. Fewer take less memory.
            vision_layers: blocks of the vision tower to keep as well; by default none, and all in the mode "full".
            top: how many alternatives to note at each token of the answer.
            thinking: turn thinking on or off, where the chat template has a switch; None leaves it to the template.
            thoughts: what to feed before the target, as token numbers with the marks that the model writes.
            interventions: changes inside the model while it answers, see `causes`; the run remembers them.
            decoding: "greedy", or "checkpoint" for what generation_config.json says: penalties and other settings
                applied by transformers' own `generate`, and sampling where it samples. None for the model's own way.
            seed: of the random numbers, where it samples. None for the model's own.
            progress: called as progress(tokens done, at most, the end of the text so far).
            cancel: an event; when it is set the work stops within one layer.

        Returns:
            The run. Its token probabilities are those of the whole vocabulary, computed in float32 from the model's
            own logits, before penalties or sampling; so with those the likeliest token is not always the chosen one.

        Raises:
            PictureError: the model cannot take a picture's shape.
            CaseError: the prompt is too long, the target is empty or no answer, `max_new_tokens` is no whole number
                from 1, the chat template refuses the conversation or has no switch for thinking, there is no such
                decoding or seed, the checkpoint's own generation settings cannot be used, or memory ran out.
            CaptureError: a layer without a map, a block that does not exist, or `rows` or `top` that mean nothing.
            Cancelled: `cancel` was set.
        """
        if not isinstance(case, Case):
            raise CaseError(f"A model is asked a Case, Case(picture, question), not {type(case).__name__}.")
        check_wishes(max_new_tokens, rows, top, thinking)
        kept, seen = check_layers(layers, self.layers_with_maps), self._kept_blocks(vision_layers)
        vocabulary = self.network.get_input_embeddings().num_embeddings
        target = None if target is None else check_target(target, vocabulary)
        thoughts = check_target(tuple(thoughts), vocabulary)
        asked = self.decoded(decoding, seed)
        with self.turn(cancel):
            limit = self._limit(max_new_tokens, thinking)
            given = (progress, cancel, thinking, thoughts, interventions, asked.decoding, asked.seed)
            return ask.ask(asked, case, target, limit, rows, kept, seen, top, *given)

    def decoded(self, decoding: str | None = None, seed: int | None = None) -> DebugModel:
        """The same model, the same network in memory, with another way to choose tokens wherever it is asked.

        Args: as for `ask`.

        Raises:
            CaseError: there is no such decoding or seed.
        """
        chosen = self.decoding if decoding is None else decoding
        if chosen not in DECODINGS:
            raise CaseError(f"There is no decoding “{chosen}”: use {' or '.join(DECODINGS)}.")
        number = self.seed if seed is None else seed
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**63:
            raise CaseError(f"A seed is a whole number from 0, not {number!r}.")
        return self if (chosen, number) == (self.decoding, self.seed) else replace(self, decoding=chosen, seed=number)

    def generation_config(
        self, max_new_tokens: int, decoding: str | None = None, *, sample: bool = True
    ) -> GenerationConfig:
        """The settings for transformers' `generate`, see `decoding.OwnSettings.config`."""
        pad = self.network.generation_config.pad_token_id
        chosen = self.decoding if decoding is None else decoding
        return self.own.config(chosen, self.stop_ids, pad, max_new_tokens, sample=sample)

    def settings(
        self,
        max_new_tokens: int | None = None,
        rows: Literal["asked", "all"] = "asked",
        layers: Sequence[int] | None = None,
        vision_layers: Sequence[int] | None = None,
        top: int = 5,
        thinking: bool | None = None,
        thoughts: Sequence[int] = (),
        decoding: str | None = None,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """All that decides, beside the weights and the case, what a run holds: its `provenance.settings`, JSON-ready.

        Args: as for `ask`, so that one can tell before asking whether the same was asked before.

        Raises:
            CaseError, CaptureError: as `ask`.
        """
        check_wishes(max_new_tokens, rows, top, thinking)
        size, kept = self.image_processor.size, check_layers(layers, self.layers_with_maps)
        asked = self.decoded(decoding, seed)
        return {
            **self.own.record(asked.decoding, asked.seed),
            "max_new_tokens": self._limit(max_new_tokens, thinking),
            "rows": rows,
            "layers": None if kept == self.layers_with_maps else list(kept),
            "vision_layers": list(self._kept_blocks(vision_layers)),
            "top": int(top),
            "dtype": str(self.dtype).removeprefix("torch."),
            "bits": self.bits,
            "device": str(self.device),
            "picture_area": [size["shortest_edge"], size["longest_edge"]],
            # Only where it is set, so that runs stored before there was such a limit are found.
            **({} if self.max_image_tokens is None else {"max_image_tokens": self.max_image_tokens}),
            "chat_template": self.template.label,
            "thinking": thinking if self.template.has_switch else None,
            **({"thoughts": list(map(int, thoughts))} if len(thoughts) else {}),
            **({"stored": self.loading.stored} if self.loading.stored else {}),
            **({"from_adapter": list(self.loading.from_adapter)} if self.loading.from_adapter else {}),
        }

    def _limit(self, max_new_tokens: int | None, thinking: bool | None) -> int:
        if max_new_tokens is not None:
            return int(max_new_tokens)
        return ANSWER_TOKENS + (THOUGHT_TOKENS if self.template.thinks(thinking) else 0)

    def _kept_blocks(self, blocks: Sequence[int] | None) -> tuple[int, ...]:
        if blocks is None:
            return tuple(range(self.vision_depth)) if self.mode.vision else ()
        return check_blocks(blocks, self.vision_depth)

    def plain(self, case: Case, max_new_tokens: int | None = None, thinking: bool | None = None) -> list[int]:
        """The answer of transformers' own `generate` with its own SDPA attention, nothing recorded.

        Args: as for `ask`.

        Returns:
            Token numbers of thoughts and answer, with the end token where there is one.
        """
        with self.turn(), self.attention("sdpa"):
            limit = self._limit(max_new_tokens, thinking)
            return ask.plain(self, case, limit, thinking, self.decoding, self.seed)

    @contextmanager
    def turn(self, cancel: Event | None = None) -> Iterator[None]:
        """Wait until no other thread uses the network.

        Raises:
            Cancelled: `cancel` was set while waiting.
        """
        while not self._lock.acquire(timeout=0.05):
            if cancel is not None and cancel.is_set():
                raise Cancelled("The answer was stopped.")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def attention(self, implementation: str) -> Iterator[None]:
        """Use another of transformers' attention implementations for a while. Call it within `turn`."""
        self.network.set_attn_implementation(implementation)
        try:
            yield
        finally:
            self.network.set_attn_implementation(ATTENTION)
