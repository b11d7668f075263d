"""How is a LoRA applied? Its small matrices are multiplied out and added to the model it was made for.

The merged model is an ordinary one: the same modules, the same attention. peft does the arithmetic. It is an extra
package, and it gets a configuration that is copied here field by field, for a hostile one could name modules to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from transformers import PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.safety import read_json
from qwenvl_debug.model.source import ADAPTER

WEIGHTS = "adapter_model.safetensors"

_FIELDS = (
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "fan_in_fan_out",
    "bias",
    "use_rslora",
    "use_dora",
    "modules_to_save",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    "target_parameters",
)


@dataclass(frozen=True)
class Adapter:
    """A LoRA: where it lies, which model it was made for, and how it is laid out."""

    folder: Path
    base: str
    settings: Mapping[str, Any]


def read_adapter(folder: Path, name: str) -> Adapter:
    """What the folder of a LoRA says.

    Raises:
        ModelLoadError: it is another kind of adapter, names no base, has no safetensors, or peft is not installed.
    """
    content = read_json(folder / ADAPTER, name)
    kind, base = content.get("peft_type"), content.get("base_model_name_or_path")
    if kind != "LORA":
        raise ModelLoadError(
            f"“{name}” is an adapter of the kind {kind!r}, and only LoRA can be applied: merge it first."
        )
    if not isinstance(base, str) or not base.strip():
        raise ModelLoadError(
            f"“{name}” is a LoRA that does not name the model it was made for: write it into {ADAPTER} as "
            "base_model_name_or_path."
        )
    if not (folder / WEIGHTS).is_file():
        raise ModelLoadError(f"“{name}” is incomplete: it is a LoRA without {WEIGHTS} (.bin files are not read).")
    if find_spec("peft") is None:
        raise ModelLoadError(
            f"“{name}” is a LoRA of “{base}”; applying it takes the package peft: pip install 'qwenvl-debug[models]'."
        )
    settings = {field: content[field] for field in _FIELDS if content.get(field) is not None}
    return Adapter(folder, base, settings)


def apply(network: PreTrainedModel, adapter: Adapter, name: str) -> None:
    """Add a LoRA to a network's weights, in place.

    Raises:
        ModelLoadError: it does not belong to this network.
    """
    from peft import LoraConfig, PeftModel, set_peft_model_state_dict

    try:
        wrapped = PeftModel(network, LoraConfig(**adapter.settings, inference_mode=True, init_lora_weights=True))
        told = set_peft_model_state_dict(wrapped, load_file(adapter.folder / WEIGHTS))
        wrong = list(told.unexpected_keys) + [key for key in told.missing_keys if "lora_" in key]
        if not wrong:
            wrapped.merge_and_unload(safe_merge=True)
    except Exception as error:  # peft and torch each raise their own kinds on what does not match
        raise ModelLoadError(f"“{name}” does not belong to “{adapter.base}”: its LoRA cannot be applied.") from error
    if wrong:
        raise ModelLoadError(
            f"“{name}” does not belong to “{adapter.base}”: {len(wrong)} of its weights have no place ({min(wrong)})."
        )
