"""Maps and comparisons of a tiny real model, from pictures to numbers, against transformers' own eager attention."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText

from qwenvl_debug.case import Case
from qwenvl_debug.compare import compare
from qwenvl_debug.maps import answer_query, map_stack, question_query
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt
from tests.model.tiny import tiny_checkpoint

QUESTION = "这是哪座塔？ Where is the cat?"


def picture(height, width, seed):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_checkpoint(tmp_path_factory.mktemp("real") / "model", "qwen3_vl")


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


@pytest.fixture(scope="module")
def runs(model):
    """Two pictures of unequal shape, so of unequal grids, neither square."""
    cases = Case(picture(96, 160, 1), QUESTION), Case(picture(128, 96, 2), QUESTION)
    return [model.ask(case, max_new_tokens=5) for case in cases]


def test_maps_are_those_of_transformers_eager_attention(folder, model, runs):
    run = runs[0]
    asked = prompt(model, run.case)
    eager = AutoModelForImageTextToText.from_pretrained(folder, attn_implementation="eager").eval()
    more = [token.id for token in run.tokens[len(asked.ids) : -1]]
    with torch.no_grad():
        attentions = eager(**asked.feed(torch.device("cpu"), more=more), output_attentions=True).attentions
    grid = run.grids[0]
    for query, rows in (
        (answer_query(run), [index - 1 for index in run.answer_tokens]),
        (question_query(run), list(run.question_tokens)),
    ):
        shares = map_stack(run, query, normalisation="row")
        parts = map_stack(run, query)
        for layer, weights in enumerate(attentions):
            expected = weights[0][:, rows][:, :, grid.positions.tolist()].mean(dim=1).numpy()
            expected = expected.reshape(-1, grid.rows, grid.cols)
            assert np.abs(shares.values[layer] - expected).max() < 1e-5
            assert np.abs(shares.image_share[layer] - expected.sum(axis=(1, 2))).max() < 1e-5
            assert np.abs(parts.values[layer] - expected / expected.sum(axis=(1, 2), keepdims=True)).max() < 1e-4


def test_a_real_run_compared_with_itself_differs_by_exactly_nothing(runs):
    same = compare(runs[0], runs[0])
    assert (same.divergence == 0).all()
    assert (same.divergence_mean == 0).all()


def test_pictures_of_unequal_shape_are_compared_on_a_target_with_the_same_words(runs):
    assert (runs[0].grids[0].rows, runs[0].grids[0].cols) != (runs[1].grids[0].rows, runs[1].grids[0].cols)
    comparison = compare(*runs, target="东方明珠 tower", alignment="same frame")
    asked = [[run.tokens[index].id for index in run.answer_tokens] for run in comparison.asked]
    assert asked[0] == asked[1]
    assert comparison.left.query.label == comparison.right.query.label == "东方明珠 tower"
    assert ((comparison.divergence > 0) & (comparison.divergence <= 1)).all()
    assert comparison.correct is runs[0]


def test_two_pictures_of_noise_are_compared_by_region_only(runs):
    comparison = compare(*runs, target="tower")
    assert comparison.alignment.kind == "by region"
    assert np.isnan(comparison.divergence).all()
    assert comparison.difference(0) is None


def test_a_split_character_of_the_question_asks_as_a_whole(model, runs):
    """The tiny tokenizer has no token for every Chinese character, as the published ones do not."""
    run = model.ask(Case(picture(96, 160, 1), "龘?"), target="龘 cat")
    query = answer_query(run, 0)
    assert len(query.tokens) == 3  # its three bytes
    assert query.label == "龘"
    assert query == answer_query(run, 2)
