"""How are words and pictures prepared for a checkpoint? With its own tokenizer, chat template and image processor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from qwenvl_debug.errors import ModelLoadError, QwenVLDebugError
from qwenvl_debug.model.chat_template import check_chat_template
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.safety import read_json


def read_tokenizer(
    folder: Path,
    name: str,
    family: Family,
    config: PreTrainedConfig | None = None,
    template_folder: Path | None = None,
) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer with its chat template.

    Args:
        folder: where it lies.
        name: what to call the checkpoint in an error.
        family: the generation, which may read its own.
        config: the network's configuration, where the folder's config.json is not to be read (or there is none).
        template_folder: where the chat template lies, if somewhere else.

    Raises:
        ModelLoadError: missing, broken, or without a chat template that ends.
    """
    if family.read_tokenizer is not None:
        return _read(family.read_tokenizer, folder, name, "its tokenizer cannot be read")
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ModelLoadError(f"“{name}” is incomplete: it holds no tokenizer (tokenizer.json).")
    tokenizer = _read(partial(_auto_tokenizer, config=config), folder, name, "its tokenizer cannot be read")
    template = tokenizer.chat_template
    place = template_folder or folder
    if place != folder:
        template = _template(place, name, config)
    if template is None and (place / "chat_template.json").is_file():
        template = read_json(place / "chat_template.json", name).get("chat_template")
    if isinstance(template, dict):  # several, by name
        template = template.get("default")
    if not isinstance(template, str):
        raise ModelLoadError(f"“{name}” has no chat template: choose a checkpoint tuned to answer (Instruct).")
    words = {key: str(word) for key, word in tokenizer.special_tokens_map.items() if isinstance(word, str)}
    check_chat_template(template, words, name)
    tokenizer.chat_template = template
    return tokenizer


def has_template(folder: Path) -> bool:
    """Whether a tokenizer's own settings hold a chat template."""
    try:
        return bool(read_json(folder / "tokenizer_config.json", folder.name).get("chat_template"))
    except ModelLoadError:
        return False


def _template(folder: Path, name: str, config: PreTrainedConfig | None) -> Any:
    """The chat template that lies beside other parts than the tokenizer in use."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    if not (folder / "tokenizer_config.json").is_file():
        return None
    return _read(partial(_auto_tokenizer, config=config), folder, name, "its tokenizer cannot be read").chat_template


def read_image_processor(folder: Path, name: str, family: Family, max_image_tokens: int | None) -> Any:
    """The checkpoint's image processor.

    Args:
        folder: where it lies.
        name: what to call the checkpoint in an error.
        family: the generation, which may read its own.
        max_image_tokens: pictures that would take more tokens are reduced until they fit; None for the checkpoint's
            own limit. A generation that gives every picture the same number of tokens has no use for it.

    Raises:
        ModelLoadError: missing or broken.
    """
    if family.read_image_processor is not None:
        return _read(family.read_image_processor, folder, name, "its pictures cannot be prepared")
    if not any((folder / file).is_file() for file in ("preprocessor_config.json", "processor_config.json")):
        raise ModelLoadError(f"“{name}” is incomplete: it holds no preprocessor_config.json.")
    processor = _read(
        lambda folder, _: Qwen2VLImageProcessorPil.from_pretrained(folder),
        folder,
        name,
        "its preprocessor_config.json cannot be used",
    )
    sides = (processor.patch_size, processor.merge_size, processor.temporal_patch_size)
    area = [processor.size.get(edge) for edge in ("shortest_edge", "longest_edge")]
    if not all(isinstance(n, int) and 1 <= n <= 1_000 for n in sides) or not all(
        isinstance(n, int) and 1 <= n <= 10**9 for n in area
    ):
        raise ModelLoadError(f"“{name}” is broken: its preprocessor_config.json cannot be used.")
    if max_image_tokens is not None:
        cell = processor.patch_size * processor.merge_size
        largest = max(1, min(area[1], max_image_tokens * cell**2))
        processor.size = {"shortest_edge": min(area[0], largest), "longest_edge": largest}
    return processor


def _auto_tokenizer(folder: Path, name: str, config: PreTrainedConfig | None) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, config=config, trust_remote_code=False, local_files_only=True)


def _read(reader: Any, folder: Path, name: str, wrong: str) -> Any:
    try:
        return reader(folder, name)
    except QwenVLDebugError:
        raise
    except Exception as error:  # the tokenizers library raises a bare Exception on a damaged file
        raise ModelLoadError(f"“{name}” is broken: {wrong}.") from error
