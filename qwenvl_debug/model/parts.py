"""How are words and pictures prepared for a checkpoint? With its own tokenizer, chat template and image processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from qwenvl_debug.errors import ModelLoadError, QwenVLDebugError
from qwenvl_debug.model.chat_template import ChatTemplate, read_chat_template
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.renderer import RENDERER
from qwenvl_debug.model.source import MICRO


def read_tokenizer(folder: Path, name: str, family: Family) -> PreTrainedTokenizerBase:
    """The checkpoint's tokenizer.

    Args:
        folder: where it lies.
        name: what to call the checkpoint in an error.
        family: the generation, which may read its own.

    Raises:
        ModelLoadError: missing or broken.
    """
    if family.read_tokenizer is not None:
        return _read(family.read_tokenizer, folder, name, "its tokenizer cannot be read")
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ModelLoadError(f"“{name}” is incomplete: it holds no tokenizer (tokenizer.json).")
    if folder != MICRO:
        RENDERER.start()  # it is ready by the time the chat template is tried
    return _read(_auto_tokenizer, folder, name, "its tokenizer cannot be read")


def read_template(folder: Path, tokenizer: PreTrainedTokenizerBase, name: str, family: Family) -> ChatTemplate:
    """The checkpoint's chat template, which its tokenizer has from here on too.

    Args:
        folder: where it lies.
        tokenizer: as `read_tokenizer` returned it.
        name: what to call the checkpoint in an error.
        family: the generation, which may have templates of its own.

    Raises:
        ModelLoadError: missing, broken, or one that does not end.
    """
    if tokenizer.chat_template in family.templates:
        words = dict(tokenizer.special_tokens_map)
        template = ChatTemplate(tokenizer.chat_template, "built in", words, name, trusted=True)
    else:
        template = read_chat_template(folder, tokenizer, name, trusted=folder == MICRO)
    tokenizer.chat_template = template.text
    return template


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


def _auto_tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)


def _read(reader: Any, folder: Path, name: str, wrong: str) -> Any:
    try:
        return reader(folder, name)
    except QwenVLDebugError:
        raise
    except Exception as error:  # the tokenizers library raises a bare Exception on a damaged file
        raise ModelLoadError(f"“{name}” is broken: {wrong}.") from error
