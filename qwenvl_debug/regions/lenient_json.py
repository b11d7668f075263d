"""JSON as language models write it: read what is meant, in one pass, and never fail.

Next to JSON this takes what answers are known to contain: line breaks within strings, single and typographic quotes,
quotes that were not escaped, missing and trailing commas, names without quotes, tuples, full-width punctuation, closing
brackets that are missing or of the wrong kind, and text that simply ends. Prose around the brackets is skipped.

Reading takes time in proportion to the text: every character is passed once, and a kind of quote that is found to be
never closed is not searched for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Pairs = tuple[str | None, Any]

_OPENERS = {"[": "]", "［": "]", "【": "]", "{": "}", "｛": "}", "(": ")", "（": ")"}
_CLOSERS = {"]": "]", "］": "]", "】": "]", "}": "}", "｝": "}", ")": ")", "）": ")"}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "「": "」"}
_START = re.compile(r"[\[{［【｛]")
_NUMBER = re.compile(r"[-+−－]?(?:\d{1,400}(?:[.．]\d{0,400})?|[.．]\d{1,400})(?:[eE][-+]?\d{1,4})?")
_WORD = re.compile(r"[^\W\d][\w-]*")
_AFTER_STRING = re.compile(r"""\s*(?:$|[,:}\])，：｝］）、】]|["'“‘]\s*[\w ]+["'”’]\s*[:：]|[{\[｛［])""")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_MEANING = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None, "NaN": None}


@dataclass(frozen=True)
class Fields:
    """A bracket with names in it: its (name, value) pairs in their order, repeated names included.

    A value without a name has None for one.
    """

    pairs: tuple[Pairs, ...]

    def all(self, *names: str) -> list[Any]:
        """The values under any of these names, in their order."""
        return [value for name, value in self.pairs if name in names]


@dataclass(frozen=True)
class Cut:
    """What a bracket held when the text ended: it is not complete, but what was closed within it is.

    Attributes:
        pairs: as in `Fields`.
        name: the name whose value was being written, if any.
    """

    pairs: tuple[Pairs, ...]
    name: str | None


@dataclass
class _Open:
    closer: str
    pairs: list[Pairs] = field(default_factory=list)
    name: str | None = None
    word_end: int = -1

    def add(self, value: Any) -> None:
        self.pairs.append((self.name, value))
        self.name = None

    def add_word(self, word: str, place: int, text: str) -> None:
        """Words without quotes belong together while nothing but space is between them."""
        if self.word_end >= 0 and self.name is None and text[self.word_end : place].isspace():
            name, before = self.pairs.pop()
            self.pairs.append((name, f"{before} {word}"))
        else:
            self.add(word)
        self.word_end = place + len(word)

    def take_name(self) -> str | None:
        """What stood before a colon, as the name it was."""
        if self.pairs and self.pairs[-1][0] is None and isinstance(self.pairs[-1][1], str):
            return self.pairs.pop()[1]
        return None

    def value(self) -> Fields | list[Any]:
        if self.closer == "}" or any(name is not None for name, _ in self.pairs):
            return Fields(tuple(self.pairs))
        return [value for _, value in self.pairs]


def read(text: str) -> Iterator[tuple[int, Any]]:
    """Every outermost bracket of a text and where it starts.

    Args:
        text: anything.

    Yields:
        The position of the opening bracket, and what is in it: lists, `Fields`, text, floats, True, False and None. At
        the end, if brackets are still open, a `Cut` for each, the outermost first.
    """
    place, dead = 0, set()
    while opened := _START.search(text, place):
        stack: list[_Open] = []
        place = opened.start()
        while place < len(text):
            place = _step(text, place, stack, dead)
            if len(stack) == 1 and stack[0].closer == "":
                yield opened.start(), stack.pop().pairs[0][1]
                break
        for one in stack:
            yield opened.start(), Cut(tuple(one.pairs), one.name)


def _step(text: str, place: int, stack: list[_Open], dead: set[str]) -> int:
    """Take what stands at a place; returns where to go on. A finished outermost bracket is left alone on the stack."""
    char = text[place]
    if char in _OPENERS:
        stack.append(_Open(_OPENERS[char]))
        return place + 1
    if char in _CLOSERS:
        _close(stack, _CLOSERS[char])
        return place + 1
    if char in ":：":
        name = stack[-1].take_name()
        if (
            name is not None
            and stack[-1].closer == "]"
            and stack[-1].pairs
            and stack[-2:-1]
            and stack[-2].closer == "}"
        ):
            stack[-2].add(stack.pop().value())  # a list has no names: its closing bracket is missing
        stack[-1].name = name
        return place + 1
    if char in _QUOTES and char not in dead and not (char in "'‘" and place and text[place - 1].isalnum()):
        end = _string_end(text, place + 1, _QUOTES[char])
        if end is None:
            dead.add(char)
            return place + 1
        stack[-1].add(_unescaped(text[place + 1 : end]))
        return end + 1
    if number := _NUMBER.match(text, place):
        stack[-1].add(_number(number.group()))
        return number.end()
    if word := _WORD.match(text, place):
        if word.group() in _MEANING:
            stack[-1].add(_MEANING[word.group()])
        else:
            stack[-1].add_word(word.group(), place, text)
        return word.end()
    return place + 1


def _close(stack: list[_Open], closer: str) -> None:
    """Close the innermost bracket of this kind and all within it; a closing bracket without one means nothing."""
    if not any(one.closer == closer for one in stack):
        return
    while True:
        one = stack.pop()
        if not stack:
            stack.append(_Open("", [(None, one.value())]))
            return
        stack[-1].add(one.value())
        if one.closer == closer:
            return


def _string_end(text: str, start: int, quote: str) -> int | None:
    """Where a string ends: at the first quote that something follows which may follow a string."""
    place = start
    while (place := text.find(quote, place)) >= 0:
        if not _is_escaped(text, start, place) and _AFTER_STRING.match(text, place + 1):
            return place
        place += 1
    return None


def _is_escaped(text: str, start: int, place: int) -> bool:
    slashes = 0
    while place - slashes > start and text[place - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    plain = _ESCAPE.sub(lambda one: _meant(one.group(1)), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # two escapes may be one character


def _meant(code: str) -> str:
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, code)


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace("－", "-").replace("．", "."))
