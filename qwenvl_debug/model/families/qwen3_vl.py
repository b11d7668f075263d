"""Qwen3-VL, dense and mixture of experts: interleaved M-RoPE, features of three tower blocks added to early layers."""

from qwenvl_debug.model.families.family import Family

QWEN3_VL = Family(
    title="Qwen3-VL",
    model_types=("qwen3_vl", "qwen3_vl_moe"),
    boxes="thousandths",  # its cookbook on spatial understanding: relative, 0 to 1000
    video="timed",
)
