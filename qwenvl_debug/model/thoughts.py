"""Where a model's thoughts end and its answer begins.

Thinking models write their reasoning first, between `<think>` and `</think>`, then the answer. Many chat templates
write the opening mark themselves, as the end of the prompt; then only the closing mark stands in what the model writes.
The last closing mark counts, as in Qwen's own examples and chat templates.
"""

from __future__ import annotations

from collections.abc import Sequence

OPEN, CLOSE = "<think>", "</think>"


def left_open(text: str) -> bool:
    """Whether a text ends inside thoughts: its last opening mark is not closed."""
    return text.rfind(OPEN) > text.rfind(CLOSE)


def split_thoughts(text: str, *, opened: bool) -> int:
    """Return where the answer begins in what a model wrote: after the thoughts and the white space that follows them.

    Args:
        text: what the model wrote, or what it was fed.
        opened: whether the prompt ends inside thoughts.

    Returns:
        An index of `text`; 0 without thoughts, its length where the thoughts were not closed.
    """
    closed = text.rfind(CLOSE)
    if closed < 0:
        return len(text) if opened or text.lstrip().startswith(OPEN) else 0
    end = closed + len(CLOSE)
    return end + len(text[end:]) - len(text[end:].lstrip())


def count_thoughts(texts: Sequence[str], *, opened: bool) -> int:
    """Return how many of the first tokens are thoughts.

    Args:
        texts: what each token adds to the text, as `spelling.spell` gives it.
        opened: whether the prompt ends inside thoughts.

    Returns:
        A number of tokens. One that holds the end of the closing mark and more counts as thoughts; of a character that
        is split over several tokens, all or none do.
    """
    begin = split_thoughts("".join(texts), opened=opened)
    place = 0
    for number, text in enumerate(texts):
        if place >= begin and (text or not begin):
            return number
        place += len(text)
    return len(texts)


def thoughts_text(text: str) -> str:
    """Return the thoughts without their marks and outer white space."""
    return text.strip().removeprefix(OPEN).removesuffix(CLOSE).strip()
