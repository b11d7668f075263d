"""How is a LoRA applied? Its small matrices are multiplied out and added to the model it was made for.

The merged model is an ordinary one: the same modules, the same attention. Where the model's own weights are quantised,
merging would round them anew, so the matrices stay beside them, as they did in training. peft does the arithmetic. It
is an extra package, and it gets a configuration that is copied here field by field, for a hostile one could name
modules to import.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.lora_names import settings_of_today, weights_of_today
from qwenvl_debug.model.safety import read_json
from qwenvl_debug.model.source import ADAPTER

WEIGHTS = "adapter_model.safetensors"

_APPLIED = (
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "fan_in_fan_out",
    "bias",
    "use_rslora",
    "use_dora",
    "lora_bias",
    "modules_to_save",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "target_parameters",
    "trainable_token_indices",
    "ensure_weight_tying",
)
"""Settings of a LoRA that peft is given."""

_OF_TRAINING = (
    "peft_type",
    "task_type",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "auto_mapping",
    "peft_version",
    "init_lora_weights",
    "lora_dropout",
    "megatron_config",
    "megatron_core",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "velora_config",
    "runtime_config",
    "qalora_group_size",
)
"""Settings that change how a LoRA is trained or found, and not what it computes. Any other one is refused by name."""

_BASE_AS_IT_IS = (True, False, None, "gaussian", "eva", "orthogonal", "mica")
"""Ways to begin (`init_lora_weights`) that leave the model's own weights as they are."""

_BASE_LESS_A_PART = ("pissa", "olora")
"""Ways to begin that take from the model's weights what the LoRA begins with, computed from those weights alone: peft
does it again, to the same numbers."""

_CONVERT = (
    "merge it where it was trained (merge_and_unload) and load that, or convert it there (save_pretrained with "
    "path_initial_model_for_weight_conversion)"
)


@dataclass(frozen=True)
class Adapter:
    """A LoRA: where it lies, which model it was made for (and at which commit), and how it is laid out."""

    folder: Path
    base: str
    revision: str | None
    settings: Mapping[str, Any]

    def brings(self, *files: str) -> bool:
        """Whether one of these files lies in its folder."""
        return any((self.folder / file).is_file() for file in files)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds the weights of a LoRA and no whole ones, whatever else lies beside them."""
    return (folder / ADAPTER).is_file() and all(path.name == WEIGHTS for path in folder.glob("*.safetensors"))


def read_adapter(folder: Path, name: str) -> Adapter:
    """What the folder of a LoRA says.

    Raises:
        ModelLoadError: it is another kind of adapter, one that cannot be applied exactly, names no base, has no
            safetensors, or peft is not installed.
    """
    content = read_json(folder / ADAPTER, name)
    kind, base = content.get("peft_type"), content.get("base_model_name_or_path")
    if kind != "LORA":
        raise ModelLoadError(
            f"“{name}” is an adapter of the kind {kind!r}, and only LoRA can be applied: merge it first."
        )
    if not (folder / WEIGHTS).is_file():
        raise ModelLoadError(f"“{name}” is incomplete: it is a LoRA without {WEIGHTS} (.bin files are not read).")
    if find_spec("peft") is None:
        raise ModelLoadError(
            f"“{name}” is a LoRA of “{base}”; applying it takes the package peft: pip install 'qwenvl-debug[models]'."
        )
    other = sorted(key for key in content if key not in (*_APPLIED, *_OF_TRAINING) and content[key])
    if other:
        raise ModelLoadError(
            f"“{name}” is a LoRA with the setting {other[0]}, which this program does not apply: merge it where it was "
            "trained (merge_and_unload) and load that."
        )
    begin = content.get("init_lora_weights", True)
    if begin not in (*_BASE_AS_IT_IS, *_BASE_LESS_A_PART):
        raise ModelLoadError(
            f"“{name}” began with init_lora_weights={begin!r}, which changes the model's own weights in a way that "
            f"cannot be repeated exactly: {_CONVERT}."
        )
    settings = {field: content[field] for field in _APPLIED if content.get(field) is not None}
    settings["init_lora_weights"] = begin if begin in _BASE_LESS_A_PART else True
    revision = content.get("revision")
    return Adapter(
        folder,
        base.strip() if isinstance(base, str) else "",
        revision if isinstance(revision, str) and revision else None,
        settings,
    )


def apply(network: PreTrainedModel, adapter: Adapter, name: str) -> tuple[str, ...]:
    """Add a LoRA to a network's weights, in place.

    Returns:
        A sentence for each thing that a person should know of how it was applied.

    Raises:
        ModelLoadError: it does not belong to this network.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # which peft imports, needed or not; see `few_bits`
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict

    spread = set((getattr(network, "hf_device_map", None) or {}).values())
    if len(spread) > 1 and spread & {"cpu", "disk"}:
        raise ModelLoadError(
            f"“{name}” is a LoRA, which cannot be applied to weights that wait in main memory or on disk: load it "
            "where the whole model fits, or merge it where it was trained (merge_and_unload)."
        )
    quantised = getattr(network, "is_quantized", False)
    if quantised and adapter.settings["init_lora_weights"] in _BASE_LESS_A_PART:
        raise ModelLoadError(
            f"“{name}” began with init_lora_weights={adapter.settings['init_lora_weights']!r}, which changes the "
            f"model's own weights, and those of “{adapter.base}” are quantised: {_CONVERT}."
        )
    try:
        weights, renamed = weights_of_today(load_file(adapter.folder / WEIGHTS), network)
    except Exception as error:  # safetensors raises its own kinds
        raise ModelLoadError(f"“{name}” is broken: its {WEIGHTS} cannot be read.") from error
    homeless = [old for old, new in renamed.items() if new is None]
    if homeless:
        raise ModelLoadError(
            f"“{name}” does not belong to “{adapter.base}”: {len(homeless)} of its weights have no place in it "
            f"({homeless[0]})."
        )
    try:
        _resize(network, weights)
        settings = settings_of_today(adapter.settings, renamed, weights)
        wrapped = PeftModel(network, LoraConfig(**settings, inference_mode=True))
        told = set_peft_model_state_dict(wrapped, weights)
    except Exception as error:  # peft and torch each raise their own kinds on what does not match
        raise ModelLoadError(
            f"“{name}” does not belong to “{adapter.base}”: its LoRA cannot be applied ({_reason(error)})."
        ) from error
    if told.unexpected_keys:
        raise ModelLoadError(
            f"“{name}” does not belong to “{adapter.base}”: {len(told.unexpected_keys)} of its weights have no place "
            f"in it ({_bare(min(told.unexpected_keys))})."
        )
    missing = [key for key in told.missing_keys if _of_adapter(key)]
    if missing:
        raise ModelLoadError(
            f"“{name}” is incomplete: {len(missing)} weights that its {ADAPTER} asks for are not in {WEIGHTS} "
            f"({_bare(min(missing))})."
        )
    if quantised:
        wrapped.eval().requires_grad_(False)
        return (*_told(renamed), "The LoRA stays beside the quantised weights, which merging would round anew.")
    try:
        wrapped.merge_and_unload(safe_merge=True)
    except Exception as error:  # peft finds weights that are no numbers
        raise ModelLoadError(f"“{name}” is broken: its LoRA makes weights that are no numbers.") from error
    return _told(renamed)


def _told(renamed: Mapping[str, str | None]) -> tuple[str, ...]:
    moved = next(((old, new) for old, new in renamed.items() if old != new), None)
    if moved is None:
        return ()
    return (f"The LoRA names its weights as another version of transformers does: {moved[0]} went to {moved[1]}.",)


def _resize(network: PreTrainedModel, weights: Mapping[str, torch.Tensor]) -> None:
    """Make room for the tokens that were added in training, whose embeddings the adapter brings."""
    table = re.compile(r"\.(embed_tokens|lm_head)(\.token_adapter)?(\.base_layer)?\.weight$")
    rows = {weight.shape[0] for key, weight in weights.items() if table.search(key)}
    if len(rows) == 1 and (count := rows.pop()) != network.get_input_embeddings().weight.shape[0]:
        network.resize_token_embeddings(count, mean_resizing=False)


def _of_adapter(key: str) -> bool:
    return any(part in key for part in ("lora_", "modules_to_save", "trainable_tokens"))


def _bare(key: str) -> str:
    """A weight's name without what peft adds to it."""
    return key.removeprefix("base_model.model.").replace(".default.", ".")


def _reason(error: Exception) -> str:
    said = _bare(" ".join(str(error).split()).removeprefix("Error(s) in loading state_dict for PeftModel: "))
    said = said.replace("base_model.model.", "")
    return said[:160] + "…" if len(said) > 160 else said
