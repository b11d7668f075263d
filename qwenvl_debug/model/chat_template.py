"""Which chat template does a checkpoint have, and does it come to an end?

The order is that of transformers' processors (`ProcessorMixin.get_processor_dict` of 5.23), which is how Qwen-VL
checkpoints are used, and then that of its tokenizers: `processor_config.json`, `chat_template.json`,
`chat_template.jinja`, `tokenizer_config.json`. Where there are several templates by name, "default" is used.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from qwenvl_debug.errors import CaseError, ModelLoadError
from qwenvl_debug.model import render_child
from qwenvl_debug.model.renderer import RENDERER, RenderingStopped, Result
from qwenvl_debug.model.safety import LARGEST_TEMPLATE, check_size, read_json
from qwenvl_debug.model.thoughts import CLOSE, left_open

NAMED = "additional_chat_templates"
"""The folder of further templates by name."""

_SWITCH = re.compile(r"\benable_thinking\b")
_SAMPLE = "Which one?"


@dataclass(frozen=True)
class ChatTemplate:
    """A checkpoint's chat template.

    Attributes:
        text: Jinja source.
        source: the file it was read from, or whose it is.
        words: the tokenizer's special tokens by name, which a template may use.
        name: what to call the checkpoint in an error.
        trusted: whether it comes with this program, so that it is rendered in this process.
    """

    text: str
    source: str
    words: Mapping[str, str]
    name: str
    trusted: bool = False

    @property
    def label(self) -> str:
        """Which template it is, for people and to tell it from another: its file and eight digits of its hash."""
        return f"{self.source} ({hashlib.sha256(self.text.encode()).hexdigest()[:8]})"

    @property
    def has_switch(self) -> bool:
        """Whether thinking can be turned on and off."""
        return _SWITCH.search(self.text) is not None

    def thinks(self, thinking: bool | None = None) -> bool:
        """Whether the model is expected to think before it answers.

        Args:
            thinking: True or False where it was asked for, None for the template's own way.
        """
        if self.has_switch and thinking is not None:
            return thinking
        return self._thinks

    @cached_property
    def _thinks(self) -> bool:
        """Whether the prompt ends inside thoughts, or leaves it to the model, unless something is asked for."""
        error, text = self.render([_chat(_sample_chats()[0])])[0]
        end = text.rpartition(_SAMPLE)[2] if error is None else ""
        return left_open(end) or (self.has_switch and CLOSE not in end)

    def options(self, thinking: bool | None) -> dict[str, Any]:
        """What the template is given beside the messages.

        Args:
            thinking: turn thinking on or off; None leaves it to the template.

        Raises:
            CaseError: the template cannot do what is asked.
        """
        if thinking is None:
            return {}
        if self.has_switch:
            return {"enable_thinking": thinking}
        if thinking != self.thinks():
            does = "always thinks before it answers" if self.thinks() else "does not think before it answers"
            raise CaseError(f"“{self.name}” {does}: its chat template has no switch for it (enable_thinking).")
        return {}

    def render(self, chats: Sequence[Mapping[str, Any]]) -> list[Result]:
        """Render chats; see `Renderer.render`.

        Raises:
            ModelLoadError: the template takes too long or too much memory.
        """
        if self.trusted:
            return render_child.render({"template": self.text, "words": self.words, "chats": chats})
        try:
            return RENDERER.render(self.text, self.words, chats)
        except RenderingStopped:
            raise ModelLoadError(
                f"“{self.name}” cannot be used: its chat template takes too long or too much memory to write out this "
                "conversation."
            ) from None


def read_chat_template(
    folder: Path, tokenizer: PreTrainedTokenizerBase, name: str, *, trusted: bool = False
) -> ChatTemplate:
    """Return the chat template of a checkpoint, after trying it.

    Args:
        folder: the checkpoint.
        tokenizer: its tokenizer, with the template that `AutoTokenizer` found, if any.
        name: what to call the checkpoint in an error.
        trusted: see `ChatTemplate`.

    Raises:
        ModelLoadError: none, none named "default", one that cannot be read, or one that does not end.
    """
    text, source = _find(folder, name) or (_named(tokenizer.chat_template, name), "tokenizer_config.json")
    if text is None:
        raise ModelLoadError(f"“{name}” has no chat template: choose a checkpoint tuned to answer (Instruct).")
    words = dict(tokenizer.special_tokens_map)
    if not trusted:
        check_chat_template(text, words, name)
    return ChatTemplate(text, source, words, name, trusted)


def _find(folder: Path, name: str) -> tuple[str, str] | None:
    """The template among a checkpoint's own files and the file's name, as transformers' processors find it."""
    if (folder / "processor_config.json").is_file():
        template = read_json(folder / "processor_config.json", name).get("chat_template")
        if template is not None:
            return _named(template, name), "processor_config.json"
    named = sorted((folder / NAMED).glob("*.jinja"))
    if (folder / "chat_template.json").is_file():
        if named:
            raise ModelLoadError(
                f"“{name}” has a chat_template.json and templates in {NAMED}, which transformers refuses: move the "
                "former to chat_template.jinja."
            )
        template = read_json(folder / "chat_template.json", name, LARGEST_TEMPLATE).get("chat_template")
        if template is None:
            raise ModelLoadError(f"“{name}” is broken: its chat_template.json holds no chat_template.")
        return _named(template, name), "chat_template.json"
    default = folder / "chat_template.jinja"
    if not default.is_file():
        default = folder / NAMED / "default.jinja"
    if default.is_file():
        check_size(default, name, LARGEST_TEMPLATE)
        return default.read_text(encoding="utf-8"), default.relative_to(folder).as_posix()
    if named:
        raise ModelLoadError(_no_default(name, [path.stem for path in named]))
    return None


def _named(template: Any, name: str) -> str | None:
    """The template that is used where there are several by name."""
    if isinstance(template, list):
        template = {one.get("name"): one.get("template") for one in template if isinstance(one, dict)}
    if isinstance(template, dict):
        if "default" not in template:
            raise ModelLoadError(_no_default(name, map(str, template)))
        template = template["default"]
    return template if isinstance(template, str) else None


def _no_default(name: str, names: Any) -> str:
    return f"“{name}” has several chat templates ({', '.join(names)}), and none is named “default”: add one."


def check_chat_template(template: str, words: Mapping[str, str], name: str) -> None:
    """Refuse a template that does not end within seconds, or that makes a text no model could read.

    Args:
        template: the Jinja source.
        words: the tokenizer's special tokens by name, which a template may use.
        name: what to call the checkpoint in an error.

    Raises:
        ModelLoadError: the template takes too long or too much memory.
    """
    if not _ends(template, json.dumps(words, sort_keys=True)):
        raise ModelLoadError(
            f"“{name}” is refused: its chat template takes too long or too much memory to write out a simple question."
        )


@lru_cache(maxsize=64)
def _ends(template: str, words: str) -> bool:
    try:  # what the template raises is told where a conversation is rendered
        RENDERER.render(template, json.loads(words), [_chat(messages) for messages in _sample_chats()])
    except RenderingStopped:
        return False
    return True


def _chat(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"messages": messages, "options": {}}


def _sample_chats() -> list[list[dict[str, Any]]]:
    """The kinds of chat this program asks for: a picture, several or a video, a system prompt, several turns."""
    text = {"type": "text", "text": _SAMPLE}
    user = {"role": "user", "content": [{"type": "image"}, text]}
    film = {"role": "user", "content": [{"type": "video"}, text]}
    several = {"role": "user", "content": [{"type": "image"}] * 3 + [text]}
    system, answer = {"role": "system", "content": "!"}, {"role": "assistant", "content": "."}
    return [
        [user],
        [several],
        [film],
        [system, user],
        [user, answer, {"role": "user", "content": [text]}, answer, several],
        [system, user, answer, {"role": "user", "content": [text]}],
    ]
