"""`qwenvl-debug architecture`: what it prints, and that it needs no weights."""

import json

import pytest

from qwenvl_debug import cli
from qwenvl_debug.model.architecture import described, published, record, token_budget
from tests.model.tiny import tiny_checkpoint


def test_json_is_exactly_the_record_of_the_library(capsys):
    name = "Qwen/Qwen2.5-VL-3B-Instruct"
    command = ["architecture", "--model", name, "--picture", "1920x1080", "--text-tokens", "40", "--json"]
    assert cli.main(command) == 0
    one = described(name)
    expected = record(one, token_budget(one.rules, 1920, 1080), 40)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(expected))
    assert expected["picture"]["tokens"] == (1920 // 28 + 1) * (1080 // 28 + 1)  # 68.6 and 38.6 blocks, rounded


def test_the_text_names_the_total_the_windows_and_the_tied_head(capsys):
    assert cli.main(["architecture", "--model", "Qwen2.5-VL-3B-Instruct"]) == 0
    printed = capsys.readouterr().out
    assert "3,754,622,976 weights" in printed
    assert "30 x 16 x 64 x 64" in printed
    assert "0-6, 8-14, 16-22, 24-30" in printed
    assert "uses the word embedding's weights (tied)" in printed
    assert "17 x 23 = 391 tokens" in printed


def test_two_models_stand_side_by_side_with_what_differs_marked(capsys):
    command = ["architecture", "--model", "Qwen3-VL-8B-Instruct", "--beside", "Qwen3.5-9B"]
    assert cli.main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    by_name = {line.strip().split("  ")[0]: line for line in lines if line.startswith("  ")}
    assert by_name["Language width"].split() == ["Language", "width", "4,096", "4,096"]
    assert by_name["Language layers with a map"].endswith("differs")
    assert cli.main([*command, "--json"]) == 0
    assert [one["family"] for one in json.loads(capsys.readouterr().out)["models"]] == ["Qwen3-VL", "Qwen3.5"]


def test_a_folder_with_a_configuration_alone_is_described(tmp_path, capsys):
    folder = tiny_checkpoint(tmp_path / "model", "qwen3_5")
    (folder / "model.safetensors").unlink()
    assert cli.main(["architecture", "--model", str(folder)]) == 0
    assert "Gated DeltaNet" in capsys.readouterr().out


def test_the_list_names_every_shipped_model(capsys):
    assert cli.main(["architecture", "--list"]) == 0
    printed = capsys.readouterr().out
    assert all(one.name in printed for one in published())


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--picture", "wide"), "not a size in pixels"),
        (("--picture", "9000x3"), "crop it"),
        (("--model", "/no/such/folder"), "no folder"),
    ],
)
def test_what_cannot_be_shown_is_refused_in_one_sentence(more, sentence, capsys):
    try:
        code = cli.main(["architecture", *more])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert "\n" not in said
