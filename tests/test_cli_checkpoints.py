"""What the command line tells of a checkpoint: what was read of it, and what its own settings would change."""

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from qwenvl_debug import cli
from qwenvl_debug.case import Case
from qwenvl_debug.model import load_model
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


@pytest.fixture
def picture(tmp_path):
    """A picture that is not square."""
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (90, 150, 3), dtype=np.uint8))
    return path


def penalised(folder):
    path = folder / "generation_config.json"
    ends = {key: value for key, value in json.loads(path.read_text()).items() if key.endswith("token_id")}
    path.write_text(json.dumps(ends | {"repetition_penalty": 1.7, "do_sample": True, "temperature": 1e-6}))


def test_ask_names_the_settings_that_greedy_decoding_leaves_out(folder, picture, capsys):
    penalised(folder)
    asked = ["ask", str(picture), "Which tower?", "--model", str(folder), "--max-new-tokens", "6"]
    assert cli.main(asked) == 0
    left_out = "repetition_penalty 1.7, sampling (temperature 1e-06)"
    assert f"Greedy decoding. The checkpoint's own settings are not applied: {left_out}." in capsys.readouterr().out
    assert cli.main([*asked, "--json"]) == 0
    dropped = json.loads(capsys.readouterr().out)["provenance"]["settings"]["dropped"]
    assert dropped == {"repetition_penalty": 1.7, "do_sample": True, "temperature": 1e-6}


def test_ask_can_decode_as_the_checkpoint_says(folder, picture, capsys):
    penalised(folder)
    asked = ["ask", str(picture), "Which tower?", "--model", str(folder), "--max-new-tokens", "12"]
    assert cli.main([*asked, "--decoding", "checkpoint", "--seed", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    run = load_model(folder).ask(Case(picture, "Which tower?"), max_new_tokens=12, decoding="checkpoint", seed=3)
    assert [token["id"] for token in printed["tokens"]] == [token.id for token in run.tokens]
    assert printed["provenance"]["seed"] == 3
    assert cli.main([*asked, "--decoding", "checkpoint"]) == 0
    said = "Decoding as the checkpoint says: repetition_penalty 1.7, sampling (temperature 1e-06, top_k 50), seed 0."
    assert said in capsys.readouterr().out
    for wrong in (["--decoding", "beam"], ["--seed", "-1"]):
        with pytest.raises(SystemExit):
            cli.main([*asked, *wrong])


def test_doctor_says_what_the_checkpoints_own_settings_change(folder, capsys):
    penalised(folder)
    assert cli.main(["doctor", "--model", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["generation"]
    assert found["differs_at"] is not None
    assert found["greedy"] != found["answer"]
    assert cli.main(["doctor", "--model", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"the answer differs from token {found['differs_at']} on" in printed
    assert "All is well." in printed, "settings are no fault of the installation"
