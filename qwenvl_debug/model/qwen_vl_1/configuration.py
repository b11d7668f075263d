"""What the first Qwen-VL's config.json says: the sizes of its language model, vision tower and resampler.

The names of the fields are those of the published file, and the defaults are the published figures.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

QUERIES = 256
"""Tokens that the resampler makes of every picture; the architecture fixes it."""

QUERY_WIDTH = 128
"""Width of a head of the resampler, which the architecture fixes too."""


@strict
class QWenVisionConfig(PreTrainedConfig):
    """The block `visual` of config.json.

    Attributes:
        image_size: every picture is brought to this many pixels a side.
        patch_size: pixels a side of a patch.
        width: of the tower.
        layers: blocks of the tower.
        heads: of a block.
        mlp_ratio: how much wider a block is inside, rounded down.
        output_dim: width of the resampler and of what it hands to the language model.
        image_start_id: the token `<img>`; `</img>` and the padding between them follow it.
    """

    model_type = "qwen_visual"
    base_config_key = "visual"

    image_size: int = 448
    patch_size: int = 14
    width: int = 1664
    layers: int = 48
    heads: int = 16
    mlp_ratio: float = 4.9231
    output_dim: int = 4096
    image_start_id: int = 151857

    @property
    def side(self) -> int:
        """Patches a side of a picture."""
        return self.image_size // self.patch_size


@strict
class QWenConfig(PreTrainedConfig):
    """The whole of config.json.

    Attributes:
        vocab_size: rows of the embedding.
        hidden_size: width of the language model.
        num_hidden_layers: its layers.
        num_attention_heads: heads of a layer; each has its own keys.
        kv_channels: width of a head.
        intermediate_size: of both halves of the gated MLP together.
        rotary_emb_base: base of the rotary angles.
        seq_length: length of the training sequences; beyond it the two adjustments below begin.
        max_position_embeddings: the longest sequence.
        use_dynamic_ntk: whether the rotary base grows with the length of the prompt.
        use_logn_attn: whether queries grow with the logarithm of their position.
        layer_norm_epsilon: of every RMSNorm.
        no_bias: whether all linear maps but `c_attn` are without bias.
        visual: the vision tower and the resampler.
    """

    model_type = "qwen"
    sub_configs_defaults = {"visual": QWenVisionConfig}  # noqa: RUF012 - transformers' own way to declare it
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012

    vocab_size: int = 151936
    hidden_size: int = 4096
    num_hidden_layers: int = 32
    num_attention_heads: int = 32
    kv_channels: int = 128
    intermediate_size: int = 22016
    rotary_emb_base: float | int = 10000
    rotary_pct: float | int = 1.0
    seq_length: int = 2048
    max_position_embeddings: int = 8192
    use_dynamic_ntk: bool = True
    use_logn_attn: bool = True
    layer_norm_epsilon: float = 1e-6
    initializer_range: float = 0.02
    no_bias: bool = True
    use_cache: bool = True
    tie_word_embeddings: bool = False
    tokenizer_class: str | None = "QWenTokenizer"
    visual: dict | PreTrainedConfig | None = None

    def validate_architecture(self) -> None:
        """Refuse what no published checkpoint has, rather than compute something else.

        Raises:
            ValueError: rotary angles for a part of each head only, or heads that do not add up to the width.
        """
        if self.rotary_pct != 1.0:
            raise ValueError("A first-generation Qwen-VL turns the whole of each head: rotary_pct must be 1.0.")
        if self.kv_channels * self.num_attention_heads != self.hidden_size:
            raise ValueError("num_attention_heads times kv_channels must be hidden_size.")

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As every transformers configuration, but only for a model that sees.

        Raises:
            ValueError: a text-only Qwen, which shares this model type and differs by having no block `visual`.
        """
        if not config_dict.get("visual"):
            raise ValueError(
                "This is a text-only Qwen of the first generation, which cannot see a picture: its configuration has "
                "no `visual` block. Choose Qwen-VL or Qwen-VL-Chat."
            )
        return super().from_dict(config_dict, **kwargs)

    @property
    def head_dim(self) -> int:
        """Width of a head of the language model."""
        return self.kv_channels

    @property
    def image_start_id(self) -> int:
        """The token `<img>`, after which a picture's tokens stand."""
        return self.visual.image_start_id

    @property
    def image_end_id(self) -> int:
        """The token `</img>`, before which a picture's tokens stand."""
        return self.visual.image_start_id + 1

    @property
    def image_token_id(self) -> int:
        """The token that holds the place of a picture's tokens (`<imgpad>`)."""
        return self.visual.image_start_id + 2
