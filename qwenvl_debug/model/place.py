"""Where does a model run, and in which precision? Chosen from the hardware and the estimate, or refused politely.

On a GPU a checkpoint keeps its own precision; on a CPU it is computed in float32, where attention is exact to seven
digits, or in bfloat16 where only that fits. A model that one GPU cannot hold is spread over all GPUs and main memory.
In the mode "low memory" the language model is stored in 8 bits, else in 4, else what does not fit waits elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.machine import Hardware
from qwenvl_debug.model.memory import IMAGE_TOKENS, Estimate, estimate, size_text
from qwenvl_debug.model.modes import BASIC, LOW_MEMORY, Mode
from qwenvl_debug.model.quantisation import Quantised

ELSEWHERE = 0.25
"""Share of the weights that is at least in memory while the rest waits on disk (the largest layer, and its inputs)."""


@dataclass(frozen=True)
class Place:
    """Where and how a model will be loaded.

    Attributes:
        device: such as "cuda:0" or "cpu"; "auto" is spread over everything there is.
        dtype: precision of the whole weights.
        bits: 8 or 4 for quantised language weights, else None.
        needs: the estimate of it.
        free: bytes free there.
    """

    device: str
    dtype: torch.dtype
    bits: int | None
    needs: Estimate
    free: int

    @property
    def fits(self) -> bool:
        """Whether it fits; what is spread may wait on disk in part."""
        needed = self.needs.total - self.needs.weights * (1 - ELSEWHERE) * (self.device == "auto")
        return needed <= self.free


@dataclass(frozen=True)
class Wishes:
    """What a person chose; None leaves it open. `image_tokens` is the most that a picture may take."""

    device: str | None = None
    dtype: torch.dtype | None = None
    bits: int | None = None
    image_tokens: int | None = None


def choose(
    network: PreTrainedModel,
    family: Family,
    name: str,
    mode: Mode,
    there: Hardware,
    wishes: Wishes,
    *,
    quantises: bool = True,
    own: Quantised | None = None,
    weigh: Callable[[torch.dtype], int | None] = lambda _: None,
    anyway: bool = False,
) -> Place:
    """The first way to load a model that fits, of those that the mode and the person leave open.

    Args:
        network: the model's skeleton.
        family: its generation.
        name: what to call it in an error.
        mode: the mode asked for.
        there: the hardware.
        wishes: what the person chose.
        quantises: whether weights can be stored in few bits here.
        own: how the weights are quantised in the files already; they are taken as they are.
        weigh: from the precision of all else to the bytes of such weights, or to None where that is not known.
        anyway: load even what seems not to fit.

    Raises:
        ModelLoadError: nothing fits; the sentence says what is needed, what is free, and what would fit.
    """

    def places(mode: Mode, wishes: Wishes) -> list[Place]:
        return ways(network, family, mode, there, wishes, quantises=quantises, own=own, weigh=weigh)

    open_ways = places(mode, wishes)
    best = open_ways[0]
    fitting = next((way for way in open_ways if way.fits), best if anyway else None)
    if fitting is not None:
        return fitting
    said = (
        f"“{name}” needs about {size_text(best.needs.total)} in the mode “{mode.name}”, and {size_text(best.free)} "
        f"are free on {best.device}: "
    )
    for other in (BASIC, LOW_MEMORY):
        found = next((way for way in places(other, Wishes(wishes.device)) if way.fits), None)
        if other != mode and found is not None:
            raise ModelLoadError(f"{said}use mode='{other.name}' (about {size_text(found.needs.total)}).")
    install = "" if quantises or own is not None else " (with bitsandbytes installed it could be stored in fewer bits)"
    raise ModelLoadError(
        f"{said}choose a smaller checkpoint, or close other programs{install}; check_memory=False tries all the same."
    )


def ways(
    network: PreTrainedModel,
    family: Family,
    mode: Mode,
    there: Hardware,
    wishes: Wishes,
    *,
    quantises: bool = True,
    own: Quantised | None = None,
    weigh: Callable[[torch.dtype], int | None] = lambda _: None,
) -> list[Place]:
    """Every way to load a model that is left open, best first; arguments as for `choose`."""
    limits = (family.picture_tokens, wishes.image_tokens, mode.max_image_tokens, IMAGE_TOKENS)
    most = [n for n in limits if n is not None]

    def place(where: str, kind: torch.dtype, few: int | None) -> Place:
        held, whole = (few, None) if own is None else (own.bits if own.bits in (4, 8) else None, own.whole or None)
        needs = estimate(
            network, family, dtype=kind, bits=held, whole=whole, vision=mode.vision, image_tokens=min(most)
        )
        if (stored := weigh(kind)) is not None:
            needs = replace(needs, weights=stored)
        return Place(where, kind, few, needs, there.free(where))

    where = wishes.device or {"cuda": "cuda:0", "mps": "mps", "cpu": "cpu"}[there.kind]
    kinds = [wishes.dtype] if wishes.dtype is not None else _precisions(where, there, network.config, mode)
    few: list[int | None] = [wishes.bits]
    if mode.small and wishes.bits is None and quantises and own is None:
        few = [8, 4]
    found = [place(where, kind, count) for count in few for kind in kinds]
    if wishes.device is None and wishes.bits is None and (there.gpus or mode.small):
        found.append(place("auto", kinds[-1], None))
    return found


def _precisions(where: str, there: Hardware, config: PreTrainedConfig, mode: Mode) -> list[torch.dtype]:
    short = torch.bfloat16 if there.brain_floats or where == "cpu" else torch.float16
    if mode.small:
        return [short]
    if where == "cpu":
        return [torch.float32, short]
    own = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None)
    return [own if own in (torch.float16, torch.float32) else short]
