"""What can be set from outside? The environment variables `QWENVL_DEBUG_*`, read into one typed, frozen value.

An empty variable counts as not set. What each one means to a person stands in the README under Settings.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from qwenvl_debug.errors import SettingsError

PREFIX = "QWENVL_DEBUG_"
UNITS = {"MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000}
DISK = 20 * UNITS["GB"]
"""Default bound on what the store's files may fill: some hundred traces of a published model, thousands of micro."""

MODES = ("basic", "full", "low memory")
"""Names of the modes of `load_model`, see `model.modes`."""


@dataclass(frozen=True)
class Settings:
    """Where things are kept, how much of them, and which models may be loaded.

    Attributes:
        data: folder of the store's files and, unless `database` says otherwise, of its database.
        database: an SQLAlchemy URL without a driver, such as "postgresql://user:password@host/name"; None for SQLite
            in the data folder.
        disk: bytes that the store's files may fill before the oldest traces are removed.
        models: names that `load_model` takes; None for any.
        model: the model that the app opens with.
        mode: how the app loads models other than the bundled one, one of `MODES`.
    """

    data: Path
    database: str | None = None
    disk: int = DISK
    models: tuple[str, ...] | None = None
    model: str = "micro"
    mode: str = "basic"


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in force.

    Args:
        environment: in place of the process's own.

    Raises:
        SettingsError: a value cannot be used; the sentence names the variable.
    """
    values = os.environ if environment is None else environment

    def value(name: str) -> str | None:
        return values.get(PREFIX + name, "").strip() or None

    data, database, disk, models = (value(name) for name in ("DATA", "DATABASE", "DISK", "MODELS"))
    mode = value("MODE")
    return Settings(
        data=_folder(data) if data else user_data_path("qwenvl-debug", appauthor=False),
        database=_database(database) if database else None,
        disk=_bytes(disk) if disk else DISK,
        models=_models(models) if models else None,
        model=value("MODEL") or "micro",
        mode=_mode(mode) if mode else "basic",
    )


def take_arguments(arguments: Sequence[str], environment: MutableMapping[str, str] | None = None) -> None:
    """Let --model ID, --mode M and --low-memory after `streamlit run streamlit_app.py --` override the environment.

    Args:
        arguments: such as `sys.argv[1:]`. Taking them again changes nothing.
        environment: in place of the process's own.

    Raises:
        SettingsError: an argument is not known or lacks its value.
    """
    values = os.environ if environment is None else environment
    waiting = list(arguments)
    while waiting:
        name, given, value = waiting.pop(0).partition("=")
        if name == "--low-memory" and not given:
            values[f"{PREFIX}MODE"] = "low memory"
        elif name in ("--model", "--mode") and (given or waiting):
            values[PREFIX + name[2:].upper()] = value if given else waiting.pop(0)
        else:
            raise SettingsError(f"The app does not know {name!r} here: it takes --model ID, --mode M and --low-memory.")


def _mode(text: str) -> str:
    name = text.lower().replace("-", " ").replace("_", " ")
    if name not in MODES:
        raise SettingsError(f"{PREFIX}MODE is {text!r}: write one of {', '.join(MODES)}.")
    return name


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise SettingsError(f"{PREFIX}DATA is {text!r}, but there is no such user: write the whole path.") from None


def _database(text: str) -> str:
    kind, colon, rest = text.partition("://")
    if colon and kind in ("postgresql", "postgres") and rest:
        return f"postgresql://{rest}"
    if colon and kind == "sqlite" and rest.startswith("/") and rest.strip("/"):
        return text
    # The value is not repeated: it may hold a password.
    raise SettingsError(
        f"{PREFIX}DATABASE must look like postgresql://user:password@host/name or sqlite:////folder/file; "
        "without it SQLite is used in the data folder."
    )


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?(MB|GB|TB)", text.upper())
    size = int(float(match[1]) * UNITS[match[2]]) if match else 0
    if not size:
        raise SettingsError(f"{PREFIX}DISK is {text!r}: write a size above zero with its unit, such as 20 GB.")
    return size


def _models(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise SettingsError(f"{PREFIX}MODELS names no model: write names with commas between, such as micro.")
    return names
