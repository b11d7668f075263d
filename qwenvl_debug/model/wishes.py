"""What may a model be asked to do and to keep? Anything else is refused here, in one sentence, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

from qwenvl_debug.errors import CaptureError, CaseError

ROWS = ("asked", "all")


def check_wishes(max_new_tokens: Any, rows: Any, top: Any, thinking: Any = None) -> None:
    """Refuse numbers that are none, or that are too small.

    Raises:
        CaseError: `max_new_tokens` is neither None nor a whole number from 1, or `thinking` is not on, off or None.
        CaptureError: `rows` is neither "asked" nor "all", or `top` is no whole number from 0.
    """
    if max_new_tokens is not None and ((number := _whole(max_new_tokens)) is None or number < 1):
        raise CaseError(
            f"An answer needs room for at least one token: max_new_tokens is a whole number from 1, not "
            f"{max_new_tokens!r}."
        )
    if thinking not in (None, True, False) or (isinstance(thinking, int) and not isinstance(thinking, bool)):
        raise CaseError(f"thinking is True, False, or None for what the chat template does, not {thinking!r}.")
    if not isinstance(rows, str) or rows not in ROWS:
        raise CaptureError(f"The rows to keep are 'asked' or 'all', not {rows!r}.")
    if (number := _whole(top)) is None or number < 0:
        raise CaptureError(f"top is how many alternatives to note at each token, a whole number from 0, not {top!r}.")


def check_layers(layers: Any, there: Sequence[int]) -> tuple[int, ...]:
    """The language layers to keep, ascending.

    Args:
        layers: what was asked for; None for all that have a map.
        there: the layers that have a map.

    Raises:
        CaptureError: it is no list of layers, names none, or one that has no map.
    """
    if layers is None:
        return tuple(there)
    wanted = _numbers(layers, "layers")
    if not wanted:
        raise CaptureError("No layer was chosen: name at least one to keep.")
    for layer in wanted:
        if layer not in there:
            held = ", ".join(map(str, there))
            raise CaptureError(f"Layer {layer} cannot be kept, for it has no attention map: use some of {held}.")
    return tuple(sorted(set(wanted)))


def check_blocks(blocks: Any, depth: int) -> tuple[int, ...]:
    """The blocks of the vision tower to keep, ascending.

    Raises:
        CaptureError: it is no list of blocks, or names one that there is not.
    """
    wanted = _numbers(blocks, "vision_layers")
    for block in wanted:
        if not 0 <= block < depth:
            raise CaptureError(f"There is no vision layer {block}: this model has 0 to {depth - 1}.")
    return tuple(sorted(set(wanted)))


def check_target(target: Any, vocabulary: int) -> str | list[int]:
    """An answer to feed in, as words or as token numbers.

    Raises:
        CaseError: it is neither, or a number is not in the vocabulary.
    """
    if isinstance(target, str):
        return target
    numbers = [_whole(token) for token in target] if isinstance(target, Iterable) else [None]
    if isinstance(target, (bytes, bytearray)) or None in numbers:
        raise CaseError("A target answer is text, or a list of token numbers: this is something else.")
    for number in numbers:
        if not 0 <= number < vocabulary:
            raise CaseError(f"There is no token {number}: this model has tokens 0 to {vocabulary - 1}.")
    return numbers


def _numbers(value: Any, name: str) -> list[int]:
    numbers = [_whole(one) for one in value] if isinstance(value, Iterable) and not isinstance(value, str) else [None]
    if None in numbers:
        raise CaptureError(f"{name} is a list of whole numbers, counted from 0, not {value!r}.")
    return numbers


def _whole(value: Any) -> int | None:
    """A whole number of any library, or None; True and False are no numbers here."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)
    except TypeError:
        return None
