"""How does config.json become the configuration that transformers builds a network from?

Two things that people's checkpoints say are put right, and told: a `model_type` of their own beside the architecture of
a published model (vLLM goes by the architecture, transformers by the type), and a precision that nothing is computed
in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from qwenvl_debug.model.families import FAMILIES

COMPUTED = ("float32", "float16", "bfloat16")
"""The precisions that a network is computed in."""

_LEFT_OUT = ("quantization_config", "compression_config", "transformers_weights", "fusion_config")
"""What a network's configuration is not given: how weights are stored is told apart from it, and the last two would
have transformers read another file, or put other modules in place of the network's."""


def as_known(config: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The content of a config.json with what transformers needs in place of what it does not know.

    Returns:
        The content, and a sentence for each thing that was changed.
    """
    known, notes = dict(config), []
    served = {model_type for family in FAMILIES for model_type in family.model_types}
    if known.get("model_type") not in CONFIG_MAPPING and "vision_config" in known:
        by_name = {name: kind for kind, name in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES.items() if kind in served}
        for architecture in known.get("architectures") or ():
            if architecture in by_name:
                notes.append(
                    f"config.json calls the type of the model {str(known.get('model_type'))[:60]!r}; it was read as "
                    f"{by_name[architecture]}, which its architecture {architecture} is."
                )
                known["model_type"] = by_name[architecture]
                break
    for part in (known, *(one for one in known.values() if isinstance(one, dict))):
        for key in ("dtype", "torch_dtype"):
            said = part.get(key)
            if isinstance(said, str) and said.removeprefix("torch.") not in COMPUTED:
                part.pop(key)
                if part is known:
                    notes.append(f"config.json gives the precision {said[:60]!r}, which nothing is computed in.")
    return known, tuple(notes)


def network_config(config: Mapping[str, Any], quantisation: Mapping[str, Any] | None = None) -> PreTrainedConfig:
    """The configuration to build a network from.

    Args:
        config: the content of config.json, as `as_known` gives it.
        quantisation: how the weights in the files are quantised, or None where the network is to have whole weights.
    """
    content = {key: value for key, value in config.items() if key not in _LEFT_OUT}
    if isinstance(text := content.get("text_config"), Mapping):
        content["text_config"] = {key: value for key, value in text.items() if key != "quantization_config"}
    built = CONFIG_MAPPING[content["model_type"]].from_dict(content)
    if quantisation is not None:
        built.quantization_config = dict(quantisation)
    return built
