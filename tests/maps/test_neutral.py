"""The neutral question: the same pictures and prompt, in the language of the question, of the real model."""

from dataclasses import replace

import numpy as np
import pytest

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.compare import compare, noise_floor
from qwenvl_debug.errors import CaseError, QueryError
from qwenvl_debug.maps import NEUTRAL_QUESTION, ask_neutral, find_sinks, map_stack, neutral_case

PICTURE = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)


@pytest.mark.parametrize(
    ("question", "language"), [("Where is the cat?", "en"), ("猫在哪里？", "zh"), ("cat 在?", "zh")]
)
def test_the_neutral_case_differs_in_its_question_alone(question, language):
    case = Case(PICTURE, question, expected="left", system="Be brief.")
    neutral = neutral_case(case)
    assert neutral.question == NEUTRAL_QUESTION[language]
    assert neutral.expected is None
    assert neutral.pictures == case.pictures
    assert neutral.system == case.system


def test_one_neutral_run_serves_every_question_about_the_picture(micro):
    first, second = (micro.ask(Case(PICTURE, text), max_new_tokens=2) for text in ("Where is the cat?", "What is red?"))
    neutral = ask_neutral(first)
    assert neutral.case.pictures == first.case.pictures
    for run in (first, second):
        for normalisation in ("ratio", "added"):
            maps = map_stack(run, normalisation=normalisation, neutral=neutral).values
            assert np.allclose(maps[1:].sum((2, 3)), 1, atol=1e-5)


def test_the_first_layer_at_the_end_of_the_prompt_has_not_read_the_question_yet(micro):
    """Its row depends on its own token and place alone: with a question as long as the neutral one nothing is added."""
    run = micro.ask(Case(PICTURE, "Where is the cat?"), max_new_tokens=1)
    neutral = micro.ask(Case(PICTURE, "Where is the table?"), max_new_tokens=1)
    assert run.last_prompt == neutral.last_prompt
    maps = map_stack(run, normalisation="added", neutral=neutral).values
    assert np.isnan(maps[0]).all()
    assert not np.isnan(maps[1:]).all(axis=(1, 2, 3)).any()


def test_a_run_without_its_model_cannot_ask(micro):
    run = micro.ask(Case(PICTURE, "Where is the cat?"), max_new_tokens=1)
    with pytest.raises(CaseError, match="holds no model"):
        ask_neutral(replace(run, model=None))


def test_a_generic_prompt_run_of_anything_else_is_refused_in_one_sentence(micro):
    """Same grid, same layers and heads: only the contents tell that it does not belong to the run."""
    case = Case(PICTURE, "Where is the cat?", system="Be brief.", history=(Turn("What is red?", "The square."),))
    run = micro.ask(case, max_new_tokens=1)
    neutral = ask_neutral(run)
    assert np.isfinite(map_stack(run, normalisation="ratio", neutral=neutral).values[1:]).all()
    other = np.random.default_rng(1).integers(0, 255, PICTURE.shape, np.uint8)
    settings = neutral.provenance.settings
    wrong = {
        "another image": ask_neutral(micro.ask(replace(case, pictures=(other,)), max_new_tokens=1)),
        "another system prompt": ask_neutral(micro.ask(replace(case, system="Be kind."), max_new_tokens=1)),
        "other earlier turns": ask_neutral(micro.ask(replace(case, history=()), max_new_tokens=1)),
        "another model, revision or adapter": provenance(neutral, revision="abc"),
        "another precision": provenance(neutral, settings={**settings, "dtype": "bfloat16"}),
        "another quantisation": provenance(neutral, settings={**settings, "bits": 4}),
        "other image size limits": provenance(neutral, settings={**settings, "picture_area": [1, 2]}),
    }
    for what, one in wrong.items():
        for work in (lambda n: map_stack(run, normalisation="added", neutral=n), lambda n: find_sinks(run, neutral=n)):
            with pytest.raises(QueryError, match=rf"^[A-Z][^\n]*{what}[^\n]*\.$"):
                work(one)


def provenance(run, **changed):
    return replace(run, provenance=replace(run.provenance, **changed))


def test_a_swapped_pair_of_generic_prompt_runs_is_refused(micro):
    pictures = PICTURE, np.random.default_rng(1).integers(0, 255, PICTURE.shape, np.uint8)
    runs = [micro.ask(Case(picture, "Where is the cat?"), max_new_tokens=1) for picture in pictures]
    neutral = tuple(ask_neutral(run) for run in runs)
    assert compare(*runs, normalisation="ratio", neutral=neutral).neutral == neutral
    with pytest.raises(QueryError, match="another image"):
        compare(*runs, normalisation="ratio", neutral=neutral[::-1])
    with pytest.raises(QueryError, match="another image"):
        noise_floor(runs[0], normalisation="ratio", neutral=neutral[1])
