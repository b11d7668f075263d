"""How is each token of an answer chosen?

*Greedy* takes the likeliest token each time, and nothing else: the same answer each time, and the one that the rows of
attention explain without remainder. A checkpoint's generation_config.json may ask for more: penalties for repetition,
forbidden or forced tokens, sampling. *As the checkpoint says* applies that through transformers' own `generate`, with a
stated seed where it samples. What is not applied is always named in a run's provenance.

The probabilities that a run records are the model's own, from its logits before any of these settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, StoppingCriteria

from qwenvl_debug.errors import CaseError

FILE = "generation_config.json"

GREEDY, CHECKPOINT = "greedy", "checkpoint"
DECODINGS = (GREEDY, CHECKPOINT)
"""What `DebugModel.ask` can be told."""

_SCORES = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "sequence_bias": None,
    "min_length": 0,
    "min_new_tokens": 0,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "exponential_decay_length_penalty": None,
    "remove_invalid_values": False,
    "stop_strings": None,
}
"""Settings that change the scores of tokens or end an answer, each with the value that changes nothing."""

_SAMPLING = {
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "top_h": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}
"""Settings of sampling, without effect where `do_sample` is off; with the value that changes nothing."""

_OTHERS = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "diversity_penalty": 0.0,
    "length_penalty": 1.0,
    "early_stopping": False,
    "num_return_sequences": 1,
    "penalty_alpha": None,
    "dola_layers": None,
    "guidance_scale": 1,
    "watermarking_config": None,
    "constraints": None,
    "force_words_ids": None,
    "prompt_lookup_num_tokens": None,
    "use_mtp": None,
    "token_healing": False,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Settings that are never applied here, for they follow several answers at once, need a second model or are other
programs' own; with the value that changes nothing."""

_TOP_K = 50
"""What transformers takes for `top_k` where a checkpoint samples and does not say."""


@dataclass(frozen=True)
class OwnSettings:
    """What a checkpoint says of how its answers are generated, as far as it changes something.

    Attributes:
        scores: settings that change the scores of tokens, or end an answer, by transformers' names.
        sampling: settings of sampling, `do_sample` among them; empty where the checkpoint does not sample.
        others: settings that cannot be applied here.
        stops: tokens that end an answer.
    """

    scores: Mapping[str, Any]
    sampling: Mapping[str, Any]
    others: Mapping[str, Any]
    stops: tuple[int, ...] = ()

    @property
    def said(self) -> dict[str, Any]:
        """All of it."""
        return {**self.scores, **self.sampling, **self.others}

    def record(self, decoding: str, seed: int) -> dict[str, Any]:
        """What a run's provenance says of its decoding: its name, what was applied, what was dropped, and the seed.

        Where the checkpoint asks for nothing that can be applied, its way is the greedy one.
        """
        applied = {**self.scores, **self.sampling}
        if decoding == GREEDY or not applied:
            return {"decoding": GREEDY, **({"dropped": self.said} if self.said else {})}
        if self.sampling:
            applied = {**self.scores, "top_k": _TOP_K, **self.sampling}
        return {
            "decoding": CHECKPOINT,
            "applied": applied,
            **({"dropped": dict(self.others)} if self.others else {}),
            **({"seed": seed} if self.sampling else {}),
        }

    def config(self, decoding: str, stops: tuple[int, ...], pad: int, most: int, *, sample: bool = True) -> Any:
        """The settings for transformers' `generate`.

        Args:
            decoding: one of `DECODINGS`.
            stops: tokens that end an answer.
            pad: the token that fills up.
            most: longest answer, in tokens.
            sample: whether to sample where the checkpoint does; else the likeliest token is taken.

        Raises:
            CaseError: the checkpoint's settings cannot be used.
        """
        kept = dict(self.scores) if decoding == CHECKPOINT else {}
        drawn = {"top_k": _TOP_K, **self.sampling} if decoding == CHECKPOINT and sample and self.sampling else {}
        try:
            return GenerationConfig(
                **{"do_sample": False, **kept, **drawn},
                eos_token_id=list(stops),
                pad_token_id=pad,
                max_new_tokens=most,
            )
        except (ValueError, TypeError) as error:
            raise CaseError(
                f"The checkpoint's own generation settings cannot be used ({' '.join(str(error).split())[:160]}): ask "
                "with decoding='greedy'."
            ) from error


def read_own(folder: Path, config: Mapping[str, Any]) -> OwnSettings:
    """What generation_config.json says; in its absence config.json, where earlier versions of transformers kept it.

    Args:
        folder: where generation_config.json may lie.
        config: the content of config.json.
    """
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        content = config
    content = content if isinstance(content, Mapping) else {}

    def found(table: Mapping[str, Any]) -> dict[str, Any]:
        return {key: content[key] for key, same in table.items() if content.get(key) not in (None, same, [], {})}

    ends = content.get("eos_token_id")
    stops = [ends] if isinstance(ends, int) else [end for end in ends or () if isinstance(end, int)]
    sampling = {"do_sample": True, **found(_SAMPLING)} if content.get("do_sample") is True else {}
    return OwnSettings(found(_SCORES), sampling, found(_OTHERS), tuple(stops))


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Draw the random numbers of this seed, as `torch.manual_seed` and `generate` do; afterwards all is as before."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class Watch(StoppingCriteria):
    """Sees each step's logits before any setting changes them, and which token was chosen; it never stops.

    Nothing of a step is kept but what `note` makes of it: called with float32 logits [1, vocabulary] and int64 [1].
    """

    def __init__(self, note: Any) -> None:
        self.note = note
        self._logits: torch.Tensor | None = None

    @contextmanager
    def on(self, network: nn.Module) -> Iterator[None]:
        """Watch a network's steps."""
        hook = network.register_forward_hook(self._see)
        try:
            yield
        finally:
            hook.remove()

    def _see(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._logits = output.logits[:, -1].to(torch.float32, copy=True)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        self.note(self._logits, input_ids[:, -1].to(self._logits.device))
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
