"""What a command prints, and where: results on standard output, all else on standard error."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qwenvl_debug.errors import QwenVLDebugError

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel

DONE, FOUND_WRONG, BAD_INPUT, STOPPED = 0, 1, 2, 130


def give(
    options: argparse.Namespace,
    as_dict: Callable[[], dict[str, Any]],
    as_text: Callable[[], str],
    as_csv: Callable[[], str] = str,
) -> None:
    """Print the result in the form that was asked for.

    Raises:
        QwenVLDebugError: standard output does not take it.
        BrokenPipeError: its reader has gone.
    """
    if options.json:
        ascii_only = getattr(sys.stdout, "encoding", "").lower().replace("-", "") != "utf8"
        text = json.dumps(_defined(as_dict()), ensure_ascii=ascii_only, allow_nan=False, indent=2)
    elif getattr(options, "csv", False):
        text = as_csv().rstrip("\n")
    else:
        text = as_text()
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        drop_output()
        raise QwenVLDebugError(f"The result could not be written: {error.strerror}.") from None


def _defined(value: Any) -> Any:
    """The same with None for what is not a finite number, such as the odds of a model that overflows."""
    if isinstance(value, dict):
        return {key: _defined(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_defined(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def output_folder(folder: Path | None) -> Path | None:
    """Make the folder before the model works, so that a wrong path is told at once."""
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QwenVLDebugError(f"Nothing can be written to {folder}: {error.strerror}.") from None
    return folder


def drop_output() -> None:
    """Send what is still waiting to be written nowhere, so that Python's own farewell does not fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def about(model: DebugModel) -> str:
    """One line on the model, and one on how its answers are generated where that is not all it asks for."""
    from qwenvl_debug.report.decoding_text import decoding_text

    line = f"{model.name} ({model.family}, {model.n_layers} layers of {model.n_heads} heads, on {model.device})"
    how = decoding_text(model.own.record(model.decoding, model.seed))
    return line if how is None else f"{line}\n{how}"


def progress(doing: str) -> Callable[[int, int, str], None] | None:
    """A line that rewrites itself, for a person at a terminal; nothing for a log file."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, of: int, text: str) -> None:
        line = f"{doing}: {done} of {of}  {' '.join(text.split())}"[:76]
        print(f"\r\033[K{line if done < of else ''}", end="", file=sys.stderr, flush=True)

    return show


def refuse(sentence: str) -> int:
    """Say why not, and give the exit code for input that cannot be used."""
    print(f"qwenvl-debug: {' '.join(sentence.split())}", file=sys.stderr)
    return BAD_INPUT
