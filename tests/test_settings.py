"""Settings: what each variable becomes, and how a wrong one is told."""

from pathlib import Path

import pytest

from qwenvl_debug.errors import ModelLoadError, SettingsError
from qwenvl_debug.model import load_model, modes
from qwenvl_debug.settings import MODES, read_settings, take_arguments


def test_without_variables_everything_has_a_default():
    settings = read_settings({})
    assert settings.data.is_absolute()
    assert settings.data.name == "qwenvl-debug"
    assert (settings.database, settings.disk, settings.models) == (None, 20_000_000_000, None)
    assert (settings.model, settings.mode) == ("micro", "basic")


def test_each_variable_is_read():
    settings = read_settings(
        {
            "QWENVL_DEBUG_DATA": "~/stored",
            "QWENVL_DEBUG_DATABASE": "postgres://me:secret@host/db",
            "QWENVL_DEBUG_DISK": "1.5 gb",
            "QWENVL_DEBUG_MODELS": "micro, Qwen/Qwen2.5-VL-3B-Instruct",
            "QWENVL_DEBUG_MODEL": "Qwen/Qwen2.5-VL-3B-Instruct",
            "QWENVL_DEBUG_MODE": "Low-Memory",
        }
    )
    assert settings.data == Path.home() / "stored"
    assert settings.database == "postgresql://me:secret@host/db"
    assert settings.disk == 1_500_000_000
    assert settings.models == ("micro", "Qwen/Qwen2.5-VL-3B-Instruct")
    assert (settings.model, settings.mode) == ("Qwen/Qwen2.5-VL-3B-Instruct", "low memory")


def test_an_empty_variable_counts_as_not_set():
    names = ("DATA", "DATABASE", "DISK", "MODELS", "MODEL", "MODE")
    assert read_settings({f"QWENVL_DEBUG_{name}": " " for name in names}) == read_settings({})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("DATABASE", "mysql://me:secret@host/db"),
        ("DATABASE", "me:secret@host"),
        ("DISK", "lots"),
        ("DISK", "20"),
        ("DISK", "-1 GB"),
        ("DISK", "0 GB"),
        ("DISK", "0.0000000001 MB"),
        ("MODELS", ", ,"),
        ("MODE", "turbo"),
    ],
)
def test_a_wrong_value_is_told_in_one_sentence_that_names_the_variable_and_no_password(name, wrong):
    with pytest.raises(SettingsError) as told:
        read_settings({f"QWENVL_DEBUG_{name}": wrong})
    assert f"QWENVL_DEBUG_{name}" in str(told.value)
    assert "\n" not in str(told.value)
    assert "secret" not in str(told.value)


def test_a_model_that_is_not_allowed_is_not_even_looked_for(monkeypatch):
    monkeypatch.setenv("QWENVL_DEBUG_MODELS", "micro, other")
    with pytest.raises(ModelLoadError, match="not among the models allowed here: micro, other"):
        load_model("no/such-model")


@pytest.mark.parametrize(
    ("arguments", "model", "mode"),
    [
        (["--model", "Qwen/Qwen2-VL-2B-Instruct", "--low-memory"], "Qwen/Qwen2-VL-2B-Instruct", "low memory"),
        (["--model=./mine", "--mode=full"], "./mine", "full"),
        ([], "set before", "basic"),
    ],
)
def test_what_follows_the_apps_name_overrides_the_environment(arguments, model, mode):
    environment = {"QWENVL_DEBUG_MODEL": "set before"}
    take_arguments(arguments, environment)
    take_arguments(arguments, environment)
    settings = read_settings(environment)
    assert (settings.model, settings.mode) == (model, mode)


@pytest.mark.parametrize("wrong", [["--modle", "x"], ["--model"], ["--low-memory=yes"], ["micro"]])
def test_a_mistyped_argument_of_the_app_is_told_in_one_sentence(wrong):
    with pytest.raises(SettingsError, match=r"it takes --model ID, --mode M and --low-memory"):
        take_arguments(wrong, {})


def test_the_names_of_modes_are_those_of_the_models_room():
    assert tuple(modes.MODES) == MODES
