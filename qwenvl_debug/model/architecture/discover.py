"""How is an architecture found out? From a loaded model, or from a configuration alone.

A configuration is built into a network of transformers' own classes (or this project's, for the first generation) on
torch's meta device: every module and weight exists with its name and shape, and none has numbers. The counts are
therefore exact, take seconds even for the largest model, and need none of its weights.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from transformers import CONFIG_MAPPING, PreTrainedModel
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.architecture import shipped
from qwenvl_debug.model.architecture.budget import PictureRules
from qwenvl_debug.model.architecture.components import components
from qwenvl_debug.model.architecture.count import count
from qwenvl_debug.model.architecture.description import PARTS, Architecture, AttentionGroup, Kind, Part
from qwenvl_debug.model.architecture.figures import LanguageFigures, VisionFigures, figures
from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.families import Family, family_of
from qwenvl_debug.model.safety import check_config, read_json
from qwenvl_debug.model.source import ADAPTER, CONFIG, find
from qwenvl_debug.settings import read_settings

_PROCESSOR = ("preprocessor_config.json", "processor_config.json")
_ATTENTION = re.compile(r"^(?P<before>.*)\.(?P<layer>\d+)\.(?P<module>self_attn|attn|linear_attn)$")
_KINDS: dict[str, Kind] = {"linear_attention": "linear", "sliding_attention": "language sliding"}


def describe(
    model: DebugModel | str | os.PathLike[str] | Mapping[str, Any], *, name: str | None = None
) -> Architecture:
    """The architecture of a model.

    Args:
        model: a loaded model; or "micro", the name of a shipped configuration (see `shipped.names`), a folder that
            holds at least config.json, or a name on the hub; or the content of a config.json.
        name: what to call it; by default what was given.

    Returns:
        Its parts, counted; nothing of a configuration's weights is loaded.

    Raises:
        ModelLoadError: not found, not a supported Qwen-VL model, absurd sizes, or not among the models allowed here.
    """
    if isinstance(model, DebugModel):
        return _loaded(model, name)
    if isinstance(model, Mapping):
        return _configured(model, {}, name or "this configuration", "no preprocessor_config.json is at hand")
    shown = name or str(model)
    published = shipped.find(str(model))
    if published is not None:
        return _configured(published.config(), published.processor, shown, "published with the checkpoint")
    allowed = read_settings().models
    if allowed is not None and str(model) not in allowed and str(model) != "micro":
        raise ModelLoadError(f"“{model}” is not among the models allowed here: {', '.join(allowed)}.")
    folder, _ = find(model, local_files_only=False)
    if not (folder / CONFIG).is_file():
        base = read_json(folder / ADAPTER, shown).get("base_model_name_or_path")
        raise ModelLoadError(f"“{shown}” is a LoRA, which has no architecture of its own: describe its base, {base}.")
    processor = next((read_json(folder / file, shown) for file in _PROCESSOR if (folder / file).is_file()), {})
    return _configured(read_json(folder / CONFIG, shown), processor, shown, "from the checkpoint's own settings")


def build(config: Mapping[str, Any], name: str) -> tuple[PreTrainedModel, Family]:
    """The network of a configuration, without numbers, and its family.

    Args:
        config: the content of a config.json.
        name: what to call it in an error.

    Raises:
        ModelLoadError: see `describe`.
    """
    family = family_of(config, name)
    check_config(config, name)
    try:
        made = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
        with torch.device("meta"):
            return family.auto_class.from_config(made), family
    except Exception as error:  # transformers and torch each raise their own kinds
        raise ModelLoadError(f"“{name}” is broken: no network can be built from its {CONFIG}.") from error


def _configured(config: Mapping[str, Any], processor: Mapping[str, Any], name: str, limits: str) -> Architecture:
    network, family = build(config, name)
    vision, language = figures(network.config)
    return _architecture(network, family, name, "config", vision, language, _rules(vision, _area(processor), limits))


def _loaded(model: DebugModel, name: str | None) -> Architecture:
    network = model.network
    # Weights of 8 or 4 bits are packed, several to a number: their shapes are the configuration's alone.
    if not all(weight.is_floating_point() for weight in network.parameters()):
        network, _ = build(model.config.to_dict(), model.name)
    vision, language = figures(model.config)
    size = getattr(model.image_processor, "size", None) or {}
    area = size.get("shortest_edge"), size.get("longest_edge")
    rules = _rules(vision, area, "of the loaded model")
    return _architecture(network, model.generation, name or model.name, "loaded model", vision, language, rules)


def _architecture(
    network: PreTrainedModel,
    family: Family,
    name: str,
    origin: str,
    vision: VisionFigures,
    language: LanguageFigures,
    rules: PictureRules,
) -> Architecture:
    found = count(network)
    head = network.get_output_embeddings()
    tied = head is not None and head.weight is network.get_input_embeddings().weight
    total = sum(tally.parameters for tally in found.values())
    experts = found["language.experts"].parameters if "language.experts" in found else 0
    idle = experts // language.experts * (language.experts - language.chosen) if experts else 0
    return Architecture(
        name=name,
        family=family.title,
        model_type=network.config.model_type,
        origin=origin,
        total=total,
        active=total - idle,
        tied=tied,
        vision_layers=vision.depth,
        language_layers=language.layers,
        width=language.width,
        vocabulary=language.vocabulary,
        context=language.context,
        deepstack=vision.deepstack,
        components=components(found, vision, language, tied),
        attention=_attention(network, family, vision, language),
        rules=rules,
    )


def _attention(
    network: PreTrainedModel, family: Family, vision: VisionFigures, language: LanguageFigures
) -> tuple[AttentionGroup, ...]:
    """Every attention module by its name in the network; those that the family captures have a map."""
    shown = {*family.language_attention(network).values(), *family.vision_attention(network)}
    full: Kind = "language indexed" if family.choosing else "language full"
    groups: dict[tuple[Part, Kind, str, bool], list[int]] = defaultdict(list)
    for path, module in network.named_modules():
        match = _ATTENTION.match(path)
        if match is None:
            continue
        layer, seen = int(match["layer"]), module in shown
        part: Part = "vision" if "visual" in path else "language"
        if part == "vision":
            kind: Kind = "vision full" if layer in vision.full_blocks else "vision windowed"
        else:
            kind = full if seen else _KINDS.get(language.kinds[layer], "language other")
        groups[part, kind, f"{match['before']}.{{}}.{match['module']}", seen].append(layer)
    made = [
        AttentionGroup(part, kind, path, tuple(layers), *_heads(kind, vision, language), has_map)
        for (part, kind, path, has_map), layers in groups.items()
    ]
    order = list(PARTS)
    return tuple(sorted(made + _resampler(network, family, vision, language), key=lambda one: order.index(one.part)))


def _resampler(
    network: PreTrainedModel, family: Family, vision: VisionFigures, language: LanguageFigures
) -> list[AttentionGroup]:
    module = family.resampler(network)
    if module is None or vision.query_heads is None:
        return []
    path = next(name for name, other in network.named_modules() if other is module)
    heads = vision.query_heads
    return [
        AttentionGroup(
            part="connector",
            kind="resampler cross-attention",
            path=path,
            layers=(0,),
            heads=heads,
            kv_heads=heads,
            head_width=language.width // heads,
            has_map=True,
        )
    ]


def _heads(kind: Kind, vision: VisionFigures, language: LanguageFigures) -> tuple[int, int, int]:
    if kind.startswith("vision"):
        return vision.heads, vision.heads, vision.width // vision.heads
    if kind == "linear" and language.linear_heads:
        keys, values, width = language.linear_heads
        return values, keys, width
    return language.heads, language.kv_heads, language.head_width


def _rules(vision: VisionFigures, area: tuple[int | None, int | None], limits: str) -> PictureRules:
    least, most = area
    if vision.square is not None:
        least = most = vision.square**2
        limits = "fixed: every picture is stretched to one square"
    elif least is None or most is None:
        size = Qwen2VLImageProcessorPil.size
        least, most = size["shortest_edge"], size["longest_edge"]
        limits = "transformers' own, for the checkpoint gives none"
    return PictureRules(
        patch=vision.patch,
        merge=vision.merge,
        least=least,
        most=most,
        square=vision.square,
        queries=vision.queries,
        window=vision.window,
        limits=limits,
    )


def _area(processor: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Least and most area from a preprocessor_config.json, whose names have changed over the generations."""
    own = processor.get("image_processor") or processor
    size = own.get("size") or {}
    least = own.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels")
    most = own.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels")
    return least, most
