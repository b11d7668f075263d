"""The first Qwen-VL as a transformers model: the tower's vectors put in place of a prompt's picture tokens.

Written for transformers' own bases (Cache, GenerationMixin, AttentionInterface), after the published description and
numbers recorded from the original code. Pictures come in as `pixel_values`; the original opens paths that it finds
in the prompt, which this does not.

No tensor here is made outside the published weights: angles and factors of positions are computed at each step, so
there is no buffer that loading would have to rebuild.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.masking_utils import create_causal_mask
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from qwenvl_debug.model.qwen_vl_1.configuration import QUERIES, QWenConfig
from qwenvl_debug.model.qwen_vl_1.language import QWenAttention, QWenBlock, QWenRMSNorm, logn, ntk_alpha, rotary
from qwenvl_debug.model.qwen_vl_1.vision import QWenVisionTower, initialise


class QWenPreTrainedModel(PreTrainedModel):
    """What transformers must know to load, save, spread and observe the model."""

    config: QWenConfig
    config_class = QWenConfig
    base_model_prefix = "transformer"
    _no_split_modules = ("QWenBlock", "VisualBlock", "Resampler")
    _skip_keys_device_placement = ("past_key_values",)
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _can_record_outputs = {  # noqa: RUF012 - transformers' own way to declare it
        "hidden_states": QWenBlock,
        "attentions": QWenAttention,
    }

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Random weights for what no checkpoint gives; transformers' helpers leave alone what was loaded."""
        super()._init_weights(module)
        initialise(module)


class QWenModel(QWenPreTrainedModel):
    """Language model and vision tower, without the last step to the vocabulary."""

    def __init__(self, config: QWenConfig) -> None:
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        self.h = nn.ModuleList(QWenBlock(config, layer) for layer in range(config.num_hidden_layers))
        self.ln_f = QWenRMSNorm(config.hidden_size, config.layer_norm_epsilon)
        self.visual = QWenVisionTower._from_config(config.visual)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding of the vocabulary."""
        return self.wte

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embedding of the vocabulary."""
        self.wte = value

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        use_cache: bool | None = None,
        prefill_length: int | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """See `QWenLMHeadModel.forward`."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give either input_ids or inputs_embeds.")
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        if inputs_embeds is None:
            inputs_embeds = self.wte(input_ids)
            if not past:
                inputs_embeds = self._with_pictures(inputs_embeds, input_ids, pixel_values)
        # Positions count from the first token of the row, padding included, as in the original.
        positions = past + torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device)
        alpha = self._alpha(past_key_values, past, prefill_length or inputs_embeds.shape[1])
        angles = rotary(positions, self.config.head_dim, self.config.rotary_emb_base, alpha)
        grows = self.config.use_logn_attn and not self.training
        causal_mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
        )
        hidden_states = inputs_embeds
        for block in self.h:
            hidden_states = block(
                hidden_states,
                attention_mask=causal_mask,
                angles=angles,
                sharpen=logn(positions, self.config.seq_length) if grows else None,
                past_key_values=past_key_values,
                **kwargs,
            )
        return BaseModelOutputWithPast(last_hidden_state=self.ln_f(hidden_states), past_key_values=past_key_values)

    def _alpha(self, cache: Cache | None, past: int, length: int) -> float:
        """The factor of the rotary base. It is the prompt's, so it is kept beside the prompt's keys: on the cache."""
        if past:
            return getattr(cache, "qwen_ntk_alpha", 1.0)
        dynamic = self.config.use_dynamic_ntk and not self.training
        alpha = ntk_alpha(length, self.config.seq_length) if dynamic else 1.0
        if cache is not None:
            cache.qwen_ntk_alpha = alpha
        return alpha

    def _with_pictures(
        self, embeds: torch.Tensor, input_ids: torch.Tensor, pixel_values: torch.Tensor | None
    ) -> torch.Tensor:
        """Put the vectors of the pictures, in their order, over what stands between `<img>` and `</img>`."""
        inside = picture_tokens(input_ids, self.config)
        spans, pictures = int(inside.sum()) // QUERIES, 0 if pixel_values is None else len(pixel_values)
        if spans != pictures:
            raise ValueError(
                f"The prompt has {spans} places of {QUERIES} tokens between <img> and </img>, and pixel_values has "
                f"{pictures} pictures: give one for each."
            )
        if not pictures:
            return embeds
        features = self.visual(pixel_values).last_hidden_state.to(embeds)
        return embeds.masked_scatter(inside[..., None], features)


class QWenLMHeadModel(QWenPreTrainedModel, GenerationMixin):
    """Qwen-VL and Qwen-VL-Chat, under the name that their config.json gives as architecture."""

    def __init__(self, config: QWenConfig) -> None:
        super().__init__(config)
        self.transformer = QWenModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        pixel_values: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        prefill_length: int | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Predict the next token after each token.

        Args:
            input_ids: [batch, tokens].
            pixel_values: [pictures, 3, image_size, image_size], one for each place in the prompt, in their order.
                Used with the first tokens of a sequence only.
            attention_mask: [batch, tokens so far], 0 on padding.
            past_key_values: what earlier calls left behind.
            inputs_embeds: [batch, tokens, width] instead of input_ids; pictures are then in there already.
            labels: [batch, tokens], -100 where nothing is learned; adds the loss.
            use_cache: whether to leave keys and values for the next call.
            logits_to_keep: only the last so many logits (0: all), or these indices.
            prefill_length: how much of a fresh sequence is prompt, where an answer is fed in along with it; the
                rotary base is then that of the prompt alone, as when the answer is generated.

        Returns:
            Logits [batch, tokens kept, vocab_size], the cache, and with `output_attentions=True` under eager
            attention per layer [batch, heads, tokens, tokens so far].

        Raises:
            ValueError: the pictures do not match the prompt, or both or neither of input_ids and inputs_embeds.
        """
        outputs = self.transformer(
            input_ids=input_ids,
            pixel_values=pixel_values,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            prefill_length=prefill_length,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


def picture_tokens(input_ids: torch.Tensor, config: QWenConfig) -> torch.Tensor:
    """Which tokens stand for a picture: the 256 between an `<img>` and the `</img>` right after them.

    Args:
        input_ids: int64 [batch, tokens].
        config: says which tokens these are.

    Returns:
        bool [batch, tokens].
    """
    inside = torch.zeros_like(input_ids, dtype=torch.bool)
    if input_ids.shape[1] < QUERIES + 2:
        return inside
    starts = input_ids[:, : -QUERIES - 1] == config.image_start_id
    starts &= input_ids[:, QUERIES + 1 :] == config.image_end_id
    for row, start in starts.nonzero().tolist():
        inside[row, start + 1 : start + 1 + QUERIES] = True
    return inside
