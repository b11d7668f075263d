"""What the command line tells of a checkpoint: what was read of it, and what its own settings would change."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwenvl_debug import cli
from tests.model.tiny import tiny_checkpoint


@pytest.fixture
def folder(tmp_path):
    """A tiny checkpoint."""
    return tiny_checkpoint(tmp_path / "model", "qwen3_5")


def test_doctor_lists_no_weights_where_all_fit(folder, capsys):
    assert cli.main(["doctor", "--model", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["loading"]
    assert (found["missing"], found["unused"], found["notes"], found["stored"]) == ([], {}, [], None)


def test_doctor_lists_the_weights_that_are_missing_and_those_that_are_not_used(folder, capsys):
    weights = load_file(folder / "model.safetensors")
    more = {"mtp.fc.weight": torch.ones(2), "model.language_model.rotary_emb.inv_freq": torch.ones(2)}
    save_file(weights | more, folder / "model.safetensors", {"format": "pt"})
    assert cli.main(["doctor", "--model", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "missing weights  none" in printed
    assert "1 of layers that guess tokens ahead (MTP), which transformers leaves out on purpose: mtp.fc" in printed
    assert "1 of tables of rotary positions, which are computed again: model.language_model.rotary_emb.inv" in printed
