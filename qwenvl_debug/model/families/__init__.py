"""Which generations of Qwen-VL are supported: one module each, and this registry, chosen by `model_type`.

To add one, write its module and add it to `FAMILIES`; nothing else names a generation.
"""

from collections.abc import Mapping
from typing import Any

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.families.family import Family
from qwenvl_debug.model.families.qwen2_5_vl import QWEN2_5_VL
from qwenvl_debug.model.families.qwen2_vl import QWEN2_VL
from qwenvl_debug.model.families.qwen3_5 import QWEN3_5
from qwenvl_debug.model.families.qwen3_vl import QWEN3_VL

FAMILIES = (QWEN2_VL, QWEN2_5_VL, QWEN3_VL, QWEN3_5)

_BY_MODEL_TYPE = {model_type: family for family in FAMILIES for model_type in family.model_types}


def family_of(config: Mapping[str, Any], name: str) -> Family:
    """Choose the family that serves a checkpoint.

    Args:
        config: the content of its config.json.
        name: what to call the checkpoint in an error.

    Raises:
        ModelLoadError: a text-only Qwen, or a model type that is not supported.
    """
    model_type = config.get("model_type")
    if model_type in _BY_MODEL_TYPE:
        return _BY_MODEL_TYPE[model_type]
    known = ", ".join(family.title for family in FAMILIES)
    sees = any(part in config for part in ("vision_config", "visual"))
    if isinstance(model_type, str) and model_type.startswith("qwen") and not sees:
        raise ModelLoadError(
            f"“{name}” is a text-only model ({model_type}) and cannot see a picture: choose a vision one ({known})."
        )
    raise ModelLoadError(
        f"“{name}” is of model type {model_type!r}, which is not supported: choose a checkpoint of {known}."
    )


__all__ = ["FAMILIES", "Family", "family_of"]
