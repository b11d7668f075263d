"""The command line with regions: what `score` and `compare --region` print, and how mistyped regions are refused."""

import csv
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from qwenvl_debug import cli
from qwenvl_debug.case import Case
from qwenvl_debug.compare import compare
from qwenvl_debug.model import load_model
from qwenvl_debug.regions import Ellipse, Mask, Polygon, Rectangle, Region, score, score_table
from tests.model.tiny import tiny_checkpoint

QUESTION = "Where is the cat?"
SIZE = (260, 120)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pictures, and the mask of the disc on the first."""
    folder = tmp_path_factory.mktemp("cli")
    tiny_checkpoint(folder / "model", "qwen3_5")
    for name, left in (("clear", 90), ("fog", 200)):
        pixels = np.full((120, 260, 3), 220, dtype=np.uint8)
        Image.fromarray(cv2.circle(pixels, (left, 60), 40, (200, 40, 40), -1)).save(folder / f"{name}.png")
    Image.fromarray(cv2.circle(np.zeros((120, 260), np.uint8), (90, 60), 40, 255, -1)).save(folder / "disc.png")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder / "model")


@pytest.fixture
def call(folder, model, monkeypatch, capsys):
    """Run a command in the folder with the model loaded once; gives the exit code and what was printed."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr("qwenvl_debug.model.load_model", lambda *_, **__: model)

    def call(*arguments):
        code = cli.main([*map(str, arguments), "--max-new-tokens", "2"])
        return code, capsys.readouterr()

    return call


def test_score_in_json_agrees_with_python_for_every_kind_of_shape(call, model, folder):
    shapes = {
        "disc": ("mask:disc.png", Mask(np.asarray(Image.open(folder / "disc.png")))),
        "box": ("rect:50,20,80.5,80", Rectangle(50, 20, 80.5, 80)),
        "ring": ("ellipse:90,60,40,30,15", Ellipse(90, 60, 40, 30, 15)),
        "tip": ("polygon:0,0,60,0,60,60", Polygon(((0, 0), (60, 0), (60, 60)))),
    }
    options = [part for name, (text, _) in shapes.items() for part in ("--region", f"{name}={text}")]
    code, printed = call("score", "clear.png", QUESTION, *options, "--target", "a cat", "--json")
    assert code == 0
    run = model.ask(Case(folder / "clear.png", QUESTION), target="a cat")
    made = json.loads(printed.out)
    assert made["target"] == "a cat"
    assert [one["name"] for one in made["regions"]] == list(shapes)
    for one, (name, (_, shape)) in zip(made["regions"], shapes.items(), strict=True):
        for head in ("mean", 2):
            rows = one["layers"] if head == "mean" else [row for row in one["heads"] if row["head"] == head]
            expected = score(run, Region(name, shape), 4, head)
            assert rows[4]["mass"] == pytest.approx(expected.mass, rel=1e-4)
            assert rows[4]["chance"] == pytest.approx(expected.chance)
        assert one["layers"][0]["mass"] is None


def test_score_in_csv_is_the_table_of_every_layer_head_and_region(call, model, folder):
    parts = (
        "--region",
        "both=rect:50,20,40,80",
        "--region",
        "both=rect:150,20,40,80",
        "--region",
        "out=rect:900,0,5,5",
    )
    code, printed = call("score", "clear.png", QUESTION, *parts, "--csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    regions = [
        Region("both", (Rectangle(50, 20, 40, 80), Rectangle(150, 20, 40, 80))),
        Region("out", Rectangle(900, 0, 5, 5)),
    ]
    table = score_table(model.ask(Case(folder / "clear.png", QUESTION), max_new_tokens=2), regions)
    assert list(rows[0]) == list(table.columns)
    masses = [float(row["mass"] or "nan") for row in rows]
    assert masses == pytest.approx(table["mass"].tolist(), rel=1e-4, nan_ok=True)
    assert {row["mass"] for row in rows if row["region"] == "out"} == {""}


def test_score_prints_layers_beside_chance_and_the_best_heads(call):
    code, printed = call("score", "clear.png", QUESTION, "--region", "猫=rect:50,20,80,80", "--expect", "cat")
    assert code == 0
    assert printed.err == ""
    assert "猫 (should look here): 21 % of the picture" in printed.out
    assert "layers 0, 2, 3 have no softmax attention, so no map" in printed.out
    assert printed.out.count("%") >= 2 + 5
    assert "expected: cat" in printed.out


def test_compare_with_regions_prints_and_writes_both_sides_beside_chance(call, model, folder, tmp_path):
    sides = ("--correct", "clear.png", "--failing", "fog.png", "--ask", QUESTION)
    regions = (
        *("--region", "all=rect:0,0,130,120"),
        *("--region-correct", "disc=ellipse:90,60,40,40", "--region-failing", "disc=ellipse:200,60,40,40"),
    )
    code, printed = call("compare", *sides, *regions, "--out", tmp_path, "--json")
    assert code == 0
    runs = [model.ask(Case(folder / f"{name}.png", QUESTION), max_new_tokens=2) for name in ("clear", "fog")]
    left, right = (Region("disc", Ellipse(x, 60, 40, 40)) for x in (90, 200))
    whole = Region("all", Rectangle(0, 0, 130, 120))
    expected = compare(*runs, regions=whole, left_regions=left, right_regions=right)
    made = json.loads(printed.out)
    assert [one["name"] for one in made["regions"]] == ["all", "disc"]
    assert made["layers"][1]["left_mass_disc"] == pytest.approx(expected.regions[1].left_mass[1, -1], rel=1e-4)
    assert made["layers"][4]["right_mass_all"] == pytest.approx(expected.regions[0].right_mass[4, -1], rel=1e-4)
    assert made["regions"][0]["correct"]["chance"] == pytest.approx(0.5)
    assert made["regions"][0]["carried"] == expected.regions[0].sided.said
    assert [one["carried_to"] for one in made["regions"]] == ["failing", None]
    with (tmp_path / "layers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[4]["right_chance_disc"]) == pytest.approx(expected.regions[1].right_chance)

    code, printed = call("compare", *sides, *regions[:2])
    assert code == 0
    assert "inside “all”; chance gives 50 % on the correct side, 50 % on the failing side" in printed.out
    assert "differ most, of single heads: " in printed.out


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        ("disc", "A region is written NAME=rect"),
        ("=rect:1,2,3,4", "A region is written NAME=rect"),
        ("disc=star:1,2", "A region is written NAME=rect"),
        ("disc=rect:1,2,3", "rect needs four numbers"),
        ("disc=rect:1,2,3,x", "rect needs four numbers"),
        ("disc=rect:1,2,-3,4", "cannot be negative"),
        ("disc=rect:1,2,nan,4", "must be finite"),
        ("disc=polygon:1,2,3,4", "polygon needs at least three points"),
        ("disc=mask:none.png", "There is no mask at none.png"),
        ("disc=mask:model/config.json", "is not a PNG"),
        ("disc=polygon:0,0,1e9,1,2,9", "too far outside"),
    ],
)
@pytest.mark.parametrize("command", ["score", "compare"])
def test_a_mistyped_region_is_refused_in_one_sentence_before_the_model_loads(
    call, monkeypatch, command, region, sentence
):
    monkeypatch.setattr("qwenvl_debug.model.load_model", lambda *_, **__: pytest.fail("the model was loaded"))
    pictures = (
        ["clear.png", QUESTION] if command == "score" else ["--correct=clear.png", "--failing=fog.png", "--ask=x"]
    )
    code, printed = call(command, *pictures, "--region", region)
    assert code == 2
    assert printed.out == ""
    assert sentence in printed.err
    assert printed.err.count("\n") == 1


def test_a_name_for_both_sides_and_for_one_is_refused(call):
    both = ("--region", "a=rect:1,1,5,5", "--region-failing", "a=rect:1,1,5,5")
    code, printed = call("compare", "--correct", "clear.png", "--failing", "fog.png", "--ask", QUESTION, *both)
    assert code == 2
    assert "given for both sides and again for one" in printed.err


@pytest.mark.parametrize("more", [[], ["--region", "a=rect:1,1,5,5", "--json", "--csv"]])
def test_score_without_a_region_or_with_two_forms_of_output_is_refused(capsys, more):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["score", "clear.png", QUESTION, *more])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
