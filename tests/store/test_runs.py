"""Cases and runs: what comes back is what was saved, and asking the same again finds it."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.errors import CaseError, QwenVLDebugError, StoreError
from qwenvl_debug.maps import map_stack
from qwenvl_debug.maps.identity import identity_of, unlike_case, unlike_network
from qwenvl_debug.model import load_model
from qwenvl_debug.model.modes import FULL
from qwenvl_debug.store import answer, check, files, find_run, load_case, load_picture, load_run, save_case, save_run
from qwenvl_debug.store.tables import RunRow
from tests.model.published import QWEN3_5
from tests.model.tiny import tiny_checkpoint

FOUR = {"max_new_tokens": 4, "vision_layers": (0,)}


def test_a_case_comes_back_with_its_pixels_names_and_words(store, case):
    named = Case(
        [Picture.open(case.pictures[0], "塔\udc80.png"), case.pictures[1]], "Which\0 tower?", expected="东方明珠"
    )
    number = save_case(store, named)
    back = load_case(store, number)
    assert back == named
    assert [picture.pixels.tobytes() for picture in back.pictures] == [p.pixels.tobytes() for p in named.pictures]
    assert [picture.name for picture in back.pictures] == ["塔\\udc80.png", case.pictures[1].name]
    assert save_case(store, named) == number
    assert save_case(store, replace(named, expected="Canton Tower")) != number
    assert load_picture(store, case.pictures[1].sha256) == case.pictures[1]


def test_a_picture_in_many_cases_is_one_file(store, case):
    for question in ("What?", "Where?", "Why?"):
        save_case(store, Case([case.pictures[0]] * 2, question))
    assert len(list(files.names(store.folder))) == 1


def test_a_stored_run_is_the_run_bit_for_bit(store, run):
    back = load_run(store, save_run(store, run))
    assert back == run
    assert back.model is None
    assert asdict(back.provenance) == asdict(run.provenance)
    assert back.to_dict() == run.to_dict()
    for layer in run.trace.layers:
        assert back.trace.weights(layer).tobytes() == run.trace.weights(layer).tobytes()
    assert [grid.positions.tolist() for grid in back.grids] == [grid.positions.tolist() for grid in run.grids]
    assert back.grids[0].positions.dtype == np.int64
    for picture in (0, 1):
        assert back.vision[picture].weights(0).tobytes() == run.vision[picture].weights(0).tobytes()
        assert map_stack(back, picture=picture).values.tobytes() == map_stack(run, picture=picture).values.tobytes()
    with pytest.raises(CaseError, match="holds no model"):
        back.force("a tower")


def test_saving_a_run_again_keeps_its_number_and_adds_nothing(store, run):
    number = save_run(store, run)
    kept = sorted(files.names(store.folder))
    assert save_run(store, run) == number
    assert save_run(store, load_run(store, number)) == number
    assert sorted(files.names(store.folder)) == kept


def test_the_same_question_is_answered_from_the_store(store, model, case, monkeypatch):
    first = answer(store, model, case, **FOUR)
    assert not first.stored
    monkeypatch.setattr(type(model), "ask", lambda *_, **__: pytest.fail("the model was asked"))
    again = answer(store, model, replace(case, expected="Canton Tower"), **FOUR)
    assert (again.id, again.stored) == (first.id, True)
    assert again.run.answer == first.run.answer
    assert again.run.case.expected == "Canton Tower"  # what was expected changes nothing in what the model did
    assert again.run.model is model


def test_another_question_setting_target_or_revision_is_not_found(store, model, case, run):
    save_run(store, run)
    assert find_run(store, model, case, **FOUR) is not None
    assert find_run(store, model, replace(case, question="Which towers? 哪座塔？"), **FOUR) is None
    assert find_run(store, model, replace(case, system=None), **FOUR) is None
    assert find_run(store, model, replace(case, pictures=case.pictures[::-1]), **FOUR) is None
    assert find_run(store, model, case, max_new_tokens=5, vision_layers=(0,)) is None
    assert find_run(store, model, case, max_new_tokens=4) is None
    assert find_run(store, model, case, target="a tower", **FOUR) is None
    assert find_run(store, replace(model, revision="other"), case, **FOUR) is None


def test_a_forced_answer_is_kept_apart_and_found_by_its_words(store, model, case):
    first = answer(store, model, case, target=" a tower", **FOUR)
    found = find_run(store, model, case, target="a tower ", **FOUR)
    assert found.id == first.id
    assert found.run.target == " a tower"
    assert not answer(store, model, case, **FOUR).stored


def test_a_fresh_run_is_kept_beside_the_old_one_and_found_first(store, model, case):
    first = answer(store, model, case, **FOUR)
    fresh = answer(store, model, case, fresh=True, **FOUR)
    assert not fresh.stored
    assert fresh.id != first.id
    assert find_run(store, model, case, **FOUR).id == fresh.id
    assert load_run(store, first.id).answer == first.run.answer


def test_a_run_whose_trace_was_damaged_is_asked_again(store, model, case):
    first = answer(store, model, case, **FOUR)
    with store.reading() as session:
        path = files.path_of(store.folder, session.get(RunRow, first.id).trace)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="was changed"):
        load_run(store, first.id)
    assert not answer(store, model, case, **FOUR).stored


def test_a_full_disk_saves_nothing_and_says_so(store, run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StoreError, match="full, so nothing was saved"):
            save_run(store, run)
    assert check(store, abandoned=0).clean
    assert load_run(store, save_run(store, run)) == run


@pytest.mark.parametrize(("load", "what"), [(load_case, "case"), (load_run, "run")])
def test_what_was_never_saved_is_told(store, load, what):
    with pytest.raises(StoreError, match=f"There is no {what} 7"):
        load(store, 7)


def test_a_stored_run_has_the_identity_of_the_run(store, run, model, case):
    back = load_run(store, save_run(store, run))
    assert identity_of(back) == identity_of(run)
    assert unlike_case(run, back) is unlike_network(run, back) is None
    assert identity_of(model.ask(case, target="a tower")) != identity_of(run)


def test_what_the_mode_of_a_model_keeps_is_asked_for_stored_and_looked_up(store, model, case):
    basic = answer(store, model, case, max_new_tokens=2)
    assert basic.run.vision == ()
    full = replace(model, mode=FULL)
    assert find_run(store, full, case, max_new_tokens=2) is None  # that run has no vision rows
    first = answer(store, full, case, max_new_tokens=2)
    assert not first.stored
    assert first.run.vision[0].layers == tuple(range(model.vision_depth))
    again = answer(store, full, case, max_new_tokens=2)
    assert again.stored
    assert again.run.vision[0].layers == first.run.vision[0].layers
    one = answer(store, model, case, max_new_tokens=2, layers=[1], vision_layers=[0])
    assert (one.run.trace.layers, one.run.vision[0].layers) == ((1,), (0,))
    assert find_run(store, model, case, max_new_tokens=2, layers=[1], vision_layers=[0]).id == one.id


@pytest.mark.parametrize("wish", [{"top": -1}, {"max_new_tokens": 0}, {"layers": ["x"]}, {"vision_layers": [99]}])
def test_nonsense_is_refused_before_anything_is_looked_up(store, model, case, wish):
    with pytest.raises(QwenVLDebugError, match=r"\.$"):
        answer(store, model, case, **wish)


def test_a_run_with_thinking_is_not_recalled_for_one_without(store, case, tmp_path):
    folder = tiny_checkpoint(tmp_path / "thinker", "qwen3_vl")
    (folder / "chat_template.jinja").write_text(QWEN3_5)
    model = load_model(folder)
    first = answer(store, model, case, max_new_tokens=3)
    assert answer(store, model, case, max_new_tokens=3).stored
    off = answer(store, model, case, max_new_tokens=3, thinking=False)
    assert not off.stored
    assert (first.run.cut, off.run.cut) == ("thoughts", "answer")
    back = load_run(store, first.id)
    assert (back.thoughts, back.answer, back.cut) == (first.run.thoughts, "", "thoughts")
    assert answer(store, model, case, max_new_tokens=3, thinking=False).run == off.run
