"""Qwen3.5, dense and mixture of experts: every fourth language layer has a softmax, the others a linear recurrence.

The linear layers (Gated DeltaNet) have no attention weights; `layer_types` in the configuration names them.
"""

from qwenvl_debug.model.families.family import Family

QWEN3_5 = Family(
    title="Qwen3.5",
    model_types=("qwen3_5", "qwen3_5_moe"),
    boxes="thousandths",  # as Qwen3-VL
    video="timed",
)
