"""May this checkpoint be read? What a hostile or broken one could do is looked for before anything reads its files.

A checkpoint comes from strangers. None of its files may run code, lead out of its folder, or make the program build
something absurd: a request for code of its own (`auto_map`) is refused, file names in its index must be plain, sizes
must be such as a model can have, and no file that is read whole may be huge. Weights come from safetensors, which
cannot hold code; where a generation was published in .bin files, torch reads them as tensors only (`weights_only`) and
refuses the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.source import ADAPTER

LARGEST_FILE = 200_000_000
"""Bytes of a tokenizer file; the largest published one is a tenth of that."""

LARGEST_SETTINGS = 20_000_000
"""Bytes of any other JSON file; an index of weights has about 100 bytes per tensor."""

LARGEST_TEMPLATE = 200_000
"""Bytes of a chat template; published ones have less than ten thousand."""

LIMITS = {
    "vocab_size": 10_000_000,
    "hidden_size": 1_000_000,
    "embed_dim": 1_000_000,
    "out_hidden_size": 1_000_000,
    "intermediate_size": 10_000_000,
    "moe_intermediate_size": 10_000_000,
    "shared_expert_intermediate_size": 10_000_000,
    "width": 1_000_000,
    "output_dim": 1_000_000,
    "num_hidden_layers": 2_000,
    "depth": 2_000,
    "layers": 2_000,
    "num_attention_heads": 10_000,
    "num_key_value_heads": 10_000,
    "num_heads": 10_000,
    "heads": 10_000,
    "head_dim": 100_000,
    "kv_channels": 100_000,
    "linear_num_key_heads": 10_000,
    "linear_num_value_heads": 10_000,
    "linear_key_head_dim": 100_000,
    "linear_value_head_dim": 100_000,
    "linear_conv_kernel_dim": 1_000,
    "num_experts": 100_000,
    "num_experts_per_tok": 10_000,
    "patch_size": 1_000,
    "temporal_patch_size": 100,
    "spatial_merge_size": 100,
    "merge_size": 100,
    "window_size": 100_000,
    "in_channels": 100,
    "num_position_embeddings": 100_000_000,
    "image_size": 100_000,
    "n_queries": 100_000,
    "max_position_embeddings": 1_000_000_000,
    "seq_length": 1_000_000_000,
    "hc_count": 1_000,
    "hc_lowrank": 1_000_000,
    "indexer_n_heads": 10_000,
    "indexer_head_dim": 100_000,
    "indexer_budget": 100_000_000,
    "indexer_compress_ratio": 1_000_000,
    "ple_embed_dim": 1_000_000,
    "ngram_size": 100,
    "heads_per_ngram": 1_000,
    "ngram_vocab_size_base": 1_000_000_000,
    "split_ngram_parts": 100_000,
}
"""The greatest value of each size in a configuration: some hundred times what any published model has."""

_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "qwen.tiktoken")
_TEMPLATES = ("chat_template.jinja", "chat_template.json")


def read_json(path: Path, name: str, largest: int = LARGEST_SETTINGS) -> Mapping[str, Any]:
    """The object in a JSON file of a checkpoint.

    Args:
        path: the file.
        name: what to call the checkpoint in an error.
        largest: bytes that it may have.

    Raises:
        ModelLoadError: it is too large, cannot be read, or holds something else.
    """
    if path.is_file():
        check_size(path, name, largest)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # the last: brackets nested thousands deep
        content = None
    if not isinstance(content, dict):
        raise ModelLoadError(f"“{name}” is broken: its {path.name} cannot be read.")
    return content


def check_config(config: Mapping[str, Any], name: str) -> None:
    """Refuse sizes that no model has: building a network from them would never end, or fill the memory.

    Args:
        config: the content of config.json.
        name: what to call the checkpoint in an error.

    Raises:
        ModelLoadError: a size is not a whole number above 0, or is absurdly large.
    """
    for key, value in _items(config):
        if key not in LIMITS or value is None:
            continue
        for number in value if isinstance(value, list) and len(value) <= 16 else [value]:
            if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= LIMITS[key]:
                shown = str(number) if len(str(number)) <= 30 else f"{str(number)[:30]}…"
                raise ModelLoadError(
                    f"“{name}” is refused: its config.json gives {key} as {shown}, which no model has "
                    f"(1 to {LIMITS[key]:,} would be possible)."
                )


def check_files(folder: Path, name: str, *, native: bool) -> None:
    """Refuse files that ask for code to be run, that lead out of the folder, or that are too large to be read whole.

    Args:
        folder: the checkpoint, complete.
        name: what to call it in an error.
        native: whether the files of its generation ask for code that this program has rewritten and never runs, and
            whether its weights may lie in .bin files.

    Raises:
        ModelLoadError: see above, or a shard of the weights is missing.
    """
    for file in _TOKENIZER_FILES:
        check_size(folder / file, name, LARGEST_FILE)
    for path in (*(folder / file for file in _TEMPLATES), *folder.glob("additional_chat_templates/*.jinja")):
        check_size(path, name, LARGEST_TEMPLATE)
    if (folder / ADAPTER).is_file():  # transformers would apply it, with all that its configuration asks for
        raise ModelLoadError(
            f"“{name}” holds a LoRA ({ADAPTER}) beside a model's config.json: keep only one of the two in the folder."
        )
    for path in sorted(folder.glob("*.json")):
        if path.name in _TOKENIZER_FILES or path.name in _TEMPLATES:
            continue
        check_size(path, name, LARGEST_SETTINGS)
        try:
            content = read_json(path, name)
        except ModelLoadError:  # said by whoever needs the file
            continue
        if content.get("auto_map") and not native:
            raise ModelLoadError(
                f"“{name}” is refused: its {path.name} asks for code of its own to be run (auto_map), which this "
                "program never does; choose a checkpoint without it."
            )
        if path.name.endswith(".index.json"):
            _check_index(content.get("weight_map"), path, name)


def _check_index(shards: Any, path: Path, name: str) -> None:
    if not isinstance(shards, dict) or not shards or not all(isinstance(file, str) for file in shards.values()):
        raise ModelLoadError(f"“{name}” is broken: its {path.name} does not say which file holds which weight.")
    for file in sorted(set(shards.values())):
        if not file or file in (".", "..") or any(part in file for part in ("/", "\\", "\0", ":")):
            raise ModelLoadError(
                f"“{name}” is refused: its {path.name} names a file outside the checkpoint's folder ({file[:80]!r})."
            )
        # An index of .bin files may stand beside safetensors, and its files were then never fetched.
        if file.endswith(".safetensors") and not (path.parent / file).is_file():
            raise ModelLoadError(f"“{name}” is incomplete: {file}, which its {path.name} names, is missing.")


def check_size(path: Path, name: str, largest: int) -> None:
    """Refuse a file with more bytes than any published one has.

    Raises:
        ModelLoadError: it has; one that does not exist has none.
    """
    size = path.stat().st_size if path.is_file() else 0
    if size > largest:
        raise ModelLoadError(
            f"“{name}” is refused: its {path.name} has {size / 1e6:,.0f} MB, and no published one comes near "
            f"{largest / 1e6:,.1f} MB."
        )


def _items(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every key and value of nested objects, without recursion."""
    waiting = [config]
    while waiting:
        for key, value in waiting.pop().items():
            yield key, value
            if isinstance(value, dict):
                waiting.append(value)
