"""What would loading this checkpoint take? Found out from its small files, before anything large is read or fetched."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import lora
from qwenvl_debug.model.families import Family, family_of
from qwenvl_debug.model.machine import Hardware, hardware, known_device
from qwenvl_debug.model.memory import skeleton, stored_bytes
from qwenvl_debug.model.modes import MODES
from qwenvl_debug.model.place import Place, Wishes, ways
from qwenvl_debug.model.safety import check_config, read_json
from qwenvl_debug.model.source import ADAPTER, CONFIG, download, find
from qwenvl_debug.model.weights import can_quantise


@dataclass(frozen=True)
class Found:
    """A checkpoint as far as its small files tell.

    Attributes:
        base: what the weights come from: the name itself, or the model that a LoRA was made for.
        folder: where config.json lies.
        revision: commit on the hub, or None for a folder.
        config: the content of config.json.
        family: the generation.
        skeleton: the network without weights.
        stored: bytes of the weights where they are published in few bits already, else None.
        adapter: the LoRA, or None.
    """

    base: str
    folder: Path
    revision: str | None
    config: Mapping[str, Any]
    family: Family
    skeleton: PreTrainedModel
    stored: int | None
    adapter: lora.Adapter | None


def inspect(name: str | os.PathLike[str], *, local_files_only: bool = False) -> Found:
    """Find a checkpoint and check its configuration.

    Raises:
        ModelLoadError: see `load_model`.
    """
    shown, base, adapter = str(name), name, None
    folder, revision = find(name, local_files_only)
    whole = any(path.name != lora.WEIGHTS for path in folder.glob("*.safetensors"))
    if not (folder / CONFIG).is_file() or ((folder / ADAPTER).is_file() and revision is None and not whole):
        if revision is not None:
            folder = download(shown, revision, local_files_only)
        adapter = lora.read_adapter(folder, shown)
        base = adapter.base
        folder, revision = find(base, local_files_only)
        if not (folder / CONFIG).is_file():
            raise ModelLoadError(f"“{shown}” is a LoRA of “{base}”, which is a LoRA itself: merge one of them first.")
    config = read_json(folder / CONFIG, shown)
    family = family_of(config, shown)
    check_config(config, shown)
    return Found(
        base=str(base),
        folder=folder,
        revision=revision,
        config=config,
        family=family,
        skeleton=skeleton(folder, shown, family),
        stored=stored_bytes(folder) or None if config.get("quantization_config") else None,
        adapter=adapter,
    )


@dataclass(frozen=True)
class Forecast:
    """What a model would need here.

    Attributes:
        name: what was asked about.
        family: generation, for people.
        parameters: how many numbers its weights are.
        places: by mode, the first way to load it that fits, or the best one where none does.
    """

    name: str
    family: str
    parameters: int
    places: Mapping[str, Place]

    @property
    def fits(self) -> tuple[str, ...]:
        """The modes in which it fits."""
        return tuple(mode for mode, place in self.places.items() if place.fits)

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready; sizes in bytes."""
        return {
            "model": self.name,
            "family": self.family,
            "parameters": self.parameters,
            "modes": {
                mode: {
                    "fits": place.fits,
                    "device": place.device,
                    "dtype": place.needs.dtype,
                    "bits": place.bits,
                    "image_tokens": place.needs.image_tokens,
                    "weights": place.needs.weights,
                    "cache": place.needs.cache,
                    "work": place.needs.work,
                    "capture": place.needs.capture,
                    "total": place.needs.total,
                    "free": place.free,
                }
                for mode, place in self.places.items()
            },
        }


def forecast(
    name: str | os.PathLike[str],
    *,
    wishes: Wishes | None = None,
    there: Hardware | None = None,
    local_files_only: bool = False,
) -> Forecast:
    """Reckon what a model needs in every mode, beside what is free. No weight is read or fetched.

    Args:
        name: as for `load_model`.
        wishes: device, precision, bits or picture size that were chosen already.
        there: the hardware to reckon with; by default this machine's.
        local_files_only: use only what was downloaded before.

    Raises:
        ModelLoadError: see `load_model`.
    """
    wishes = wishes or Wishes()
    if there is None and wishes.device is not None:
        known_device(wishes.device)
    found, there = inspect(name, local_files_only=local_files_only), there or hardware()
    places = {}
    for mode in MODES.values():
        open_ways = ways(
            found.skeleton,
            found.family,
            mode,
            there,
            wishes,
            quantises=can_quantise() and found.adapter is None,
            stored=found.stored,
        )
        places[mode.name] = next((way for way in open_ways if way.fits), open_ways[0])
    parameters = next(iter(places.values())).needs.parameters
    return Forecast(str(name), found.family.title, parameters, places)
