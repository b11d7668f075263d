"""What every import of other people's files shares: reading JSON, choosing the image meant, and what came of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from qwenvl_debug.errors import RegionError
from qwenvl_debug.regions.file_names import same_file_as
from qwenvl_debug.regions.shapes import Region

Size = tuple[int, int]
MOST_NAMED = 5
"""How many names a sentence gives before it says "and others"."""


@dataclass(frozen=True)
class Question:
    """What a file leaves open, so that a person has to say it.

    Attributes:
        sentence: what is open, without the full stop.
        parameter: which parameter of the importing functions answers it: the file's image, or whether coordinates are
            of the photo "shown" or "stored".
        choices: the values that the parameter can have.
    """

    sentence: str
    parameter: Literal["image", "frame"]
    choices: tuple[str, ...]


class UnclearFile(RegionError):
    """Nothing of a file can be used before a question is answered.

    Attributes:
        question: what has to be said, and how.
    """

    def __init__(self, question: Question) -> None:
        self.question = question
        choices = [f'{question.parameter}="{one}"' for one in question.choices]
        more = [f"one of {len(choices) - MOST_NAMED} others"] if len(choices) > MOST_NAMED else []
        super().__init__(f"{question.sentence}: pass {' or '.join([*choices[:MOST_NAMED], *more])}.")


@dataclass(frozen=True)
class Imported:
    """What a file gave.

    Attributes:
        regions: at least one.
        left_out: for each kind of thing that was not taken over or is not as it was, one sentence.
        question: set where the regions may be of another image than the one they are for; `left_out` says so, too.
            Passing its answer to the same function again takes the doubt away.
    """

    regions: tuple[Region, ...]
    left_out: tuple[str, ...] = ()
    question: Question | None = None


@dataclass(frozen=True)
class Candidate:
    """One image that a file is about.

    Attributes:
        label: what to call it, unlike every other of the file.
        names: its file names or addresses; none where the file does not say.
        size: its width, height in pixels, or None where the file does not say.
        number: its place in the reader's own list.
    """

    label: str
    names: tuple[str, ...]
    size: Size | None
    number: int


def read_json(source: Path | bytes | str | dict | list) -> Any:
    """JSON from a file, from bytes or text, or as it is.

    Raises:
        RegionError: it cannot be read, or is not JSON.
    """
    if isinstance(source, (dict, list)):
        return source
    try:
        data = source.read_bytes() if isinstance(source, Path) else source
        return json.loads(data.removeprefix("\ufeff") if isinstance(data, str) else data)
    except OSError as error:
        raise RegionError(f"{source} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):  # JSON and Unicode errors are ValueErrors
        raise RegionError("This file is not JSON: export it again as JSON.") from None


def choose(
    candidates: Sequence[Candidate], name: str | None, size: Size, image: str | None
) -> tuple[Candidate, Question | None]:
    """The one image of a file that is meant by a picture: by what the caller says, by file name, or else by size.

    Args:
        candidates: the file's images.
        name: the picture's file name, or None.
        size: its width, height in pixels.
        image: what the caller says that the file calls it, or None.

    Returns:
        The image, and a question where its name is another than the picture's.

    Raises:
        UnclearFile: several could be meant.
        RegionError: none could be.
    """
    if image is not None:
        return _called(candidates, image), None
    is_named = same_file_as(name or "")
    named = [one for one in candidates if name and any(map(is_named, one.names))]
    fitting = _fitting(named or candidates, size)
    if len(named) == 1:
        return named[0], None
    if len(fitting) > 1 or (not fitting and len(candidates) > 1):
        several = fitting or named or list(candidates)
        called = f" called {name}" if name else ""
        raise UnclearFile(
            Question(
                f"The file has {len(candidates)} images, and it is not clear which is meant, since {len(named)} are"
                f"{called} and {len(fitting)} have {size[0]} x {size[1]} pixels",
                "image",
                tuple(one.label for one in several),
            )
        )
    found = (fitting or candidates)[0]
    if named or name is None or not found.names:
        return found, None
    which = f"only image of {size[0]} x {size[1]} pixels is" if found.size else "regions may be those of"
    return found, Question(f"The file has no image called {name}; its {which} {found.label}", "image", (found.label,))


def check_size(found: Size | None, size: Size) -> None:
    """Refuse an image of another size; sides that are swapped are for `frame` to judge.

    Raises:
        RegionError: with what to do.
    """
    if found is not None and found not in (size, swapped(size)):
        raise RegionError(
            f"The file's regions belong to a picture of {found[0]} x {found[1]} pixels and this one has {size[0]} x "
            f"{size[1]}: open the picture they were drawn on."
        )


def unique_labels(labels: Sequence[str], extras: Sequence[str]) -> list[str]:
    """Labels that are told from each other by their extra where they are the same."""
    count = Counter(labels)
    return [f"{label} ({extra})" if count[label] > 1 else label for label, extra in zip(labels, extras, strict=True)]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: "a, b and c", or the first few of many "and 7 others"."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} others"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def is_number(value: Any) -> bool:
    """A number as JSON has them, not true or false."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def swapped(size: Size) -> Size:
    """Height and width."""
    return size[1], size[0]


def size_of(record: dict, wide: str, high: str) -> Size | None:
    """Width and height in whole pixels from a record, also if written as text; None where there are none."""
    sides = []
    for key in (wide, high):
        try:
            side = float(record.get(key) or 0)
        except (TypeError, ValueError, OverflowError):
            return None
        if not 1 <= side < 1e9:
            return None
        sides.append(round(side))
    return sides[0], sides[1]


def _called(candidates: Sequence[Candidate], image: str) -> Candidate:
    found = [one for one in candidates if image == one.label] or [
        one for one in candidates if any(map(same_file_as(image), one.names))
    ]
    if len(found) == 1:
        return found[0]
    labels = listed([f"“{one.label}”" for one in candidates])
    many = "several images" if found else "no image"
    raise RegionError(f"The file has {many} called “{image}”: it has {labels}.")


def _fitting(candidates: Sequence[Candidate], size: Size) -> list[Candidate]:
    """Those of this size; else those whose sides are swapped; else those that may have any."""
    for sizes in ((size,), (swapped(size),), (None,)):
        if found := [one for one in candidates if one.size in sizes]:
            return found
    return []
