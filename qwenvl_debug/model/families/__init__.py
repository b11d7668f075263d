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
from qwenvl_debug.model.families.qwen4_exp import QWEN4_EXP
from qwenvl_debug.model.families.qwen_vl_1 import QWEN_VL_1

FAMILIES = (QWEN_VL_1, QWEN2_VL, QWEN2_5_VL, QWEN3_VL, QWEN3_5, QWEN4_EXP)


def family_of(config: Mapping[str, Any], name: str) -> Family:
    """Choose the family that serves a checkpoint.

    Args:
        config: the content of its config.json.
        name: what to call the checkpoint in an error.

    Raises:
        ModelLoadError: a text-only Qwen, a model of another kind or of another vendor, or an unknown type.
    """
    model_type = config.get("model_type")
    served = [family for family in FAMILIES if model_type in family.model_types]
    for family in served:
        if family.sees(config):
            return family
    known = ", ".join(family.title for family in FAMILIES)
    if not isinstance(model_type, str) or not model_type:
        raise ModelLoadError(f"“{name}” does not say what kind of model it is (model_type in its config.json).")
    if not model_type.startswith(("qwen", "qvq")):
        raise ModelLoadError(
            f"“{name}” is not a Qwen model (its type is {model_type[:60]!r}), which is not supported: choose a "
            f"checkpoint of {known}."
        )
    if any(word in model_type for word in ("omni", "audio", "asr", "tts")):
        raise ModelLoadError(
            f"“{name}” is a Qwen model that also listens or speaks ({model_type}), which is not supported: choose one "
            f"that sees ({known})."
        )
    if served or not any(part in config for part in ("vision_config", "visual")):
        raise ModelLoadError(
            f"“{name}” is a text-only model ({model_type}) and cannot see a picture: choose a vision one ({known})."
        )
    raise ModelLoadError(
        f"“{name}” is a Qwen-VL of a type that this version does not know ({model_type[:60]}): update this program, or "
        f"choose one of {known}."
    )


__all__ = ["FAMILIES", "Family", "family_of"]
