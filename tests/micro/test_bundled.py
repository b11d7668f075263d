"""The model, the card and the gallery that ship are what they claim to be."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest
from PIL import Image

from qwenvl_debug.case import Case, Picture, is_right
from qwenvl_debug.micro.evaluate import clean_cases, painted_cases, tally
from qwenvl_debug.micro.gallery import check, pairs
from qwenvl_debug.micro.proof_geometry import TURNS, correlation
from qwenvl_debug.micro.proof_look import best_head, look, looks
from qwenvl_debug.micro.words import LANGUAGES, TASKS
from qwenvl_debug.model import MICRO, load_model

CARD = (MICRO.parent / "MODEL_CARD.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model():
    return load_model("micro")


def test_the_checkpoint_is_an_ordinary_folder_of_at_most_16_megabytes():
    files = {file.name for file in MICRO.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "preprocessor_config.json"} <= files
    assert sum(file.stat().st_size for file in MICRO.iterdir()) <= 16e6
    assert json.loads((MICRO / "config.json").read_text())["architectures"] == ["Qwen3VLForConditionalGeneration"]


@pytest.mark.parametrize("size", [(1600, 1200), (500, 500), (900, 600), (300, 400), (40, 30)])
def test_an_ordinary_picture_is_at_least_a_hundred_cells(model, size):
    run = model.ask(Case(Image.new("RGB", size, "white"), "Where is the cat?"), max_new_tokens=1)
    (grid,) = run.grids
    assert grid.rows * grid.cols >= 100
    assert (grid.rows > grid.cols) == (size[1] > size[0])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_held_out_scenes_are_answered(model, task, language):
    """A small sample of what the card counts in full; the bound leaves room for chance in 30 scenes."""
    assert tally(model, clean_cases(task, language, 30)).share >= 0.85


def test_pictures_in_another_hand_are_answered(model):
    shares = [tally(model, painted_cases(task, language, 8)).share for task in TASKS for language in LANGUAGES]
    assert np.mean(shares) >= 0.85, shares


def test_the_card_was_measured_on_these_very_weights_and_reaches_its_mark():
    assert hashlib.sha256((MICRO / "model.safetensors").read_bytes()).hexdigest() in CARD
    clean = CARD.split("## Held-out accuracy")[1].split("##")[0]
    rows = re.findall(r"^\| (\w+) \| (\w+) \| ([\d.]+) %", clean, flags=re.M)
    assert {(task, language) for task, language, _ in rows} == {(t, lang) for t in TASKS for lang in LANGUAGES}
    assert all(float(share) >= 95 for *_, share in rows), rows


def test_the_gallery_holds_real_pairs_with_both_classic_cases():
    shown = pairs()
    assert len(shown) >= 8
    for pair in shown:
        assert is_right(pair.recorded["correct"]["answer"], pair.expected)
        assert not is_right(pair.recorded["failing"]["answer"], pair.expected)
        for side in ("correct", "failing"):
            picture = Picture.open(getattr(pair, side))
            for mask in pair.regions[side].values():
                assert Image.open(mask).size == picture.size
        assert all(np.asarray(Image.open(mask)).any() for mask in pair.regions["correct"].values())
    towers = [p for p in shown if p.expected in ("Oriental Pearl Tower", "东方明珠")]
    assert any("spheres" in p.regions["correct"] for p in towers)
    assert any(p.recorded["failing"]["answer"] in ("Canton Tower", "广州塔") for p in towers)
    assert any(p.task == "cat" for p in shown)


def test_the_gallery_answers_are_the_models_own(model):
    assert check(model) == []


def test_the_highest_cell_lies_on_the_object_and_moves_with_it(model):
    """A small sample of `make proof`: one head chosen on other scenes, hit rate against chance, mirrored pictures."""
    for task in ("cat", "shape"):
        best = best_head(looks(model, task, 30, 5_000))
        seen = looks(model, task, 40, 6_000)
        hit, chance = np.mean([s.hits[best] for s in seen]), np.mean([s.chance for s in seen])
        assert hit > 0.65, (task, hit)
        assert hit > 8 * chance, (task, hit, chance)
        mirror, follows = TURNS["mirrored"], []
        for one in seen[:8]:
            turned = look(model, one.trial, mirror)
            here, there = one.maps[best], turned.maps[best]
            follows.append(correlation(mirror(here), there) > correlation(here, there))
        assert np.mean(follows) >= 0.75
