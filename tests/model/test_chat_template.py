"""Is the checkpoint's own chat template the one that is used, and can none of them stop the program?"""

import json
from dataclasses import replace

import pytest
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from qwenvl_debug.case import Case, Turn
from qwenvl_debug.errors import CaseError, ModelLoadError
from qwenvl_debug.model import load_model, renderer
from qwenvl_debug.model.inputs import prompt
from qwenvl_debug.model.renderer import RENDERER
from tests.model.conversations import messages_of, noise
from tests.model.tiny import TEMPLATE

GIVEN = "You are a helpful assistant."
CASE = Case(noise(60, 60), "Which tower is this?")


def with_prompt(system):
    """The tiny checkpoints' template with another system prompt, by which it is known."""
    return TEMPLATE.replace(GIVEN, system)


FILES = {
    "processor_config.json": lambda folder: folder.joinpath("processor_config.json").write_text(
        json.dumps({"chat_template": with_prompt("processor_config.json")})
    ),
    "chat_template.json": lambda folder: folder.joinpath("chat_template.json").write_text(
        json.dumps({"chat_template": with_prompt("chat_template.json")})
    ),
    "chat_template.jinja": lambda folder: folder.joinpath("chat_template.jinja").write_text(
        with_prompt("chat_template.jinja")
    ),
    "additional_chat_templates/default.jinja": lambda folder: _named(folder, "default"),
    "tokenizer_config.json": lambda folder: _in_tokenizer(folder, with_prompt("tokenizer_config.json")),
}
"""What writes a template into each file that can hold one, known by the file's name as its system prompt."""


def _named(folder, name):
    (folder / "additional_chat_templates").mkdir(exist_ok=True)
    path = folder / "additional_chat_templates" / f"{name}.jinja"
    path.write_text(with_prompt(f"additional_chat_templates/{name}.jinja"))


def _in_tokenizer(folder, template):
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))


def system_fed(model):
    asked = prompt(model, CASE)
    return model.tokenizer.decode(asked.ids).split("system\n")[1].split("<|im_end|>")[0]


@pytest.mark.parametrize(
    ("there", "used"),
    [
        (["tokenizer_config.json"], "tokenizer_config.json"),
        (["chat_template.jinja", "tokenizer_config.json"], "chat_template.jinja"),
        (["chat_template.json", "tokenizer_config.json"], "chat_template.json"),
        (["chat_template.json", "chat_template.jinja"], "chat_template.json"),
        (["additional_chat_templates/default.jinja"], "additional_chat_templates/default.jinja"),
        (["additional_chat_templates/default.jinja", "chat_template.jinja"], "chat_template.jinja"),
        (["chat_template.json", "chat_template.jinja", "processor_config.json"], "processor_config.json"),
    ],
)
def test_the_template_is_the_one_that_transformers_processors_use(there, used, copy):
    (copy / "chat_template.jinja").unlink()
    for file in there:
        FILES[file](copy)
    model = load_model(copy)
    assert system_fed(model) == used
    assert model.template.label.startswith(f"{used} (")
    for processor in (Qwen2_5_VLProcessor, Qwen3VLProcessor):
        theirs = processor.get_processor_dict(str(copy))[0].get("chat_template")
        theirs = theirs["default"] if isinstance(theirs, dict) else theirs
        assert theirs == (None if used == "tokenizer_config.json" else model.template.text)
    run = model.ask(CASE, max_new_tokens=1)
    assert run.provenance.settings["chat_template"] == model.template.label


def test_of_several_templates_the_default_is_used(copy):
    (copy / "chat_template.jinja").unlink()
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": with_prompt("the default")}]
    _in_tokenizer(copy, named)
    assert system_fed(load_model(copy)) == "the default"
    (copy / "chat_template.json").write_text(json.dumps({"chat_template": named[1:]}))
    assert system_fed(load_model(copy)) == "the default"


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda f: _named(f, "rag"), r"several chat templates \(rag\), and none is named “default”"),
        (
            lambda f: _in_tokenizer(f, [{"name": "tools", "template": "x"}]),
            r"several chat templates \(tools\), and none is named “default”",
        ),
        (lambda f: [_named(f, "rag"), FILES["chat_template.json"](f)], "which transformers refuses"),
        (lambda f: (f / "chat_template.json").write_text("{}"), "its chat_template.json holds no chat_template"),
        (lambda f: (f / "chat_template.json").write_text("{"), "its chat_template.json cannot be read"),
        (lambda f: None, "no chat template"),
    ],
)
def test_a_checkpoint_without_a_usable_template_is_refused_in_one_sentence(prepare, sentence, copy):
    (copy / "chat_template.jinja").unlink()
    prepare(copy)
    with pytest.raises(ModelLoadError, match=sentence):
        load_model(copy)


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "condition",
    [
        "messages | length > 6",  # only in the fourth turn
        "'龘' in (messages | string)",  # only for a certain word
        "messages[0].role == 'system' and messages[0].content | length > 20",
    ],
)
def test_a_template_that_ends_only_for_simple_conversations_is_stopped(condition, copy):
    (copy / "chat_template.jinja").write_text(TEMPLATE + f"{{% if {condition} %}}{ENDLESS}{{% endif %}}")
    model = load_model(copy)
    before = prompt(model, CASE).ids
    caught = Case(
        noise(60, 60), "龘?", system="You are a guide who knows towers.", history=[Turn("Which?", "A tower.")] * 3
    )
    with pytest.raises(ModelLoadError, match=r"takes too long or too much memory to write out this conversation\."):
        prompt(model, caught)
    assert prompt(model, CASE).ids == before  # another process renders from here on


def test_rendering_goes_on_in_a_new_process_when_the_old_one_is_gone(tiny):
    before = prompt(tiny(), CASE).ids
    RENDERER._child.kill()
    RENDERER._child.wait()
    assert prompt(tiny(), CASE).ids == before


def test_where_no_process_can_be_started_templates_are_rendered_all_the_same(tiny, monkeypatch, caplog):
    before = prompt(tiny(), CASE).ids
    for program in ("/nowhere/python", "/bin/false"):
        RENDERER.stop()
        monkeypatch.setattr(renderer, "_PYTHON", program)
        assert prompt(tiny(), CASE).ids == before
        assert "without limits" in caplog.text
    RENDERER.stop()


@pytest.mark.parametrize(
    ("template", "error", "sentence"),
    [
        (
            "{% for m in messages %}{{ m.role + m.content }}{% endfor %}",
            ModelLoadError,
            r"\(chat_template.jinja\) cannot be used: it takes words only and has no place for pictures",
        ),
        (
            "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}",
            CaseError,
            "refuses this conversation: System role not supported",
        ),
        ("{{ nothing.at.all }}", ModelLoadError, "cannot be used: 'nothing' is undefined"),
        ("{% for %}", ModelLoadError, "cannot be used: "),
        (TEMPLATE.replace("part.text", "''"), ModelLoadError, "leaves out words of the conversation"),
        (TEMPLATE.replace("<|image_pad|>", ""), ModelLoadError, "leaves out a picture of the conversation"),
    ],
)
def test_a_template_that_cannot_write_the_conversation_says_why(template, error, sentence, tiny):
    model = replace(tiny(), template=replace(tiny().template, text=template))
    with pytest.raises(error, match=sentence):
        prompt(model, replace(CASE, system="Be brief."))


@pytest.mark.parametrize("words", ["part.text", "part['text'] + ''"])
def test_a_template_that_takes_lists_of_parts_from_everybody_is_given_them(words, tiny):
    parts = TEMPLATE[TEMPLATE.index("{%- for part in message.content %}") :].replace("part.text", words)
    text = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' }}" + parts.replace(
        "{%- endif %}\n{{- '<|im_end|>", "{{- '<|im_end|>", 1
    )
    model = replace(tiny(), template=replace(tiny().template, text=text))
    case = Case(noise(60, 60), "And this?", system="Be brief.", history=[Turn("Which?", "A tower.", 1)])
    asked = prompt(model, case)
    cells = "<|image_pad|>" * asked.kinds.count("picture")
    assert model.tokenizer.decode(asked.ids) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        f"<|im_start|>user\n<|vision_start|>{cells}<|vision_end|>Which?<|im_end|>\n"
        "<|im_start|>assistant\nA tower.<|im_end|>\n<|im_start|>user\nAnd this?<|im_end|>\n<|im_start|>assistant\n"
    )


REWRITING = {
    "upper": TEMPLATE.replace("part.text", "part.text | upper"),
    "escaped": TEMPLATE.replace("part.text", "part.text | tojson"),
    "date": "{{ strftime_now('%Y') }}" + TEMPLATE,
    "tested": TEMPLATE.replace("part.text", "part.text + (' Answer briefly.' if 'tower' in part.text else '')"),
}


@pytest.mark.parametrize("how", REWRITING)
def test_a_template_that_rewrites_words_is_fed_as_it_writes_and_the_words_are_still_found(how, tiny):
    template = replace(tiny().template, text=REWRITING[how])
    model = replace(tiny(), template=template)
    model.tokenizer.chat_template = REWRITING[how]
    try:
        asked = prompt(model, CASE)
        chat = model.tokenizer.apply_chat_template(messages_of(CASE), tokenize=False, add_generation_prompt=True)
    finally:
        model.tokenizer.chat_template = TEMPLATE
    cells = asked.kinds.count("picture")
    expected = chat.replace("<|image_pad|>", "<|image_pad|>" * cells)
    assert asked.ids == model.tokenizer.encode(expected, add_special_tokens=False)
    question = [token for token, kind in zip(asked.ids, asked.kinds, strict=True) if kind == "question"]
    assert model.tokenizer.decode(question).strip('"').lower() == CASE.question.lower()


def test_special_tokens_in_words_that_a_template_rewrites_are_refused_rather_than_mistaken(tiny):
    model = replace(tiny(), template=replace(tiny().template, text=REWRITING["escaped"]))
    with pytest.raises(CaseError, match=r"rewrites the words, so that the special token <\|image_pad\|> in them"):
        prompt(model, replace(CASE, question='Is "this" <|image_pad|>?'))


def test_a_long_conversation_is_rendered_in_little_time(tiny):
    """Thousands of words in two dozen turns, in which stand-ins come round again."""
    talk = [Turn("word " * 1_000, "other " * 1_000) for _ in range(12)]
    case = Case(noise(60, 60), "And now? " * 500, history=talk)
    model = replace(tiny(), template=replace(tiny().template))
    model.config.get_text_config().max_position_embeddings = 10**6
    try:
        asked = prompt(model, case)
    finally:
        model.config.get_text_config().max_position_embeddings = 4096
    words = [
        model.tokenizer.decode(
            [t for t, k, n in zip(asked.ids, asked.kinds, asked.turns, strict=True) if n == turn and k != "picture"]
        )
        for turn in range(13)
    ]
    assert [text.strip() for text in words[:12]] == [("word " * 1_000).strip() + ("other " * 1_000).rstrip()] * 12
    assert words[12].strip() == case.question.strip()
