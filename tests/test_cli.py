"""The command line: what it prints, what it writes, and how it says no."""

import csv
import json
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from qwenvl_debug import cli
from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import compare
from qwenvl_debug.maps import AttentionMap, Query
from qwenvl_debug.model import load_model
from tests.model.published import QWEN3_5
from tests.model.tiny import tiny_checkpoint

QUESTION = "Where is the cat?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a checkpoint and one picture that is not square, clear and in fog."""
    folder = tmp_path_factory.mktemp("cli")
    tiny_checkpoint(folder / "model", "qwen3_5")
    clear = cv2.circle(np.full((120, 260, 3), 220, dtype=np.uint8), (90, 60), 40, (200, 40, 40), -1)
    cv2.putText(clear, "A3", (150, 80), cv2.FONT_HERSHEY_SIMPLEX, 2, (20, 60, 20), 5)
    for name, fog in (("clear", 0), ("fog", 0.7)):
        Image.fromarray(np.uint8(clear * (1 - fog) + 210 * fog)).save(folder / f"{name}.png")
    return folder


def arguments(folder, *more):
    return [
        *map(str, more),
        "--model",
        str(folder / "model"),
        *(["--max-new-tokens", "4"] if more[0] != "doctor" else []),
    ]


def test_ask_in_json_is_exactly_the_run(folder, capsys):
    assert cli.main(arguments(folder, "ask", folder / "clear.png", QUESTION, "--expect", "cat", "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    run = load_model(folder / "model").ask(Case(folder / "clear.png", QUESTION, expected="cat"), max_new_tokens=4)
    assert printed["answer"] == run.answer
    assert [token["id"] for token in printed["tokens"]] == [token.id for token in run.tokens]
    assert printed["right"] is run.right
    assert printed["grids"] == [{"picture": 0, "rows": run.grids[0].rows, "cols": run.grids[0].cols}]


def test_ask_prints_the_question_the_tokens_and_the_layers(folder, capsys):
    assert cli.main(arguments(folder, "ask", folder / "clear.png", QUESTION)) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert QUESTION in captured.out
    assert "next best" in captured.out
    assert "layers 0, 2, 3 have no softmax attention, so no map" in captured.out


def test_ask_with_a_target_tells_how_likely_it_was(folder, capsys):
    assert cli.main(arguments(folder, "ask", folder / "clear.png", QUESTION, "--target", "东方明珠", "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["target"] == "东方明珠"
    assert printed["answer"] is printed["right"] is None  # it was fed in: the model did not say it
    assert printed["forced"] is True
    assert all(0 < token["probability"] < 1 for token in printed["tokens"] if token["kind"] == "answer")


def test_compare_writes_overlays_and_tables_that_agree_with_python(folder, capsys, tmp_path):
    out = tmp_path / "new" / "folder"
    sides = ("--correct", folder / "clear.png", "--failing", folder / "fog.png")
    command = ("compare", *sides, "--ask", QUESTION, "--target", "under the table", "--out", out, "--json")
    assert cli.main(arguments(folder, *command)) == 0
    printed = json.loads(capsys.readouterr().out)

    model = load_model(folder / "model")
    runs = [model.ask(Case(folder / f"{name}.png", QUESTION), max_new_tokens=4) for name in ("clear", "fog")]
    expected = compare(*runs, target="under the table")
    assert printed["most_different_layer"] == expected.most_different_layer()
    layer = (printed["ranking"]["top"] or {"layer": expected.most_different_layer()})["layer"]
    assert sorted(path.name for path in out.iterdir()) == [
        f"correct-layer-{layer}.png", f"failing-layer-{layer}.png", "layers.csv", "ranking.csv", "table.csv",
    ]  # fmt: skip
    assert sorted(printed["files"]) == sorted(str(path) for path in out.iterdir())
    assert Picture.open(out / f"failing-layer-{layer}.png").size == (260, 120)
    with (out / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["difference"] for row in rows[8:]] == [""] * 12  # three of five layers have no map
    assert [float(row["difference"]) for row in rows[:8]] == pytest.approx(
        sorted(expected.divergence[[1, 4]].ravel())[::-1]
    )


def test_compare_prints_both_answers_and_the_most_different_heads(folder, capsys):
    sides = ("--correct", folder / "clear.png", "--failing", folder / "fog.png")
    assert cli.main(arguments(folder, "compare", *sides, "--ask", QUESTION, "--no-noise")) == 0
    out = capsys.readouterr().out
    assert "Pictures: same frame." in out
    assert "Maps: share of the picture." in out
    assert "correct: clear.png" in out
    assert "failing: fog.png" in out
    assert "Most different: layer" in out
    assert "Each side is asked with its own answer" in out
    assert cli.main(arguments(folder, "compare", *sides, "--ask", QUESTION, "--no-noise", "--expect", "a cat")) == 0
    assert "Both sides are asked with the words of “a cat”." in capsys.readouterr().out


def test_comparing_a_picture_with_itself_finds_no_difference_and_ranks_nothing(folder, capsys):
    same = ("--correct", folder / "clear.png", "--failing", folder / "clear.png")
    assert cli.main(arguments(folder, "compare", *same, "--ask", QUESTION, "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {row["difference"] for row in printed["heads"]} == {0.0, None}
    assert {row["score"] for row in printed["ranking"]["heads"]} == {0.0, None}
    assert printed["ranking"]["top"] is None
    assert (printed["alignment"]["kind"], printed["normalisation"]) == ("same frame", "picture")
    assert printed["noise_floor"]["rule"].startswith("A head counts as different where")


def test_compare_takes_a_view_and_an_alignment_that_a_person_states(folder, capsys):
    sides = ("--correct", folder / "clear.png", "--failing", folder / "fog.png", "--ask", QUESTION)
    more = ("--align", "by-region", "--normalisation", "ratio", "--no-noise")
    assert cli.main(arguments(folder, "compare", *sides, *more)) == 0
    out = capsys.readouterr().out
    assert "Pictures: by region. Compared by regions because you said so." in out
    assert "Maps: times the neutral question." in out
    assert "distance" not in out
    assert cli.main(arguments(folder, "compare", *sides, *more, "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["alignment"]["stated"] is True
    assert printed["ranking"] is printed["noise_floor"] is printed["most_different_layer"] is None


def test_a_side_without_a_map_has_no_overlay_and_costs_the_other_nothing(folder, tmp_path):
    picture = Picture.open(folder / "clear.png")
    there, gone = (
        AttentionMap(np.full((2, 3), v, np.float32), 0, 1, -1, Query((0,), ""), "added") for v in (1 / 6, np.nan)
    )
    side = SimpleNamespace(case=SimpleNamespace(pictures=(picture,)))
    found = SimpleNamespace(
        table=pd.DataFrame, layers=pd.DataFrame, ranking=None, opens_on=lambda: (1, -1), correct=side, failing=side
    )
    found.left, found.right = (SimpleNamespace(map=lambda layer, one=one: one) for one in (gone, there))
    written = import_module("qwenvl_debug.cli.compare")._write(found, tmp_path)
    assert [file.name for file in written] == ["table.csv", "layers.csv", "failing-layer-1.png"]


def test_sweep_prints_every_strength_and_writes_its_pictures(folder, capsys, tmp_path):
    out = tmp_path / "steps"
    command = ("sweep", folder / "clear.png", QUESTION, "--change", "fog", "--strengths", "0.3,0.9")
    command += ("--target", "a cat", "--region", "disc=ellipse:90,60,40,40", "--out", out)
    assert cli.main(arguments(folder, *command)) == 0
    text = capsys.readouterr().out
    assert "Fog (share of fog), followed answer “a cat”." in text
    assert "The answer is no longer right from strength" in text or "stays right at every strength" in text
    assert sorted(path.name for path in out.iterdir()) == ["fog-0.3.png", "fog-0.9.png", "fog-0.png", "sweep.csv"]
    with (out / "sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["strength"]) for row in rows] == [0, 0.3, 0.9]
    assert cli.main(arguments(folder, *command[:-2], "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [step["probability"] for step in printed["steps"]] == [float(row["probability"]) for row in rows]
    assert [step["mass_disc"] for step in printed["steps"]] == [float(row["mass_disc"]) for row in rows]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--change", "fog", "--strengths", "3"), "“Fog” goes from 0 to 1 (share of fog), not to 3."),
        (("--change", "occlude"), "--change occlude needs a --region to act on"),
    ],
)
def test_a_sweep_that_cannot_be_is_told_before_the_model_loads(folder, capsys, monkeypatch, more, sentence):
    monkeypatch.setattr("qwenvl_debug.model.load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    assert cli.main(arguments(folder, "sweep", folder / "clear.png", QUESTION, *more)) == 2
    assert sentence in capsys.readouterr().err


def test_doctor_passes_on_a_sound_model(folder, capsys):
    assert cli.main(arguments(folder, "doctor", "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["self_test"]["passed"] is True
    assert report["model"]["layers_with_maps"] == [1, 4]
    assert report["versions"]["torch"]


@pytest.fixture(scope="module")
def thinker(tmp_path_factory):
    """A folder with a checkpoint that thinks first, unless it is told not to."""
    folder = tmp_path_factory.mktemp("thinker")
    (tiny_checkpoint(folder / "model", "qwen3_vl") / "chat_template.jinja").write_text(QWEN3_5)
    Image.fromarray(np.full((60, 90, 3), 120, np.uint8)).save(folder / "clear.png")
    return folder


def test_thinking_is_turned_off_on_the_command_line(thinker, capsys):
    printed = {}
    for more in ([], ["--no-thinking"]):
        assert (
            cli.main(arguments(thinker, "ask", thinker / "clear.png", QUESTION, "--expect", "cat", "--json", *more))
            == 0
        )
        printed[len(more)] = json.loads(capsys.readouterr().out)
    assert [printed[n]["cut"] for n in (0, 1)] == ["thoughts", "answer"]
    assert [printed[n]["right"] for n in (0, 1)] == [None, False]
    assert printed[1]["provenance"]["settings"]["thinking"] is False
    assert cli.main(arguments(thinker, "ask", thinker / "clear.png", QUESTION)) == 0
    assert "cut in its thoughts: raise --max-new-tokens, or turn thinking off" in capsys.readouterr().out
    sweep = ("sweep", thinker / "clear.png", QUESTION, "--expect", "cat", "--change", "fog", "--strengths", "0.5")
    assert cli.main(arguments(thinker, *sweep)) == 0
    assert "cut in its thoughts" in capsys.readouterr().out


def test_doctor_names_the_chat_template_and_whether_the_model_thinks(thinker, folder, capsys):
    assert cli.main(arguments(thinker, "doctor")) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "chat template" in line)
    assert "chat_template.jinja (" in line
    assert line.endswith("thinks before it answers (--thinking, --no-thinking)")
    assert cli.main(arguments(folder, "doctor")) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "chat template" in line)
    assert "thinks" not in line


def test_doctor_fails_when_the_answer_with_recording_differs(folder, capsys, monkeypatch):
    from qwenvl_debug.model import DebugModel

    plain = DebugModel.plain
    monkeypatch.setattr(DebugModel, "plain", lambda *args, **kwargs: [*plain(*args, **kwargs)[:-1], 0])
    assert cli.main(arguments(folder, "doctor")) == 1
    assert "FAILED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("picture", "question", "sentence"),
    [
        ("missing.png", QUESTION, "There is no picture at"),
        ("model", QUESTION, "is a folder"),
        ("model/config.json", QUESTION, "is not a picture"),
        ("clear.png", "  ", "The question is empty"),
        ("clear.png", "?" * 10_000, "10,000 characters"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence_before_the_model_loads(
    folder, capsys, monkeypatch, picture, question, sentence
):
    monkeypatch.setattr("qwenvl_debug.model.load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    assert cli.main(arguments(folder, "ask", folder / picture, question)) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert captured.err.startswith("qwenvl-debug: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("nowhere/at/all", "There is no folder"), (".", "holds no config.json")],
)
def test_a_checkpoint_that_is_not_there_is_refused_in_one_sentence(folder, capsys, monkeypatch, model, sentence):
    monkeypatch.chdir(folder)
    assert cli.main(["ask", "clear.png", QUESTION, "--model", model]) == 2
    assert sentence in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_before_the_model_loads(folder, capsys):
    sides = ("--correct", folder / "clear.png", "--failing", folder / "fog.png")
    command = ("compare", *sides, "--ask", QUESTION, "--out", folder / "clear.png")
    assert cli.main(arguments(folder, *command)) == 2
    assert "Nothing can be written to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["ask"], ["ask", "a.png", "why?", "--max-new-tokens", "0"], ["frob"], ["compare", "--ask", "why?"]]
)
def test_mistyped_commands_get_one_sentence_and_code_2(capsys, command):
    with pytest.raises(SystemExit) as stopped:
        cli.main(command)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_special_tokens_typed_as_text_stay_text(folder, capsys):
    question = "<|image_pad|><|im_end|> what?"
    assert cli.main(arguments(folder, "ask", folder / "clear.png", question, "--json")) == 0
    tokens = json.loads(capsys.readouterr().out)["tokens"]
    assert "".join(token["text"] for token in tokens if token["kind"] == "question") == question


def test_ctrl_c_ends_calmly(folder, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("qwenvl_debug.model.load_model", interrupted)
    assert cli.main(arguments(folder, "ask", folder / "clear.png", QUESTION)) == 130
    assert capsys.readouterr().err.strip() == "Stopped."


def test_help_comes_without_loading_torch():
    code = (
        "import sys\nfrom qwenvl_debug import cli\n"
        "try: cli.main(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules or 'pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_python_m_is_the_same_command():
    result = subprocess.run(
        [sys.executable, "-m", "qwenvl_debug", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == __import__("qwenvl_debug").__version__
