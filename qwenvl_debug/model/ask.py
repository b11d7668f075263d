"""How a case becomes a run: generate an answer, or feed a given one in, while attention is recorded."""

from __future__ import annotations

import platform
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import StoppingCriteria, StoppingCriteriaList

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaseError
from qwenvl_debug.model.capture import Recorder
from qwenvl_debug.model.decoding import GREEDY, Watch, seeded
from qwenvl_debug.model.inputs import Prompt, encode, prompt
from qwenvl_debug.model.run import Alternative, Provenance, Run, Token
from qwenvl_debug.model.spelling import spell, texts
from qwenvl_debug.model.tapping import tapping, watching
from qwenvl_debug.model.taps import BiasTap, Intervention
from qwenvl_debug.model.thoughts import CLOSE, count_thoughts
from qwenvl_debug.model.trace import VisionTrace

if TYPE_CHECKING:
    from qwenvl_debug.model.debug_model import DebugModel, Progress


SHOWN = 64
"""So many of the last tokens are shown while the model writes: thoughts run to thousands."""

REPLACED = "\ufffd"
"""What half a character reads as."""


@dataclass(frozen=True)
class Choice:
    """The probability of a chosen token and the likeliest tokens at its place, as (id, probability)."""

    probability: float
    likeliest: tuple[tuple[int, float], ...]


def ask(
    model: DebugModel,
    case: Case,
    target: str | Sequence[int] | None,
    max_new_tokens: int,
    rows: str,
    layers: Sequence[int],
    vision_layers: Sequence[int],
    top: int,
    progress: Progress | None,
    cancel: Event | None,
    thinking: bool | None = None,
    thoughts: Sequence[int] = (),
    interventions: Sequence[Intervention] = (),
    decoding: str = GREEDY,
    seed: int = 0,
) -> Run:
    """See `DebugModel.ask`, which makes sure that no other thread uses the network meanwhile."""
    began = time.perf_counter()
    given = None if target is None else [*thoughts, *_target_ids(model, target)]
    # An answer without thoughts is no thought: it is fed after closed ones.
    closed = given is not None and CLOSE not in "".join(text for text, _ in spell(model.tokenizer, given))
    asked = prompt(model, case, thinking, closed=closed)
    length = len(asked.ids)
    recorder = Recorder(
        language={m: n for n, m in model.generation.language_attention(model.network).items() if n in layers},
        vision=_vision_modules(model, vision_layers),
        rows=None if rows == "all" else [n for n in range(length) if asked.kinds[n] == "question"] + [length - 1],
        prompt_length=length,
        cancel=cancel,
        choosing=model.generation.choosing,
        resampler=model.generation.resampler(model.network),
    )
    taps = [tap for one in interventions for tap in one.taps(model, asked)]
    with torch.no_grad(), tapping(model.network, model.generation, taps), watching(recorder), _enough_memory():
        if given is None:
            new, choices = _generate(model, asked, max_new_tokens, top, progress, decoding, seed)
        else:
            new = [*given, model.stop_ids[0]]
            choices = _force(model, asked, new, top)
    tokens = _tokens(model, asked, new, choices)
    settings = model.settings(max_new_tokens, rows, layers, vision_layers, top, thinking, thoughts, decoding, seed)
    orders = model.generation.raster_order(model.network, asked.image_grid_thw)
    answer = "".join(token.text for token in tokens if token.kind == "answer").strip()
    return Run(
        case=case,
        answer=answer,
        tokens=tokens,
        grids=asked.grids,
        trace=recorder.trace(
            model.n_layers,
            model.n_heads,
            len(tokens),
            asked.image_grid_thw,
            [tap.bias for tap in taps if isinstance(tap, BiasTap)],
        ),
        vision=_per_picture(recorder.vision(orders, asked.image_grid_thw), asked),
        provenance=_provenance(model, settings, began),
        target=target if target is None or isinstance(target, str) else answer,
        model=model,
        interventions=tuple(interventions),
    )


def plain(
    model: DebugModel,
    case: Case,
    max_new_tokens: int,
    thinking: bool | None = None,
    decoding: str = GREEDY,
    seed: int = 0,
    *,
    sample: bool = True,
) -> list[int]:
    """See `DebugModel.plain`; without `sample` the likeliest token is taken where the checkpoint samples."""
    asked = prompt(model, case, thinking)
    config = model.generation_config(max_new_tokens, decoding, sample=sample)
    with torch.no_grad(), _enough_memory(), seeded(seed if config.do_sample else None, model.device):
        sequence = model.network.generate(
            **asked.feed(model.device), generation_config=config, tokenizer=model.tokenizer
        )
    return sequence[0, len(asked.ids) :].tolist()


class _Pulse(StoppingCriteria):
    """Reports progress after each token and never stops. (Cancelling is the recorder's, which is asked more often.)"""

    def __init__(self, model: DebugModel, prompt_length: int, of: int, progress: Progress) -> None:
        self.model, self.prompt_length, self.of, self.progress = model, prompt_length, of, progress

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        done = input_ids.shape[1] - self.prompt_length
        end = input_ids[0, max(self.prompt_length, input_ids.shape[1] - SHOWN) :].tolist()
        text = self.model.tokenizer.decode(end, skip_special_tokens=True)
        self.progress(done, self.of, text if done <= SHOWN else f"…{text.lstrip(REPLACED)}")
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _generate(
    model: DebugModel,
    asked: Prompt,
    max_new_tokens: int,
    top: int,
    progress: Progress | None,
    decoding: str,
    seed: int,
) -> tuple[list[int], list[Choice]]:
    choices: list[Choice] = []
    watch = Watch(lambda logits, chosen: choices.extend(_choices(logits, chosen, top)))
    pulse, config = StoppingCriteriaList([watch]), model.generation_config(max_new_tokens, decoding)
    if progress is not None:
        progress(0, max_new_tokens, "")
        pulse.append(_Pulse(model, len(asked.ids), max_new_tokens, progress))
    with watch.on(model.network), seeded(seed if config.do_sample else None, model.device):
        sequence = model.network.generate(
            **asked.feed(model.device), generation_config=config, stopping_criteria=pulse, tokenizer=model.tokenizer
        )
    return sequence[0, len(asked.ids) :].tolist(), choices


def _force(model: DebugModel, asked: Prompt, new: list[int], top: int) -> list[Choice]:
    # The last token is not fed, as in generation: nothing is predicted from it.
    feed = asked.feed(model.device, more=new[:-1])
    logits = model.network(**feed, use_cache=False, logits_to_keep=len(new)).logits[0]
    return _choices(logits, torch.tensor(new, device=logits.device), top)


def _choices(logits: torch.Tensor, chosen: torch.Tensor, top: int) -> list[Choice]:
    """From logits [steps, vocabulary] and chosen ids [steps]."""
    probability = logits.float().softmax(-1)
    best = probability.topk(min(top, probability.shape[-1]), dim=-1)
    taken = probability.gather(-1, chosen[:, None])[:, 0].tolist()
    return [
        Choice(p, tuple(zip(ids, values, strict=True)))
        for p, ids, values in zip(taken, best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _target_ids(model: DebugModel, target: str | Sequence[int]) -> list[int]:
    ids = encode(model, target.strip()) if isinstance(target, str) else list(target)
    if not ids:
        raise CaseError("The target answer is empty: write the words to feed in.")
    return ids


def _tokens(model: DebugModel, asked: Prompt, new: list[int], choices: list[Choice]) -> tuple[Token, ...]:
    length = len(asked.ids)
    ids = [*asked.ids, *new]
    last_turn = max(turn for turn in asked.turns if turn is not None)
    ended = new[-1] in model.stop_ids
    said = new[: len(new) - ended]
    thought = count_thoughts([text for text, _ in spell(model.tokenizer, said)], opened=asked.opened)
    kinds = [*asked.kinds, *["thought"] * thought, *["answer"] * (len(said) - thought), *["end"] * ended]
    breaks = [n for n in range(1, len(ids)) if kinds[n] != kinds[n - 1]]
    spelled = spell(model.tokenizer, ids, breaks)
    names = _names(model, choices)
    return tuple(
        Token(
            index=n,
            id=ids[n],
            text=spelled[n][0],
            group=spelled[n][1],
            kind=kinds[n],
            picture=asked.pictures[n] if n < length else None,
            turn=asked.turns[n] if n < length else last_turn,
            probability=choices[n - length].probability if n >= length else None,
            alternatives=tuple(Alternative(id, names[id], p) for id, p in choices[n - length].likeliest)
            if n >= length
            else (),
        )
        for n in range(len(ids))
    )


def _per_picture(traces: tuple[VisionTrace, ...], asked: Prompt) -> tuple[VisionTrace, ...]:
    """One trace for each picture; the frames of a pair, which a tower reads as one, share theirs."""
    if len(traces) in (0, len(asked.grids)):
        return traces
    firsts = sorted({picture for picture in asked.pictures if picture is not None})
    return tuple(traces[bisect_right(firsts, grid.picture) - 1] for grid in asked.grids)


def _names(model: DebugModel, choices: list[Choice]) -> dict[int, str]:
    ids = sorted({id for choice in choices for id, _ in choice.likeliest})
    return dict(zip(ids, texts(model.tokenizer, ids), strict=True))


def _vision_modules(model: DebugModel, layers: Sequence[int]) -> dict[torch.nn.Module, int]:
    blocks = model.generation.vision_attention(model.network)
    return {blocks[layer]: layer for layer in layers}


def _provenance(model: DebugModel, settings: dict[str, Any], began: float) -> Provenance:
    return Provenance(
        model=model.name,
        revision=model.revision,
        family=model.family,
        settings=settings,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        seed=settings.get("seed"),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - began,
    )


@contextmanager
def _enough_memory() -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise CaseError("There was not enough memory for this picture: make it smaller and ask again.") from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise CaseError("There was not enough memory for this picture: make it smaller and ask again.") from error
