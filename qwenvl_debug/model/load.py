"""How a checkpoint becomes a `DebugModel`: the bundled one, a folder, or a name on the Hugging Face hub.

All three come down to a folder in the published format, so they share every line from there on. Code that comes with a
checkpoint is never run, and weights are read from safetensors only, which cannot hold code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from torch import nn
from transformers import (
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.utils import logging as transformers_logging

from qwenvl_debug.errors import ModelLoadError
from qwenvl_debug.model.capture import ATTENTION
from qwenvl_debug.model.debug_model import DebugModel
from qwenvl_debug.model.families import Family, family_of
from qwenvl_debug.settings import read_settings

MICRO = Path(str(files("qwenvl_debug"))) / "micro" / "checkpoint"
"""The bundled checkpoint's folder."""

_STEPS = ("finding the checkpoint", "reading the tokenizer", "reading the weights", "ready")


def load_model(
    name: str | os.PathLike[str] = "micro",
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    local_files_only: bool = False,
    max_image_tokens: int | None = None,
    progress: Callable[[int, int, str], Any] | None = None,
) -> DebugModel:
    """Load a Qwen-VL checkpoint with its attention in view.

    Args:
        name: "micro" for the bundled model, a folder, or a name on the hub such as "Qwen/Qwen2.5-VL-3B-Instruct".
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" to spread over all; by default the first GPU, else the CPU.
        dtype: precision such as "bfloat16"; by default the checkpoint's own on a GPU, float32 on the CPU.
        local_files_only: use only what was downloaded before.
        max_image_tokens: pictures that would take more tokens are reduced until they fit; by default the
            checkpoint's own limit, which for published models is thousands of tokens.
        progress: called as progress(steps done, of, what is being done).

    Returns:
        The model, ready to be asked from any thread.

    Raises:
        ModelLoadError: not found, no network, broken or incomplete, not a supported Qwen-VL model, or not among the
            models that the setting QWENVL_DEBUG_MODELS allows.
    """
    report = progress or (lambda *_: None)
    shown, where, allowed = str(name), _device(device), read_settings().models
    if allowed is not None and shown not in allowed:
        raise ModelLoadError(f"“{shown}” is not among the models allowed here: {', '.join(allowed)}.")
    report(0, len(_STEPS) - 1, _STEPS[0])
    folder, revision = _find(name, local_files_only)
    config = _read_json(folder / "config.json", shown)
    family = family_of(config, shown)
    if revision is not None:
        folder = _download(shown, revision, local_files_only)
    report(1, len(_STEPS) - 1, _STEPS[1])
    tokenizer, image_processor = _tokenizer(folder, shown), _image_processor(folder, shown)
    if max_image_tokens is not None:
        cell = image_processor.patch_size * image_processor.merge_size
        size = image_processor.size
        largest = max(1, min(size["longest_edge"], max_image_tokens * cell**2))
        image_processor.size = {"shortest_edge": min(size["shortest_edge"], largest), "longest_edge": largest}
    report(2, len(_STEPS) - 1, _STEPS[2])
    network = _network(folder, shown, where, dtype, family)
    stop_ids = _make_greedy(network, tokenizer)
    report(3, len(_STEPS) - 1, _STEPS[3])
    return DebugModel(
        name=shown,
        revision=revision or _fingerprint(folder),
        network=network,
        tokenizer=tokenizer,
        image_processor=image_processor,
        stop_ids=stop_ids,
        generation=family,
    )


class PatchProduct(nn.Module):
    """A patch embedding as the matrix product that it is.

    Kernel and stride of the convolution are one patch, so each patch meets each kernel once. On a CPU the product is
    many times faster than the convolution; the numbers differ by rounding only. It shares the convolution's weights.
    """

    def __init__(self, convolution: nn.Conv3d) -> None:
        super().__init__()
        self.weight, self.bias = convolution.weight, convolution.bias

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """From [patches, channels, frames, height, width] to [patches, width of the tower]."""
        return nn.functional.linear(patches.flatten(1), self.weight.flatten(1), self.bias)


def _find(name: str | os.PathLike[str], local_files_only: bool) -> tuple[Path, str | None]:
    """The folder with config.json, and the commit when it comes from the hub."""
    text = str(name)
    folder = MICRO if text == "micro" else Path(text).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelLoadError(f"“{text}” is not a checkpoint: the folder holds no config.json.")
        return folder, None
    if text == "micro":
        raise ModelLoadError("The bundled model is missing from this installation: install qwenvl-debug again.")
    if folder.exists():
        raise ModelLoadError(f"“{text}” is a file: give the folder it lies in.")
    if isinstance(name, os.PathLike) or text.startswith((".", "/", "~", "\\")) or text.count("/") > 1 or not text:
        raise ModelLoadError(f"There is no folder “{text}”: check the path.")
    with _hub_errors(text):
        config = Path(hf_hub_download(text, "config.json", local_files_only=local_files_only))
    return config.parent, config.parent.name  # a snapshot's folder is named after its commit


def _download(name: str, revision: str, local_files_only: bool) -> Path:
    wanted = ["*.json", "*.jinja", "*.txt", "*.safetensors"]
    with _hub_errors(name):
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=local_files_only)
        )


class _hub_errors:
    """Says in one sentence why the hub did not give a checkpoint."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, GatedRepoError):
            why = "asks for its terms to be accepted on the hub first: accept them there, then run `hf auth login`."
        elif isinstance(error, (RepositoryNotFoundError, RevisionNotFoundError)):
            why = "is neither a folder here nor a model on the hub: check the spelling."
        elif isinstance(error, HFValidationError):
            why = "is neither a folder here nor a possible name on the hub (owner/model): check the spelling."
        elif isinstance(error, LocalEntryNotFoundError):
            why = "was not downloaded before and the hub cannot be reached: check the network, or give a folder."
        else:
            why = f"could not be fetched from the hub ({type(error).__name__}): check the network, or give a folder."
        raise ModelLoadError(f"“{self.name}” {why}") from error


def _read_json(path: Path, name: str) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        content = None
    if not isinstance(content, dict):
        raise ModelLoadError(f"“{name}” is broken: its {path.name} cannot be read.")
    return content


def _tokenizer(folder: Path, name: str) -> PreTrainedTokenizerBase:
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.json")):
        raise ModelLoadError(f"“{name}” is incomplete: it holds no tokenizer (tokenizer.json).")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # the tokenizers library raises a bare Exception on a damaged file
        raise ModelLoadError(f"“{name}” is broken: its tokenizer cannot be read.") from error
    if tokenizer.chat_template is None and (folder / "chat_template.json").is_file():
        tokenizer.chat_template = _read_json(folder / "chat_template.json", name).get("chat_template")
    if tokenizer.chat_template is None:
        raise ModelLoadError(f"“{name}” has no chat template: choose a checkpoint tuned to answer (Instruct).")
    return tokenizer


def _image_processor(folder: Path, name: str) -> Qwen2VLImageProcessorPil:
    if not any((folder / file).is_file() for file in ("preprocessor_config.json", "processor_config.json")):
        raise ModelLoadError(f"“{name}” is incomplete: it holds no preprocessor_config.json.")
    try:
        return Qwen2VLImageProcessorPil.from_pretrained(folder)
    except Exception as error:
        raise ModelLoadError(f"“{name}” is broken: its preprocessor_config.json cannot be used.") from error


def _network(
    folder: Path, name: str, device: str | torch.device, dtype: str | torch.dtype | None, family: Family
) -> PreTrainedModel:
    if not any(folder.glob("*.safetensors")):
        pickled = " (weights in .bin files are not read, for they can hold code)" if any(folder.glob("*.bin")) else ""
        raise ModelLoadError(f"“{name}” is incomplete: it holds no weights in a .safetensors file{pickled}.")
    if dtype is None:
        dtype = torch.float32 if str(device) == "cpu" else "auto"
    try:
        transformers_logging.disable_progress_bar()  # `progress` reports instead
        network, loaded = AutoModelForImageTextToText.from_pretrained(
            folder,
            dtype=dtype,
            device_map=device,
            attn_implementation=ATTENTION,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelLoadError(f"“{name}” does not fit into memory: use a smaller model, or dtype='bfloat16'.") from error
    except Exception as error:  # safetensors, transformers and the file system each raise their own kinds
        raise ModelLoadError(f"“{name}” is broken: its configuration and weights cannot be read together.") from error
    # transformers would fill what is missing with random numbers.
    wrong = [*loaded["missing_keys"], *(key if isinstance(key, str) else key[0] for key in loaded["mismatched_keys"])]
    if wrong:
        raise ModelLoadError(f"“{name}” is broken: {len(wrong)} weights are missing or misshapen ({min(wrong)}).")
    embedding = family.patch_embedding(network)
    if isinstance(embedding.proj, nn.Conv3d):
        embedding.proj = PatchProduct(embedding.proj)
    return network.eval()


def _make_greedy(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Replace the checkpoint's generation settings (sampling, penalties) by greedy ones; return what ends an answer."""
    stops: list[int] = []
    for source in (tokenizer, network.generation_config, network.config.get_text_config()):
        end = getattr(source, "eos_token_id", None)
        stops += [end] if isinstance(end, int) else (end or [])
    stops = list(dict.fromkeys(stops))
    if not stops:
        raise ModelLoadError("This checkpoint names no token that ends an answer: add eos_token to its tokenizer.")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else stops[0]
    network.generation_config = GenerationConfig(do_sample=False, eos_token_id=stops, pad_token_id=pad)
    return tuple(stops)


def _device(device: str | torch.device | None) -> str | torch.device:
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device != "auto":
        with suppress(Exception):
            torch.empty(0, device=device)
            return device
        raise ModelLoadError(f"There is no device “{device}” here: use device='cpu'.")
    return device


def _fingerprint(folder: Path) -> str:
    """Twelve digits that change when the configuration or the weights do.

    Of each file the size, the first and the last 8 MB are read, so that large checkpoints take no time.
    """
    digest, part = hashlib.sha256(), 8_000_000
    for path in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(part))
            file.seek(max(part, size - part))
            digest.update(file.read(part))
    return digest.hexdigest()[:12]
