"""Does every weight of a checkpoint have its place in the network, and every place its weight?

transformers fills what is missing with random numbers and drops what is left over, and answers all the same. So both
lists are looked at here. What is left over is harmless where it can be computed again or is left out on purpose (tables
of rotary positions, layers that guess tokens ahead); it is refused where it was learned: the answer would be another
model's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.safetensors_header import Entry

_HARMLESS = {
    r"(rotary_emb|rotary_pos_emb)\.(original_)?inv_freq$": "tables of rotary positions, which are computed again",
    r"(cos|sin)_cached$": "tables of rotary positions, which are computed again",
    r"(^|\.)position_ids$": "numbers of positions, which are computed again",
    r"(^|\.)attn\.(masked_)?bias$": "causal masks, which are computed again",
    r"\._extra_state$": "states of the training program",
    r"(^|\.)total_(ops|params)$": "counts of a profiler",
    r"\.(k|v|q|prob)_scale$": "scales of a quantised key-value cache, which is not used here",
}
"""What may be left over, and what it is."""

_GUESSING = "layers that guess tokens ahead (MTP), which transformers leaves out on purpose"

_SCALES = (
    r"scale(_inv|s)?$|\.(qweight|qzeros|scales|g_idx|biases|absmax|quant_map|SCB|zeros|weight_packed|weight_shape"
    r"|weight_zero_point)\b|quant_state"
)

_LEARNED = (
    (r"\.(lora_|dora_|magnitude_vector)|\blora_(A|B)\b", "matrices of a LoRA that was never merged into the model"),
    (r"experts\.\d+\.", "matrices of single experts, which transformers does not join for this generation"),
    (
        _SCALES,
        "scales of quantised weights, for which config.json names no quantisation that uses them",
    ),
    (r"\.layers\.(\d+)\.", "layers"),
    (r"visual\.blocks\.(\d+)\.", "blocks of the vision tower"),
)
"""What must not be left over, the most telling first. The last two are told with the numbers of both sides."""


@dataclass(frozen=True)
class Loading:
    """What came of reading a checkpoint's weights.

    Attributes:
        precision: how the weights are held, such as "float32" or "FP8 in blocks of 128 x 128 expanded to bfloat16".
        stored: how they are stored where they are quantised, or None.
        unused: weights in the files that the network has no place for and does not need, by what they are.
        filled: weights that are not in the files and are shared with others, as config.json says.
        from_adapter: what else of the model was read from a LoRA's own folder, such as "chat template".
        notes: sentences on what else a person should know of this model.
    """

    precision: str
    stored: str | None = None
    unused: Mapping[str, tuple[str, ...]] | None = None
    filled: tuple[str, ...] = ()
    from_adapter: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything, JSON-ready; of each kind of unused weights the number and the first names."""
        unused = {what: {"count": len(names), "first": list(names[:3])} for what, names in (self.unused or {}).items()}
        return {
            "precision": self.precision,
            "stored": self.stored,
            "unused": unused,
            "missing": [],  # a checkpoint that misses a weight is refused
            "shared": list(self.filled),
            "from_adapter": list(self.from_adapter),
            "notes": list(self.notes),
        }


def check_weights(
    network: PreTrainedModel,
    told: Mapping[str, Iterable[Any]],
    held: Mapping[str, Entry],
    config: Mapping[str, Any],
    name: str,
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Look at what transformers told of reading a checkpoint.

    Args:
        network: as it was read.
        told: `output_loading_info`: missing_keys, unexpected_keys, mismatched_keys.
        held: every weight in the files, where they are safetensors.
        config: the content of config.json.
        name: what to call the checkpoint in an error.

    Returns:
        The harmless weights that are left over, by what they are; and those that share another's numbers because the
        files do not hold them.

    Raises:
        ModelLoadError: weights are missing, have another shape, or are left over and were learned.
    """
    missing, unexpected = sorted(told["missing_keys"]), sorted(told["unexpected_keys"])
    misshapen = sorted(told["mismatched_keys"], key=str)
    learned = [one for one in unexpected if _harmless(network, one) is None]
    if misshapen:
        raise ModelLoadError(_misshapen(misshapen, name))
    if missing and not any(re.search(_SCALES, one) for one in learned):
        raise ModelLoadError(_missing(network, missing, learned, held, config, name))
    if learned:
        raise ModelLoadError(_left_over(network, learned, config, name))
    unused: dict[str, list[str]] = {}
    places = set(network.state_dict())
    for one in sorted({*unexpected, *(weight for weight in held if weight not in places)}):
        if (why := _harmless(network, one)) is not None:
            unused.setdefault(why, []).append(one)
    shared = (one for one in network.all_tied_weights_keys or () if held and one in places and one not in held)
    return {what: tuple(names) for what, names in unused.items()}, tuple(sorted(shared))


def tying_note(network: PreTrainedModel, config: Mapping[str, Any]) -> str | None:
    """A sentence where config.json says that two weights are one, and the files hold two that differ."""
    words, output = network.get_input_embeddings(), network.get_output_embeddings()
    if output is None or words.weight is output.weight or not _tied(config):
        return None
    return (
        "config.json says that the output layer shares the word embeddings, but the files hold two that differ: both "
        "are used as they are, as in transformers; other programs may use the embeddings for both."
    )


def _tied(config: Mapping[str, Any]) -> bool:
    text = config.get("text_config")
    said = config.get("tie_word_embeddings", text.get("tie_word_embeddings") if isinstance(text, Mapping) else None)
    return bool(said)


def _harmless(network: PreTrainedModel, weight: str) -> str | None:
    for pattern, what in _HARMLESS.items():
        if re.search(pattern, weight):
            return what
    on_purpose = getattr(network, "_keys_to_ignore_on_load_unexpected", None) or ()
    if any(re.search(pattern, weight) for pattern in on_purpose):
        return _GUESSING
    return None


def _misshapen(found: Sequence[Any], name: str) -> str:
    first = found[0]
    if isinstance(first, (tuple, list)) and len(first) == 3:
        weight, theirs, ours = first
        shapes = f": {weight} is {_shape(theirs)} in the files and {_shape(ours)} by config.json"
    else:
        shapes = f" ({first})"
    return f"“{name}” is broken: {_count(found)} another shape than config.json describes{shapes}."


def _missing(
    network: PreTrainedModel,
    missing: Sequence[str],
    learned: Sequence[str],
    held: Mapping[str, Entry],
    config: Mapping[str, Any],
    name: str,
) -> str:
    count = "1 weight is" if len(missing) == 1 else f"{len(missing)} weights are"
    said = f"“{name}” is broken: {count} missing ({missing[0]})"
    if any(re.search(_LEARNED[1][0], one) for one in learned) and all("experts" in one for one in missing):
        return f"“{name}” cannot be read: it holds {_LEARNED[1][1]} ({learned[0]})."
    if all("visual" in one for one in missing) and not any("visual" in one for one in held):
        return f"“{name}” is incomplete: its files hold no vision tower ({missing[0]}){_architecture(network, config)}."
    if learned:
        said += f", and {_count(learned)} no place in the network ({learned[0]})"
    return f"{said}{_architecture(network, config)}."


def _left_over(network: PreTrainedModel, learned: Sequence[str], config: Mapping[str, Any], name: str) -> str:
    text, what, shown = network.config.get_text_config(), None, learned[0]
    for pattern, meaning in _LEARNED:
        found = [(one, match) for one in learned if (match := re.search(pattern, one))]
        if not found:
            continue
        shown, match = found[0]
        if meaning in ("layers", "blocks of the vision tower"):
            places = [int(match.group(1)) for _, match in found]
            ours = text.num_hidden_layers if meaning == "layers" else _depth(network)
            if ours is None or min(places) < ours:  # a part of a layer that the network does not have
                continue
            shown = next(one for one, match in found if int(match.group(1)) == max(places))
            what = f"{max(places) + 1} {meaning}, and config.json describes {ours}"
        else:
            what = meaning
        break
    what = what or "parts that this network does not have"
    return (
        f"“{name}” is refused: its files hold {what} ({len(learned)} weights such as {shown}), and without them it "
        f"would be another model{_architecture(network, config)}."
    )


def _architecture(network: PreTrainedModel, config: Mapping[str, Any]) -> str:
    """What config.json says the weights were trained as, where that is another network than this."""
    said = [one for one in config.get("architectures") or () if isinstance(one, str)]
    if not said or type(network).__name__ in said:
        return ""
    return f"; config.json names the architecture {said[0][:80]}, not {type(network).__name__}"


def _depth(network: PreTrainedModel) -> int | None:
    vision = getattr(network.config, "vision_config", None)
    return getattr(vision, "depth", None)


def _count(names: Sequence[Any]) -> str:
    return "1 weight has" if len(names) == 1 else f"{len(names)} weights have"


def _shape(shape: Any) -> str:
    return " x ".join(map(str, tuple(shape) if isinstance(shape, (tuple, list, torch.Size)) else (shape,)))
