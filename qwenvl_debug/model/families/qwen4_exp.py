"""Qwen4-Exp: every fourth language layer has a softmax, over tokens that the layer chooses for each row.

Those layers (`indexed_attention`) compare short blocks of earlier tokens first and let a row look at the best of them
and at the last few tokens only; everything else has exactly no weight, and a map shows it as 0. With a prompt shorter
than the layer's budget nothing is left out. The other layers are linear (Gated DeltaNet) and have no map. transformers
prepares the choice row by row in Python, which is slow for long prompts.
"""

from qwenvl_debug.model.families.family import Family

QWEN4_EXP = Family(
    title="Qwen4-Exp",
    model_types=("qwen4_exp",),
    softmax_kinds=("indexed_attention", "full_attention"),
    choosing=True,
    norm_name="hyper_connection_mixer",  # its residual stream is several streams side by side, mixed at the end
)
