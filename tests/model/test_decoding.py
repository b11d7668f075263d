"""Is an answer generated as it says: greedy, or as the checkpoint's own settings ask transformers to?"""

import json

import pytest
import torch
from transformers import AutoModelForImageTextToText

from qwenvl_debug import store
from qwenvl_debug.errors import CaseError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.decoding import OwnSettings, read_own
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.own_answer import own_answer
from qwenvl_debug.model.run_checks import all_passed, run_checks
from qwenvl_debug.model.selfcheck import check
from qwenvl_debug.report.decoding_text import decoding_label, decoding_text
from qwenvl_debug.settings import Settings

PENALTY = {"repetition_penalty": 1.6}
SAMPLED = {"do_sample": True, "temperature": 1.3, "top_p": 0.9, "top_k": 30, "repetition_penalty": 1.1}


def with_settings(folder, **settings):
    """Give a checkpoint these generation settings, and those that end its answers."""
    path = folder / "generation_config.json"
    kept = {key: value for key, value in json.loads(path.read_text()).items() if key.endswith("token_id")}
    path.write_text(json.dumps(kept | settings))
    return folder


def generated(folder, case, seed=None, tokens=24):
    """The answer of transformers' own `generate` with the checkpoint's own settings, and nothing of this program's."""
    model = load_model(folder)
    alone = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    feed = prompt(model, case).feed("cpu")
    if seed is not None:
        torch.manual_seed(seed)
    with torch.no_grad():
        sequence = alone.generate(**feed, max_new_tokens=tokens, tokenizer=model.tokenizer)
    return sequence[0, feed["input_ids"].shape[1] :].tolist()


def answer_of(run):
    return [token.id for token in run.tokens[run.last_prompt + 1 :]]


@pytest.mark.parametrize(
    "settings",
    [
        PENALTY,
        {"no_repeat_ngram_size": 2},
        {"suppress_tokens": [72, 364, 104, 141], "begin_suppress_tokens": [308]},
        {"bad_words_ids": [[104], [364, 104]]},
        {"repetition_penalty": 1.05, "do_sample": True, "temperature": 1e-6},
        {"forced_eos_token_id": 442},
        {"exponential_decay_length_penalty": [4, 1.5]},
    ],
)
def test_as_the_checkpoint_says_is_what_transformers_generates(settings, copy, wide_case):
    with_settings(copy, **settings)
    run = load_model(copy, decoding="checkpoint").ask(wide_case, max_new_tokens=24)
    assert answer_of(run) == generated(copy, wide_case, seed=0)
    assert run.provenance.settings["decoding"] == "checkpoint"
    assert settings.items() <= run.provenance.settings["applied"].items()
    assert all_passed(run_checks(run))


@pytest.mark.parametrize("seed", [0, 7])
def test_sampling_draws_what_transformers_draws_with_that_seed(seed, copy, wide_case):
    with_settings(copy, **SAMPLED)
    model = load_model(copy)
    before = torch.random.get_rng_state()
    run = model.ask(wide_case, max_new_tokens=24, decoding="checkpoint", seed=seed)
    assert torch.equal(torch.random.get_rng_state(), before), "nobody else's random numbers change"
    assert answer_of(run) == generated(copy, wide_case, seed=seed)
    assert (run.provenance.seed, run.provenance.settings["seed"]) == (seed, seed)
    assert answer_of(model.ask(wide_case, max_new_tokens=24, decoding="checkpoint", seed=seed)) == answer_of(run)
    others = {tuple(answer_of(model.ask(wide_case, max_new_tokens=8, decoding="checkpoint", seed=n))) for n in range(4)}
    assert len(others) > 1


def test_what_greedy_decoding_leaves_out_is_named_with_the_run(copy, wide_case):
    with_settings(copy, **SAMPLED, num_beams=4, presence_penalty=1.5, max_new_tokens=512)
    run = load_model(copy).ask(wide_case, max_new_tokens=4)
    settings = run.to_dict()["provenance"]["settings"]
    assert settings["decoding"] == "greedy"
    assert settings["dropped"] == SAMPLED | {"num_beams": 4, "presence_penalty": 1.5}
    assert "seed" not in settings
    assert run.provenance.seed is None
    said = decoding_text(settings)
    assert said.startswith("Greedy decoding. The checkpoint's own settings are not applied: repetition_penalty 1.1")
    assert "sampling (temperature 1.3, top_k 30, top_p 0.9)" in said
    assert decoding_label(settings) == "Greedy, without the checkpoint's generation settings"


def test_what_cannot_be_applied_is_named_also_as_the_checkpoint_says(copy, wide_case):
    with_settings(copy, **PENALTY, num_beams=4)
    settings = load_model(copy).ask(wide_case, max_new_tokens=4, decoding="checkpoint").provenance.settings
    assert (settings["applied"], settings["dropped"]) == (PENALTY, {"num_beams": 4})
    assert "Not applied: num_beams 4." in decoding_text(settings)


@pytest.mark.parametrize(
    "settings", [{}, {"repetition_penalty": 1.0, "do_sample": False, "temperature": 0.7, "top_p": 0.8, "num_beams": 1}]
)
def test_settings_that_change_nothing_are_not_told(settings, copy, wide_case):
    """Without sampling transformers ignores a temperature, and so does this."""
    with_settings(copy, **settings)
    model = load_model(copy)
    greedy, own = (model.ask(wide_case, max_new_tokens=3, decoding=way) for way in ("greedy", "checkpoint"))
    assert greedy.provenance.settings == own.provenance.settings
    assert "dropped" not in greedy.provenance.settings
    assert decoding_text(greedy.provenance.settings) is None
    assert decoding_label(greedy.provenance.settings) is None


def test_probabilities_are_the_models_own_before_any_penalty(copy, wide_case, tiny):
    with_settings(copy, **PENALTY)
    run = load_model(copy).ask(wide_case, max_new_tokens=24, decoding="checkpoint")
    forced = tiny().ask(wide_case, target=answer_of(run))
    chosen = run.tokens[run.last_prompt + 1 :]
    for token, same in zip(chosen, forced.tokens[forced.last_prompt + 1 :], strict=False):
        assert token.probability == pytest.approx(same.probability, abs=1e-5)
        assert [one.id for one in token.alternatives] == [one.id for one in same.alternatives]
    others = [token for token in chosen if token.id != token.alternatives[0].id]
    assert others, "a penalty chose another token than the likeliest, and the run shows which that was"
    words = next(one for one in run_checks(run) if one.name == "answer").words
    assert words == f"chosen with the checkpoint's own settings, {len(others)} not the likeliest"


def test_an_answer_ends_at_the_checkpoints_stop_strings_only_where_they_are_applied(copy, wide_case, tiny):
    said = tiny().ask(wide_case, max_new_tokens=24).answer
    with_settings(copy, stop_strings=[said[4:6]])
    model = load_model(copy)
    assert model.ask(wide_case, max_new_tokens=24).answer == said
    assert len(model.ask(wide_case, max_new_tokens=24, decoding="checkpoint").answer) < len(said)


def test_a_model_may_be_asked_so_everywhere_and_its_runs_are_other_runs(copy, wide_case, tmp_path):
    with_settings(copy, **SAMPLED)
    kept = store.open_store(Settings(tmp_path / "data"))
    greedy = load_model(copy)
    own = greedy.decoded("checkpoint", 3)
    assert own.network is greedy.network
    first = store.answer(kept, greedy, wide_case, max_new_tokens=4)
    second = store.answer(kept, own, wide_case, max_new_tokens=4)
    assert not second.stored
    assert store.answer(kept, own, wide_case, max_new_tokens=4).stored
    assert not store.answer(kept, greedy.decoded("checkpoint", 4), wide_case, max_new_tokens=4).stored
    assert second.run.model.decoding == "checkpoint"
    assert second.run.force("cat").provenance.settings["decoding"] == "checkpoint"
    assert first.run.provenance.settings["dropped"] == SAMPLED


def test_the_self_check_holds_as_the_checkpoint_says(copy, wide_case):
    with_settings(copy, **SAMPLED)
    assert check(load_model(copy, decoding="checkpoint", seed=5), wide_case, max_new_tokens=12).ok


def test_what_the_checkpoints_own_settings_would_change_is_found_out(copy, wide_case):
    with_settings(copy, **PENALTY, do_sample=True, temperature=0.9)
    found = own_answer(load_model(copy), wide_case, tokens=24)
    alone = generated(with_settings(copy, **PENALTY), wide_case)
    greedy = load_model(copy).plain(wide_case, 24)
    assert found.differs_at == next(n for n, (a, b) in enumerate(zip(greedy, alone, strict=False)) if a != b)
    assert found.greedy != found.answer
    assert own_answer(load_model(with_settings(copy)), wide_case) is None
    assert own_answer(load_model(with_settings(copy, repetition_penalty=1.0001)), wide_case).differs_at is None


def test_impossible_settings_do_not_keep_a_model_from_loading(copy, wide_case):
    with_settings(copy, forced_eos_token_id=442, suppress_tokens=[442])
    model = load_model(copy)
    assert model.ask(wide_case, max_new_tokens=2).tokens
    with pytest.raises(CaseError, match=r"The checkpoint's own generation settings cannot be used .*decoding='greedy'"):
        model.ask(wide_case, decoding="checkpoint")
    assert "cannot be used" in own_answer(model, wide_case).problem
    (copy / "generation_config.json").write_text("{")
    assert load_model(copy).ask(wide_case, max_new_tokens=2).tokens


def test_there_is_no_other_decoding_and_no_other_seed_than_a_whole_number(tiny, wide_case):
    with pytest.raises(CaseError, match="There is no decoding “beam”: use greedy or checkpoint"):
        tiny().ask(wide_case, decoding="beam")
    for seed in (-1, 1.5, "7", True):
        with pytest.raises(CaseError, match="A seed is a whole number from 0"):
            tiny().ask(wide_case, seed=seed)


def test_settings_of_early_checkpoints_are_read_from_config_json(tmp_path):
    early = {"model_type": "qwen2_vl", "repetition_penalty": 1.2, "eos_token_id": [7, 8], "text_config": {"top_p": 0.1}}
    assert read_own(tmp_path, early) == OwnSettings({"repetition_penalty": 1.2}, {}, {}, (7, 8))
