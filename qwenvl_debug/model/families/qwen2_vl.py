"""Qwen2-VL: dynamic resolution, full attention in the tower, M-RoPE in the language model."""

from qwenvl_debug.model.families.family import Family

QWEN2_VL = Family(
    title="Qwen2-VL",
    model_types=("qwen2_vl",),
    boxes="thousandths",  # section 3.2 of its report, arXiv 2409.12191: normalised within [0, 1000)
    video="joined",
)
