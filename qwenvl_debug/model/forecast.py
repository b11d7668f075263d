"""What would loading this checkpoint take? Found out from its small files, before anything large is read or fetched."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model import lora
from qwenvl_debug.model.configuration import as_known
from qwenvl_debug.model.families import Family, family_of
from qwenvl_debug.model.few_bits import can_quantise
from qwenvl_debug.model.machine import Hardware, hardware, known_device
from qwenvl_debug.model.memory import skeleton
from qwenvl_debug.model.modes import MODES
from qwenvl_debug.model.place import Place, Wishes, ways
from qwenvl_debug.model.quantisation import Quantised, quantised, stored_bytes
from qwenvl_debug.model.safety import check_config, read_json
from qwenvl_debug.model.source import ADAPTER, CONFIG, download, find


@dataclass(frozen=True)
class Found:
    """A checkpoint as far as its small files tell.

    Attributes:
        base: what the weights come from: the name itself, or the model that a LoRA was made for.
        folder: where config.json lies.
        revision: commit on the hub, or None for a folder.
        config: the content of config.json, with what transformers needs in place of what it does not know.
        family: the generation.
        skeleton: the network without weights, all of them whole.
        own: how the weights are quantised in the files, or None where they are whole.
        adapter: the LoRA, or None.
        notes: sentences on what was read otherwise than config.json says.
    """

    base: str
    folder: Path
    revision: str | None
    config: Mapping[str, Any]
    family: Family
    skeleton: PreTrainedModel
    own: Quantised | None
    adapter: lora.Adapter | None
    notes: tuple[str, ...] = ()

    def weigh(self, dtype: torch.dtype) -> int | None:
        """Bytes of the weights as they are stored, beside numbers of `dtype`; None where they count as usual."""
        if self.own is None or self.own.expanded:
            return None
        return stored_bytes(self.folder, dtype) or None


def inspect(
    name: str | os.PathLike[str], *, base: str | os.PathLike[str] | None = None, local_files_only: bool = False
) -> Found:
    """Find a checkpoint and check its configuration.

    Args:
        name, local_files_only: as for `load_model`.
        base: of a LoRA, the model to apply it to instead of the one that it names.

    Raises:
        ModelLoadError: see `load_model`.
    """
    shown, adapter = str(name), None
    folder, revision = find(name, local_files_only)
    if not (folder / CONFIG).is_file() or (revision is None and lora.is_adapter(folder)):
        if revision is not None:
            folder = download(shown, revision, local_files_only)
        adapter = lora.read_adapter(folder, shown)
        name, folder, revision = find_base(adapter, shown, base, local_files_only)
    elif base is not None:
        raise ModelLoadError(f"“{shown}” is a whole model and no LoRA: leave out the base.")
    config, notes = as_known(read_json(folder / CONFIG, shown))
    family = family_of(config, shown)
    check_config(config, shown)
    return Found(
        base=str(name),
        folder=folder,
        revision=revision,
        config=config,
        family=family,
        skeleton=skeleton(config, shown, family),
        own=quantised(config, shown),
        adapter=adapter,
        notes=notes,
    )


def find_base(
    adapter: lora.Adapter, shown: str, given: str | os.PathLike[str] | None, local_files_only: bool
) -> tuple[str | os.PathLike[str], Path, str | None]:
    """The model that a LoRA is applied to: its name, its folder, and its commit where it comes from the hub.

    A path that the LoRA names may be relative to where it was trained, or to the LoRA itself; one that leads into the
    cache of the hub tells the name there.

    Raises:
        ModelLoadError: there is none, or it is a LoRA itself.
    """
    if given is None and not adapter.base:
        raise ModelLoadError(
            f"“{shown}” is a LoRA that does not name the model it was made for: name it (base=…, or --base on the "
            f"command line), or write it into {ADAPTER} as base_model_name_or_path."
        )
    name, wanted = (adapter.base, adapter.revision) if given is None else (given, None)
    if given is None and not Path(name).expanduser().is_dir():
        cached = re.search(r"models--([^/\\]+?)--([^/\\]+)[/\\]snapshots[/\\]([0-9a-f]{7,64})", name)
        if (adapter.folder / name).is_dir():
            name = adapter.folder / name
        elif cached is not None:
            name, wanted = f"{cached[1]}/{cached[2]}", cached[3]
    try:
        folder, revision = find(name, local_files_only, wanted)
    except ModelLoadError as error:
        said = str(error).rstrip(".")
        raise ModelLoadError(
            f"“{shown}” is a LoRA of “{name}”, which cannot be opened ({said}): say where the model that it was made "
            "for is now (base=…, or --base on the command line)."
        ) from error
    if not (folder / CONFIG).is_file():
        raise ModelLoadError(f"“{shown}” is a LoRA of “{name}”, which is a LoRA itself: merge one of them first.")
    return name, folder, revision


@dataclass(frozen=True)
class Forecast:
    """What a model would need here.

    Attributes:
        name: what was asked about.
        family: generation, for people.
        parameters: how many numbers its weights are.
        places: by mode, the first way to load it that fits, or the best one where none does.
        stored: how its weights are quantised in the files, or None where they are whole.
    """

    name: str
    family: str
    parameters: int
    places: Mapping[str, Place]
    stored: str | None = None

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
            "stored": self.stored,
            "modes": {
                mode: {
                    "fits": place.fits,
                    "device": place.device,
                    "dtype": place.needs.dtype,
                    "bits": place.needs.bits,
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
    base: str | os.PathLike[str] | None = None,
    wishes: Wishes | None = None,
    there: Hardware | None = None,
    local_files_only: bool = False,
) -> Forecast:
    """Reckon what a model needs in every mode, beside what is free. No weight is read or fetched.

    Args:
        name, base: as for `load_model`.
        wishes: device, precision, bits or picture size that were chosen already.
        there: the hardware to reckon with; by default this machine's.
        local_files_only: use only what was downloaded before.

    Raises:
        ModelLoadError: see `load_model`.
    """
    wishes = wishes or Wishes()
    if there is None and wishes.device is not None:
        known_device(wishes.device)
    found, there = inspect(name, base=base, local_files_only=local_files_only), there or hardware()
    places = {}
    for mode in MODES.values():
        open_ways = ways(
            found.skeleton,
            found.family,
            mode,
            there,
            wishes,
            quantises=can_quantise() and found.adapter is None,
            own=found.own,
            weigh=found.weigh,
        )
        places[mode.name] = next((way for way in open_ways if way.fits), open_ways[0])
    parameters = next(iter(places.values())).needs.parameters
    return Forecast(str(name), found.family.title, parameters, places, found.own and found.own.title)
