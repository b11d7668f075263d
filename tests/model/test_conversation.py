"""Does a conversation of several turns and pictures become the right tokens, and are its rows those of eager?"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.maps import map_stack, picture_shares, question_query, row_shares, turn_shares
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.run_checks import all_passed, run_checks
from tests.model.conversations import TYPED, messages_of, three_turns
from tests.model.test_capture_language import eager_rows, generated, untouched
from tests.model.tiny import EVERY_FAMILY, FAMILIES, tiny_checkpoint


def text_of(run, kind, turn):
    return "".join(token.text for token in run.tokens if (token.kind, token.turn) == (kind, turn))


def without_typing(case):
    """The same conversation, in which nobody types markers, so that it can be rendered whole."""
    return replace(
        case,
        question=case.question.replace(TYPED, ""),
        system=case.system.replace(TYPED, ""),
        history=[Turn(t.question.replace(TYPED, ""), t.answer.replace(TYPED, ""), t.pictures) for t in case.history],
    )


@pytest.mark.parametrize("family", EVERY_FAMILY)
def test_rows_equal_eager_attention_and_the_answer_is_the_plain_one(family, checkpoint, tiny):
    model, case = tiny(family), three_turns()
    run = model.ask(case, max_new_tokens=5)
    answer = generated(untouched(checkpoint(family), "eager"), model, case, 5, output_attentions=True)
    assert [token.id for token in run.tokens] == answer.sequences[0].tolist()
    assert [token.id for token in run.tokens[run.last_prompt + 1 :]] == model.plain(case, 5)
    for layer, eager in zip(run.trace.layers, eager_rows(answer), strict=True):
        ours = run.trace.weights(layer)
        assert np.abs(ours[..., :-1] - eager[:, run.trace.positions]).max() <= 1e-5
    assert all_passed(run_checks(run))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_prompt_is_the_checkpoints_own_chat_over_all_turns(family, tiny):
    model, case = tiny(family), without_typing(three_turns())
    asked = prompt(model, case)
    chat = model.tokenizer.apply_chat_template(messages_of(case), tokenize=False, add_generation_prompt=True)
    for _, rows, cols in asked.image_grid_thw.tolist():
        chat = chat.replace("<|image_pad|>", "<cells>" * (rows * cols // 4), 1)
    assert asked.ids == model.tokenizer.encode(chat.replace("<cells>", "<|image_pad|>"), add_special_tokens=False)


def test_words_of_every_turn_are_told_apart_and_markers_that_people_type_stay_words(tiny):
    case = three_turns()
    run = tiny().ask(case, max_new_tokens=3)
    for number, turn in enumerate(case.history):
        assert text_of(run, "earlier", number) == turn.question + turn.answer
    assert text_of(run, "question", 2) == case.question
    assert text_of(run, "system", None) == case.system
    assert "".join(run.tokens[n].text for n in question_query(run).tokens) == case.question
    marker = tiny().config.image_token_id
    cells = sum(len(grid.positions) for grid in run.grids)
    assert [token.picture is not None for token in run.tokens] == [token.id == marker for token in run.tokens]
    assert cells == sum(token.id == marker for token in run.tokens)
    assert {token.turn for token in run.tokens if token.kind in ("answer", "end")} == {2}
    assert {token.turn for token in run.tokens if token.kind == "template"} == {None}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_cells_of_each_picture_stand_where_the_network_places_them(family, tiny):
    """A picture's cells have two-dimensional positions: rows and columns as in its grid, from a start of its own."""
    model, case = tiny(family), three_turns()
    asked = prompt(model, case)
    feed = asked.feed(model.device)
    positions, _ = model.network.model.get_rope_index(**{k: v for k, v in feed.items() if k != "pixel_values"})
    assert [asked.turns[grid.positions[0]] for grid in asked.grids] == [0, 0, 2]
    for grid, (width, height) in zip(asked.grids, ((150, 90), (60, 130), (20, 20)), strict=True):
        assert np.sign(grid.cols - grid.rows) == np.sign(width - height)
        _, down, right = positions[:, 0, grid.positions.copy()].view(3, grid.rows, grid.cols) - positions[:, 0].min()
        assert torch.equal(down - down[0, 0], torch.arange(grid.rows)[:, None].expand(grid.rows, grid.cols))
        assert torch.equal(right - right[0, 0], torch.arange(grid.cols).expand(grid.rows, grid.cols))
    starts = [int(positions[0, 0, grid.positions[0]]) for grid in asked.grids]
    assert starts == sorted(set(starts))


def test_a_white_patch_lights_its_cell_in_the_picture_that_it_is_on(tmp_path):
    """Layer 0 of a model set by hand looks for brightness alone; the patch is on one of three pictures at a time."""
    model = load_model(tiny_checkpoint(tmp_path, "qwen2_vl"))
    visual, language = model.network.model.visual, model.network.model.language_model
    with torch.no_grad():
        for parameter in visual.parameters():
            parameter.zero_()
        visual.patch_embed.proj.weight[0] = 1.0  # channel 0 of a patch is its brightness
        visual.merger.ln_q.weight.fill_(1.0)
        for linear in (visual.merger.mlp[0], visual.merger.mlp[2]):
            torch.nn.init.eye_(linear.weight)
        visual.blocks[0].norm1.weight.fill_(1.0)
        layer = language.layers[0]
        layer.input_layernorm.weight.fill_(1.0)
        for part in (layer.self_attn.q_proj, layer.self_attn.k_proj):
            part.weight.zero_()
            part.bias.zero_()
        # The last pair of a head's dimensions turns least with the position.
        layer.self_attn.q_proj.bias.view(4, 16)[:, 7] = 20.0
        layer.self_attn.k_proj.weight.view(2, 16, 64)[:, 7, 0] = 1.0
    for which in range(3):
        pictures = [np.zeros((112, 168, 3), np.uint8) for _ in range(3)]
        pictures[which][28:56, 112:140] = 255
        case = Case(pictures, "Where?", history=(Turn("What?", "A cat.", 2),))
        run = model.ask(case, max_new_tokens=1)
        seen = [map_stack(run, picture=picture, normalisation="row").mean[0] for picture in range(3)]
        assert np.argmax([one.max() for one in seen]) == which
        assert np.unravel_index(seen[which].argmax(), seen[which].shape) == (1, 4)


def test_shares_by_turn_and_by_picture_are_those_of_the_row_and_stand_beside_chance(tiny):
    case = three_turns()
    run = tiny().ask(case, max_new_tokens=4)
    query = question_query(run)
    turns, pictures, kinds = turn_shares(run, query), picture_shares(run, query), row_shares(run, query)
    assert turns.names == ("turn 1", "turn 2", "this turn")
    for shares in (turns, pictures):
        assert shares.values.shape == (3, 4, 3)
        assert np.allclose(shares.values.sum(-1) + shares.rest, 1, atol=1e-5)
    for picture in range(3):
        share = map_stack(run, query, picture).image_share
        assert np.allclose(pictures.values[..., picture], share, atol=1e-6)
    both = [kinds.kinds.index(kind) for kind in ("picture", "sinks")]
    assert np.allclose(pictures.values.sum(-1), kinds.values[..., both].sum(-1), atol=1e-5)
    rest = [kinds.kinds.index(kind) for kind in ("system", "template")]
    assert np.allclose(turns.rest, kinds.values[..., rest].sum(-1), atol=1e-5)
    # By hand, for one row: the tokens there of all tokens up to it.
    first = run.question_tokens[0]
    for token, row in ((first, first), (run.answer_tokens[1], run.answer_tokens[1] - 1)):
        one = replace(query, tokens=(token,))
        weights = run.trace.weights(1, [row])[:, 0]
        earlier = [t.index for t in run.tokens if t.turn == 0]
        assert np.allclose(turn_shares(run, one).values[1, :, 0], weights[:, earlier].sum(-1), atol=1e-6)
        assert turn_shares(run, one).chance[0] == pytest.approx(len(earlier) / (row + 1))
        seen = [t.index for t in run.tokens if t.turn == 2 and t.index <= row]
        assert turn_shares(run, one).chance[2] == pytest.approx(len(seen) / (row + 1))
        assert picture_shares(run, one).chance == pytest.approx([len(g.positions) / (row + 1) for g in run.grids])


def test_pictures_of_the_first_generation_are_numbered_over_all_turns(tmp_path):
    from tests.model.qwen_vl_1.small import small_checkpoint

    model, case = load_model(small_checkpoint(tmp_path)), three_turns()
    run = model.ask(case, max_new_tokens=4, rows="all")
    chat = "".join(token.text for token in run.tokens if token.kind not in ("picture", "answer", "end"))
    assert chat == (
        f"<|im_start|>system\n{case.system}<|im_end|>\n<|im_start|>user\n"
        "Picture 1: <img></img>\nPicture 2: <img></img>\n"
        f"{case.history[0].question}<|im_end|>\n<|im_start|>assistant\n{case.history[0].answer}<|im_end|>\n"
        f"<|im_start|>user\n{case.history[1].question}<|im_end|>\n<|im_start|>assistant\n{case.history[1].answer}"
        f"<|im_end|>\n<|im_start|>user\nPicture 3: <img></img>\n{case.question}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert [run.tokens[grid.positions[0]].turn for grid in run.grids] == [0, 0, 2]
    assert [token.id for token in run.tokens[run.last_prompt + 1 :]] == model.plain(case, 4)
    feed = prompt(model, case).feed(model.device, more=[token.id for token in run.tokens[run.last_prompt + 1 : -1]])
    with model.turn(), model.attention("eager"), torch.no_grad():
        eager = model.network(**feed, output_attentions=True).attentions
    for layer, weights in enumerate(eager):
        ours = run.trace.weights(layer)[..., : weights.shape[-1]]
        assert np.abs(ours - weights[0].numpy()).max() <= 1e-5
    assert picture_shares(run).values.shape == (3, 4, 3)


def test_a_forced_answer_and_a_neutral_question_keep_the_conversation(tiny):
    from qwenvl_debug.maps import ask_neutral

    case = replace(three_turns(), question="Is it red?")
    run = tiny().ask(case, max_new_tokens=2)
    assert [t.id for t in run.force("红色").tokens[: run.last_prompt + 1]] == [
        t.id for t in run.tokens[: run.last_prompt + 1]
    ]
    neutral = ask_neutral(run)
    assert neutral.case.history == case.history
    assert map_stack(run, picture=2, normalisation="ratio", neutral=neutral).values.shape[:2] == (3, 4)


def test_sides_that_differ_in_earlier_turns_alone_are_held_against_neutral_runs_of_their_own(tiny):
    from qwenvl_debug.compare import compare

    case = replace(three_turns(), question="Is it red?")
    other = replace(case, history=case.history[:1])
    runs = [tiny().ask(one, max_new_tokens=2) for one in (case, other)]
    comparison = compare(*runs, normalisation="ratio", picture=2, alignment="same frame")
    assert [run.case.history for run in comparison.neutral] == [case.history, other.history]
    same = compare(runs[0], tiny().ask(replace(case, question="Why?"), max_new_tokens=2), normalisation="ratio")
    assert same.neutral[0] is same.neutral[1]
