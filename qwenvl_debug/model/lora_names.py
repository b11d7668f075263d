"""Where do the weights of a LoRA belong, whatever version of transformers named the model's parts when it was trained?

Versions moved the language model from `model.layers` to `model.language_model.layers` and the tower from `visual` to
`model.visual`; peft would load the old names without a word and without effect. A part is looked for by the end of its
name: the longest ending that only one part of the network has is its place. Two parts never share an ending such as
`layers.3.self_attn.q_proj`, so this finds what transformers' own tables of renamings find, and nothing where there is
any doubt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

_PREFIX = "base_model.model."
_MARK = re.compile(
    r"\.(lora_[A-Za-z_]+|base_layer|token_adapter|trainable_tokens_[a-z]+|modules_to_save|original_module)(\.|$)"
)
"""Where the name of a part ends and that of something peft adds to it begins."""

_OF_WEIGHTS = ("weight", "bias")


def weights_of_today(
    weights: Mapping[str, torch.Tensor], network: nn.Module
) -> tuple[dict[str, torch.Tensor], dict[str, str | None]]:
    """A LoRA's weights under the names that the network's parts have now.

    Args:
        weights: as its file holds them.
        network: the model it is applied to.

    Returns:
        The weights by their new names, and by each part's old name its new one: the same where nothing moved, None
        where the network has no such part.
    """
    parts = [name for name, _ in network.named_modules() if name]
    found: dict[str, torch.Tensor] = {}
    renamed: dict[str, str | None] = {}
    for key, weight in weights.items():
        bare = key
        while bare.startswith(_PREFIX):
            bare = bare.removeprefix(_PREFIX)
        part, rest = _split(bare)
        if part not in renamed:
            renamed[part] = place_of(part, parts)
        place = renamed[part] if renamed[part] is not None else part
        # Some programs save the adapter's name with its matrices, where peft itself leaves it out.
        rest = re.sub(r"^((?:base_layer\.)*lora_[A-Za-z_]+)\.default(\.|$)", r"\1\2", rest)
        found[_PREFIX + ".".join(filter(None, (place, rest)))] = weight
    return found, renamed


def place_of(part: str, parts: Iterable[str]) -> str | None:
    """The name that a part of another version's network has in this one, or None where it is not certain."""
    parts = list(parts)
    if part in parts:
        return part
    pieces = part.split(".")
    for start in range(1, len(pieces)):
        ending = ".".join(pieces[start:])
        fitting = [name for name in parts if name == ending or name.endswith(f".{ending}")]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def settings_of_today(
    settings: Mapping[str, Any], renamed: Mapping[str, str | None], weights: Iterable[str]
) -> dict[str, Any]:
    """A LoRA's settings in the names that the network's parts have now.

    Only what names whole paths has to change: target modules and patterns of ranks that are regular expressions or
    paths of an earlier version. They are evaluated against the old names, which they were written for.

    Args:
        settings: fields of peft's `LoraConfig`.
        renamed: from old names to new ones, as `weights_of_today` returns them.
        weights: the weights' new names.
    """
    new = dict(settings)
    if all(place == old for old, place in renamed.items()):
        return new
    targets = settings.get("target_modules")
    if isinstance(targets, str) or any("." in target for target in targets or ()):
        adapted = {_split(key.removeprefix(_PREFIX))[0] for key in weights if ".lora_" in key}
        holders = [parameter.rpartition(".")[0] for parameter in settings.get("target_parameters") or ()]
        new["target_modules"] = sorted(
            part for part in adapted if not any(f".{part}".endswith(f".{holder}") for holder in holders)
        )
        for field in ("exclude_modules", "layers_to_transform", "layers_pattern"):
            new.pop(field, None)
    if saved := settings.get("modules_to_save"):
        new["modules_to_save"] = [renamed.get(part) or part for part in saved]
    for field in ("rank_pattern", "alpha_pattern"):
        patterns = settings.get(field) or {}
        if any("." in pattern or "\\" in pattern for pattern in patterns):
            new[field] = {
                re.escape(place): patterns[key]
                for old, place in renamed.items()
                if place is not None and (key := _pattern(patterns, old)) is not None
            }
    return new


def _split(key: str) -> tuple[str, str]:
    """The part of the network that a weight belongs to, and the rest of the weight's name."""
    mark = _MARK.search(key)
    if mark is not None:
        return key[: mark.start()], key[mark.start() + 1 :]
    part, _, last = key.rpartition(".")
    return (part, last) if last in _OF_WEIGHTS else (key, "")


def _pattern(patterns: Mapping[str, Any], part: str) -> str | None:
    """The pattern that peft would choose for a part: the first that fits the end of its name."""
    return next((key for key in patterns if re.match(rf"(.*\.)?({key})$", part)), None)
