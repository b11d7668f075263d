"""Where does a checkpoint lie? The bundled one, a folder, or a name on the Hugging Face hub: all come down to a folder.

What cannot be a Qwen-VL checkpoint at all (a GGUF file, a folder of something else) is told apart here, in one sentence
each, before anything in it is read.
"""

from __future__ import annotations

import hashlib
import os
from importlib.resources import files
from pathlib import Path

from huggingface_hub import hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from qwenvl_debug.errors import ModelLoadError

MICRO = Path(str(files("qwenvl_debug"))) / "micro" / "checkpoint"
"""The bundled checkpoint's folder."""

CONFIG, ADAPTER = "config.json", "adapter_config.json"
_READ = ("*.json", "*.jinja", "*.txt", "*.tiktoken", "*.safetensors")
"""The files that are fetched from the hub: nothing that could hold code, unless a family publishes it so."""

_OTHERS = {
    "*.gguf": "llama.cpp (GGUF)",
    "*.onnx": "ONNX",
    "onnx/*.onnx": "ONNX",
    "openvino_*.xml": "OpenVINO",
    "*.mlpackage": "Core ML",
    "*.engine": "TensorRT",
    "consolidated*.pth": "PyTorch's own format, which can hold code",
}
"""Files of other programs, and whose they are."""


def find(name: str | os.PathLike[str], local_files_only: bool, revision: str | None = None) -> tuple[Path, str | None]:
    """The folder with config.json (or, of a LoRA, adapter_config.json), and the commit when it comes from the hub.

    Args:
        name: a folder, or a name on the hub.
        local_files_only: use only what was downloaded before.
        revision: on the hub, the commit or branch that is wanted; by default the main one.

    Raises:
        ModelLoadError: nothing is there, or it is no checkpoint.
    """
    text = str(name)
    folder = MICRO if text == "micro" else Path(text).expanduser()
    if folder.is_dir():
        if (folder / CONFIG).is_file() or (folder / ADAPTER).is_file():
            return folder, None
        if any(folder.glob("*.gguf")):
            raise ModelLoadError(_gguf(text))
        if (other := other_program(folder)) is not None:
            raise ModelLoadError(f"“{text}” holds weights for {other}: choose the checkpoint they were made from.")
        within = sorted(path.parent.name for file in (CONFIG, ADAPTER) for path in folder.glob(f"*/{file}"))
        more = f", but its folder {within[-1]} does: give that one" if within else ""
        raise ModelLoadError(f"“{text}” is not a checkpoint: the folder holds no {CONFIG}{more}.")
    if text == "micro":
        raise ModelLoadError("The bundled model is missing from this installation: install qwenvl-debug again.")
    if text.lower().endswith(".gguf"):
        raise ModelLoadError(_gguf(text))
    if folder.exists():
        raise ModelLoadError(f"“{text}” is a file: give the folder it lies in.")
    if isinstance(name, os.PathLike) or text.startswith((".", "/", "~", "\\")) or text.count("/") > 1 or not text:
        raise ModelLoadError(f"There is no folder “{text}”: check the path.")
    with _hub_errors(text):
        try:
            found = Path(hf_hub_download(text, CONFIG, revision=revision, local_files_only=local_files_only))
        except LocalEntryNotFoundError:
            raise
        except EntryNotFoundError:  # no config.json: a LoRA, or a repository of GGUF files
            found = Path(hf_hub_download(text, ADAPTER, revision=revision, local_files_only=local_files_only))
    return found.parent, found.parent.name  # a snapshot's folder is named after its commit


def other_program(folder: Path) -> str | None:
    """The program or format that a folder's weights were made for, where it is one that cannot be read; or None."""
    return next((form for pattern, form in _OTHERS.items() if any(folder.glob(pattern))), None)


def download(name: str, revision: str, local_files_only: bool, *, pickled: bool = False) -> Path:
    """Fetch what is needed of a checkpoint on the hub.

    Args:
        name, revision: the repository and its commit.
        local_files_only: use only what was downloaded before.
        pickled: fetch .bin files too.

    Returns:
        The snapshot's folder.

    Raises:
        ModelLoadError: it could not be fetched.
    """
    wanted = [*_READ, "*.bin"] if pickled else list(_READ)
    with _hub_errors(name):
        return Path(
            snapshot_download(name, revision=revision, allow_patterns=wanted, local_files_only=local_files_only)
        )


def fingerprint(folder: Path) -> str:
    """Twelve digits that change when anything that is read of a checkpoint does: weights, configurations, tokenizer and
    chat template.

    Of each file the size, the first and the last 8 MB are read, so that large checkpoints take no time.
    """
    digest, part = hashlib.sha256(), 8_000_000
    patterns = _READ if any(folder.glob("*.safetensors")) else (*_READ, "*.bin")
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}\n".encode())
        with path.open("rb") as file:
            digest.update(file.read(part))
            file.seek(max(part, size - part))
            digest.update(file.read(part))
    return digest.hexdigest()[:12]


def _gguf(name: str) -> str:
    return (
        f"“{name}” is in GGUF, the format of llama.cpp, which holds no form of the model whose attention can be read: "
        "choose the checkpoint it was made from (a folder with config.json and .safetensors files)."
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
        elif isinstance(error, EntryNotFoundError):
            why = f"is on the hub but holds no {CONFIG} (repositories of GGUF files have none): choose its original."
        else:
            why = f"could not be fetched from the hub ({type(error).__name__}): check the network, or give a folder."
        raise ModelLoadError(f"“{self.name}” {why}") from error
