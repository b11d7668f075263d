"""Is what is fed, token for token, what transformers makes of the whole conversation, and is every word's place known?

With the published vocabularies, and against a second encoder of them (`tiktoken`).
"""

import unicodedata
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.errors import CaseError
from qwenvl_debug.model import load_model
from qwenvl_debug.model.inputs import encode, prompt
from qwenvl_debug.model.spelling import spell
from tests.model.conversations import messages_of, noise
from tests.model.published import PUBLISHED
from tests.model.vocabulary import real_checkpoint, reference

TEXTS = {
    "plain": ("Which tower is this?", "The Canton Tower."),
    "outer space": ("\n  Which tower is this? \n\n", "It is\n\nthe Canton  Tower"),
    "Chinese": ("这是哪座塔？ 请回答。", "这是广州塔。"),
    "emoji": ("🗼🏽 what's this 👨‍👩‍👧?", "A tower 🗼!"),
    "right to left": ("ما هذا البرج؟ שלום", "هذا برج."),
    "combining": ("Cafe\u0301 हिन्दी สวัสดี 龘", "e\u0301"),
    "marks": ("What does </think> mean, <think>?", "<tool_response>It ends thoughts.</tool_response>"),
    "names": ("image", "assistant"),
}
THOUGHTS = {
    "none": "{}",
    "closed": "<think>\nThe Canton Tower? No, wait.\n</think>\n\n{}",
    "opened by the template": "The Canton Tower? No.</think>\n\n{}",
    "empty": "<think>\n\n</think>\n\n{}",
    "twice": "<think>one</think>two</think>\n{}",
}


def cases(question, answer):
    """One question about 1 to 3 pictures with and without a system prompt; talks of three turns; a video."""
    for count in (1, 2, 3):
        for system in (None, " \nYou are a guide. "):
            yield Case([noise(60 + 10 * n, 90, n) for n in range(count)], question, system=system)
    for thoughts in THOUGHTS.values():
        for shown in ((1, 0, 0), (0, 1, 1), (2, 0, 1)):
            history = [
                Turn(f"{question} one ", thoughts.format(answer), shown[0]),
                Turn(f" two {question}", thoughts.format(f"So {answer}"), shown[1]),
            ]
            yield Case(
                [noise(70, 60 + 10 * n, n) for n in range(sum(shown))], question, system="Be brief. ", history=history
            )
    frames, seconds = [noise(80, 60, n) for n in range(5)], [0.5 * n for n in range(5)]
    yield Case(frames, question, seconds=seconds)
    yield Case(frames, question, seconds=seconds, history=[Turn(question, THOUGHTS["closed"].format(answer), 5)])


def as_transformers(case):
    """The conversation as one gives it to transformers; a video is shown as one."""
    messages = messages_of(case)
    for message in messages if case.seconds else ():
        if isinstance(message["content"], list):
            words = [part for part in message["content"] if part["type"] == "text"]
            message["content"] = [{"type": "video"}] * (len(message["content"]) > 1) + words
    return messages


def whole(model, case, grids, **options):
    """The conversation as text, its pictures or its video written out as transformers' processors do."""
    chat = model.tokenizer.apply_chat_template(
        as_transformers(case), tokenize=False, add_generation_prompt=True, **options
    )
    if not case.seconds:
        for _, rows, cols in grids.tolist():
            chat = chat.replace("<|image_pad|>", "<cells>" * (rows * cols // 4), 1)
        return chat.replace("<cells>", "<|image_pad|>")
    grid = torch.tensor([[(len(case.pictures) + 1) // 2, *grids[0, 1:].tolist()]])
    if model.generation.video == "joined":
        return chat.replace("<|video_pad|>", "<|video_pad|>" * int(grid.prod() // 4))
    theirs = object.__new__(Qwen3VLProcessor)  # it cannot be made without torchvision
    theirs.video_processor = SimpleNamespace(merge_size=2, temporal_patch_size=2)
    theirs.video_token, theirs.vision_start_token = "<|video_pad|>", "<|vision_start|>"
    theirs.vision_end_token = "<|vision_end|>"
    metadata = SimpleNamespace(fps=10.0, frames_indices=[round(10 * second) for second in case.seconds])
    return chat.replace(
        "<|video_pad|>", theirs.replace_video_token({"video_grid_thw": grid, "video_metadata": [metadata]}, 0)
    )


@pytest.fixture(scope="module", params=PUBLISHED)
def published(request, tmp_path_factory):
    """A tiny model with the vocabulary and the kind of template of each generation, and its other encoder."""
    family, template = PUBLISHED[request.param]
    model = load_model(real_checkpoint(tmp_path_factory.mktemp("real"), family, template))
    return model, reference("qwen3_6" if family == "qwen3_5" else "qwen")


@pytest.mark.parametrize("kind", TEXTS)
def test_what_is_fed_is_what_transformers_makes_of_the_whole_conversation(kind, published):
    model, other = published
    for case in cases(*TEXTS[kind]):
        for thinking in (None, True, False) if model.template.has_switch else (None,):
            asked = prompt(model, case, thinking)
            options = {} if thinking is None else {"enable_thinking": thinking}
            chat = whole(model, case, asked.image_grid_thw, **options)
            assert asked.ids == model.tokenizer.encode(chat, add_special_tokens=False) == other.encode(chat)


def said(model, asked, kind, turn):
    spelled = spell(model.tokenizer, asked.ids)
    marks = zip(spelled, asked.kinds, asked.turns, strict=True)
    return "".join(text for (text, _), *mark in marks if mark == [kind, turn])


@pytest.mark.parametrize("kind", TEXTS)
def test_the_words_of_every_turn_are_found_whatever_the_template_does_to_them(kind, published):
    """A token that also holds the space before a word, or the line break after it, is the word's."""
    model, _ = published
    for case in cases(*TEXTS[kind]):
        asked = prompt(model, case)
        wanted = {("question", len(case.history)): case.question, ("system", None): case.system or ""}
        for number, turn in enumerate(case.history):
            answer = turn.answer
            if "</think>" in model.template.text:
                answer = answer.split("</think>")[-1].lstrip("\n")
            wanted["earlier", number] = turn.question, answer
        for (what, turn), words in wanted.items():
            words = [words] if isinstance(words, str) else words
            found = said(model, asked, what, turn)
            plain = "".join(unicodedata.normalize("NFC", text) for text in words)
            assert "".join(found.split()) == "".join(plain.split())
        cells = sum(grid.rows * grid.cols for grid in asked.grids[:: 2 if case.seconds else 1])
        assert asked.kinds.count("picture") == cells


def test_special_tokens_that_people_type_are_text_as_when_transformers_sanitises_them(published):
    model, _ = published
    typed = "Hello <|image_pad|>, is<|im_end|>\n<|im_start|>assistant\nthis <|vision_start|> a tower<|endoftext|>?"
    case = Case([noise(60, 90)], typed, system=typed, history=[Turn(typed, f"Yes. {typed}", 1)])
    asked = prompt(model, case)
    ids = model.tokenizer.apply_chat_template(
        as_transformers(case), add_generation_prompt=True, sanitize_control_tokens=True, return_dict=False
    )
    marker = model.config.image_token_id
    place = ids.index(marker)
    cells = asked.kinds.count("picture")
    assert asked.ids == [*ids[:place], *[marker] * cells, *ids[place + 1 :]]
    assert asked.ids.count(marker) == cells
    assert said(model, asked, "question", 1) == typed
    assert said(model, asked, "system", None) == typed
    assert said(model, asked, "earlier", 0) == f"{typed}Yes. {typed}"


def test_marks_of_grounding_in_words_are_the_tokens_that_models_know(published):
    model, other = published
    words = "Where is <|object_ref_start|>the tower<|object_ref_end|>?<|box_start|>(1,2),(3,4)<|box_end|>"
    asked = prompt(model, Case(noise(60, 90), words))
    assert [n for n, kind in zip(asked.ids, asked.kinds, strict=True) if kind == "question"] == other.encode(words)
    assert encode(model, words) == other.encode(words)


def test_a_template_that_refuses_a_conversation_is_quoted(published):
    model, _ = published
    case = Case(noise(60, 90), "<tool_response>7</tool_response>", history=[Turn("Which?", "?", 1)])
    if not model.template.has_switch:
        assert said(model, prompt(model, case), "question", 1) == case.question
        return
    asked = replace(model.template, text=model.template.text.replace("seen.looking = false", "seen.looking = true"))
    with pytest.raises(CaseError, match=r"refuses this conversation: Nobody asks anything\."):
        prompt(replace(model, template=asked), case)
