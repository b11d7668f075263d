"""The same words spelled otherwise: text folded so that it can be searched, and the way back to where it came from.

Two texts that a reader takes for the same may be different code points: an accent of its own or with its letter, Hangul
as syllables or as their parts, full-width or half-width forms, another case. Both sides of a search are folded alike:
decomposed for compatibility (NFKD), case-folded, and decomposed again, with the marks of a letter in canonical order
(Unicode 16, sections 3.11 and 3.13, compatibility caseless matching). Each folded character remembers its origin.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

DOT_ABOVE = "\u0307"
"""Case folding makes İ an i with a dot on top; a reader sees an i."""


@dataclass(frozen=True)
class Folded:
    """A text made ready to be searched.

    Attributes:
        text: the folded text.
        origin: of each folded character, the index of the character of the original that it comes from.
        original: the text as it was.
    """

    text: str
    origin: tuple[int, ...]
    original: str

    def whole(self, first: int, end: int) -> bool:
        """Whether a match of folded characters takes letters whole, with all their marks and parts."""
        return not self._joins(first) and not self._joins(end)

    def span(self, first: int, end: int) -> tuple[int, int]:
        """The original characters of a match with all marks of its last letter, from and up to."""
        places = self.origin[first:end]
        last = max(places) + 1
        while last < len(self.original) and unicodedata.combining(self.original[last]):
            last += 1
        return min(places), last

    def _joins(self, place: int) -> bool:
        """Whether the character at a place belongs to the one before it."""
        if not 0 < place < len(self.text):
            return False
        if self.origin[place] == self.origin[place - 1]:
            return True
        return joins(self.text[place])


@lru_cache(maxsize=128)  # every word of a question is looked for in the same question
def fold(text: str) -> Folded:
    """Fold a text; see the head of this module."""
    found: list[tuple[str, int]] = []
    for place, character in enumerate(text):
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
        for part in folded:
            if part == DOT_ABOVE and found and found[-1][0] == "i":
                continue
            found.append((part, place))
    ordered: list[tuple[str, int]] = []
    marks: list[tuple[str, int]] = []
    for one in found:  # marks of one letter in canonical order, as normalising the whole text would have them
        if unicodedata.combining(one[0]):
            marks.append(one)
            continue
        ordered += sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
        marks = []
        ordered.append(one)
    ordered += sorted(marks, key=lambda mark: unicodedata.combining(mark[0]))
    return Folded("".join(part for part, _ in ordered), tuple(place for _, place in ordered), text)


def joins(character: str) -> bool:
    """Whether a folded character belongs to the one before it: a mark, a joiner, a later part of a Hangul syllable."""
    return (
        unicodedata.category(character) in ("Mn", "Mc", "Me")
        or "\u1160" <= character <= "\u11ff"  # vowels and final consonants of Hangul
        or character in "\u200c\u200d"
    )
