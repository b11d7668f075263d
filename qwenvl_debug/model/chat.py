"""A case as a chat: what the checkpoint's template writes, and which of its characters are whose.

The conversation is rendered with its real words, by transformers' own function, so that templates which read the words
(trim them, drop the thoughts of earlier answers, split at `</think>`) write what they write anywhere else. Whose a
character is, `model.attribution` finds; what it does not find counts as the template's, and nothing of that changes
what is fed.

Words may hold what looks like a special token (a typed `<|image_pad|>`). It is fed as the plain text it is, as by
`apply_chat_template(..., sanitize_control_tokens=True)`; the marks of grounding, which models write in answers and
people write in questions, stay the tokens they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from transformers import PreTrainedTokenizerBase

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaseError, ModelLoadError, QwenVLDebugError
from qwenvl_debug.model.attribution import Part, marks_of, owners_of, searched, stand_ins
from qwenvl_debug.model.chat_template import ChatTemplate
from qwenvl_debug.model.thoughts import split_thoughts

_GROUNDING = re.compile(r"<\|(?:object_ref|box|quad)_(?:start|end)\|>")


@dataclass(frozen=True)
class Chat:
    """A rendered conversation.

    Attributes:
        text: what the template wrote.
        parts: what was said, in order.
        owners: for each character of the text, the number of the part it belongs to; -1 for the template.
    """

    text: str
    parts: tuple[Part, ...]
    owners: list[int]

    @property
    def tail(self) -> str:
        """What the template wrote after the last words: the beginning of the answer."""
        last = next((place for place in reversed(range(len(self.owners))) if self.owners[place] >= 0), -1)
        return self.text[last + 1 :]

    def with_end(self, more: str) -> Chat:
        """The same with more text of the template at its end."""
        return Chat(self.text + more, self.parts, [*self.owners, *[-1] * len(more)])


def render_chat(template: ChatTemplate, case: Case, controls: re.Pattern[str], thinking: bool | None = None) -> Chat:
    """Render the conversation of a case up to where the answer begins.

    Args:
        template: the checkpoint's.
        case: the conversation.
        controls: special tokens, see `control_tokens`.
        thinking: turn thinking on or off; None leaves it to the template.

    Raises:
        CaseError: the template refuses this conversation or cannot turn thinking on or off, or rewrites words in which
            special tokens were typed.
        ModelLoadError: the template cannot be used, or leaves out words.
    """
    try:
        return _rendered(template, case, controls, thinking, lists=False)
    except ModelLoadError:
        if case.system is None and not case.history:
            raise
        with suppress(QwenVLDebugError):  # of two reasons the first is the one to be told
            return _rendered(template, case, controls, thinking, lists=True)
        raise


def _rendered(
    template: ChatTemplate, case: Case, controls: re.Pattern[str], thinking: bool | None, *, lists: bool
) -> Chat:
    """As `render_chat`; with `lists`, everybody's words are given as lists of parts, which some templates expect."""
    options = template.options(thinking)
    parts = _parts(case)
    said = "".join(part.text for part in parts)
    marks = marks_of(template.text, controls)
    forms = [said, stand_ins(said, None)] + [stand_ins(said, marks)] * bool(marks and marks.search(said))
    chats = [{"messages": _messages(case, parts, form, lists), "options": options} for form in forms]
    results = template.render(chats)
    error, text = results[0]
    if error is not None:
        raise _refusal(template, error, text)
    owners = next((found for _, other in results[1:] if (found := owners_of(text, other, parts)) is not None), None)
    if owners is None:
        if typed := controls.search(said):
            raise CaseError(
                f"The chat template of “{template.name}” rewrites the words, so that the special token {typed[0]} in "
                "them cannot be fed as text: remove it."
            )
        owners = searched(text, parts)
    for number, part in enumerate(parts):
        wanted = part.text
        if part.kind == "earlier":  # templates drop the thoughts of earlier answers
            wanted = wanted[split_thoughts(wanted, opened=False) :]
        if wanted.strip() and number not in owners and wanted.strip() not in text:
            raise ModelLoadError(f"The chat template of “{template.name}” leaves out words of the conversation.")
    return Chat(text, parts, owners)


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Return what finds special tokens in words, but for those of grounding."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    longest_first = sorted((one for one in special if not _GROUNDING.fullmatch(one)), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def encode_words(tokenizer: PreTrainedTokenizerBase, text: str, controls: re.Pattern[str]) -> list[int]:
    """Return the tokens of words outside a conversation; special tokens in them are plain text."""
    everywhere = Chat(text, (), [0] * len(text))
    return [token for token, _ in encode_chat(tokenizer, everywhere, controls)]


def encode_chat(tokenizer: PreTrainedTokenizerBase, chat: Chat, controls: re.Pattern[str]) -> list[tuple[int, int]]:
    """Return the tokens of a chat, each with the number of the part it belongs to, or -1.

    The text is encoded as a whole, so that tokens reach over the edges of the words as they do in transformers. A token
    belongs to the first part of which it holds a character.
    """
    typed = [found.span() for found in controls.finditer(chat.text) if max(chat.owners[slice(*found.span())]) >= 0]
    edges = [0, *(edge for span in typed for edge in span), len(chat.text)]
    tokens: list[tuple[int, int]] = []
    for number, (start, end) in enumerate(pairwise(edges)):
        if start == end:
            continue
        encoded = tokenizer(
            chat.text[start:end],
            add_special_tokens=False,
            split_special_tokens=number % 2 == 1,  # every other piece was typed
            return_offsets_mapping=True,
            verbose=False,  # whether it is too long is told elsewhere
        )
        for token, (first, last) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            inside = chat.owners[start + first : start + last]
            tokens.append((token, next((owner for owner in inside if owner >= 0), -1)))
    return tokens


def _parts(case: Case) -> tuple[Part, ...]:
    parts = [] if case.system is None else [Part("system", None, case.system)]
    for turn, (question, answer, _) in enumerate(case.turns):
        parts.append(Part("question" if answer is None else "earlier", turn, question))
        if answer is not None:
            parts.append(Part("earlier", turn, answer))
    return tuple(parts)


def _messages(case: Case, parts: Sequence[Part], form: str, lists: bool) -> list[dict[str, Any]]:
    """The conversation as one gives it to transformers, in another form of its words of the same length."""
    texts, place = [], 0
    for part in parts:
        texts.append(form[place : place + len(part.text)])
        place += len(part.text)
    words = iter(texts)
    messages: list[dict[str, Any]] = [] if case.system is None else [{"role": "system", "content": next(words)}]
    for _, answer, shown in case.turns:
        pictures = [{"type": "video"}] * bool(shown) if case.seconds else [{"type": "image"}] * len(shown)
        messages.append({"role": "user", "content": [*pictures, {"type": "text", "text": next(words)}]})
        if answer is not None:
            messages.append({"role": "assistant", "content": next(words)})
    for message in messages if lists else ():
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
    return messages


def _refusal(template: ChatTemplate, error: str, message: str | None) -> CaseError | ModelLoadError:
    """What to say of an error that the template raised, on purpose (`raise_exception`) or not."""
    if error == "TemplateError":
        return CaseError(f"The chat template of “{template.name}” refuses this conversation: {message}")
    words_only = [{"role": "user", "content": "?"}]
    if template.render([{"messages": words_only, "options": {}}])[0][0] is None:
        return ModelLoadError(
            f"The chat template of “{template.name}” ({template.source}) cannot be used: it takes words only and has "
            f"no place for pictures ({message})."
        )
    return ModelLoadError(f"The chat template of “{template.name}” cannot be used: {message}")
