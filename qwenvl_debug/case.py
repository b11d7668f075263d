"""What is being debugged: a picture as a person sees it, and a case (pictures, a question, the expected answer)."""

from __future__ import annotations

import hashlib
import io
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from qwenvl_debug.errors import CaseError, PictureError

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded: 64 megapixels are 192 MB of RGB."""

MAX_CHARACTERS = 8_000
"""Longest question, system prompt or expected answer, in characters."""

# Formats Pillow decodes by itself, less those this build of it lacks (asking for one it lacks is a KeyError).
# Leaving the list open would let an upload start Ghostscript (EPS). JPEG also covers the MPO files of some phones.
Image.init()
_WANTED = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "ICO", "TGA")
FORMATS = tuple(kind for kind in _WANTED if kind in Image.OPEN)


@dataclass(frozen=True)
class Picture:
    """A picture as a person sees it. Make one with `Picture.open`; two are equal when their pixels are.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, read-only; EXIF rotation applied, transparency on white.
        sha256: hexadecimal hash of the size and the RGB pixels.
        name: what to call it on screen (the file name where there is one).
    """

    pixels: np.ndarray = field(repr=False, compare=False)
    sha256: str
    name: str = field(compare=False)

    @classmethod
    def open(cls, source: Any, name: str | None = None) -> Picture:
        """Read a picture from nearly anything.

        Args:
            source: a path, the bytes of a picture file, an open binary file, a PIL image (its current frame), a
                uint8 array [height, width], [height, width, 3] or [height, width, 4], or a Picture.
            name: what to call it; by default the file's name, else "picture".

        Of an animation the first frame is taken. JPEG files over 64 megapixels are decoded at a reduced size;
        other files of that size are refused before they are decoded.

        Raises:
            PictureError: missing, not a picture, damaged, empty or too large.
        """
        if isinstance(source, cls):
            return source if name is None or name == source.name else cls(source.pixels, source.sha256, name)
        shown = name or _name_of(source)
        image = _as_image(source, shown)
        pixels = _decode(image, shown)
        digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]} RGB\n".encode())
        digest.update(pixels.tobytes())
        pixels.setflags(write=False)
        return cls(pixels, digest.hexdigest(), shown)

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.pixels.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, the order PIL and browsers use."""
        return self.width, self.height

    def to_pil(self) -> Image.Image:
        """A new PIL image of mode RGB."""
        return Image.fromarray(self.pixels)

    def png(self) -> bytes:
        """The picture as the bytes of a PNG file."""
        buffer = io.BytesIO()
        self.to_pil().save(buffer, "PNG", compress_level=3)
        return buffer.getvalue()


@dataclass(frozen=True)
class Case:
    """A question about one or more pictures, optionally with the answer that would be right.

    Args:
        pictures: anything `Picture.open` takes, or a list or tuple of such; at least one. Stored as a tuple.
        question: what the person asks; not empty, at most 8,000 characters.
        expected: the right answer, see `is_right`; empty means not known.
        system: a system prompt; None leaves it to the checkpoint's own chat template.

    Raises:
        CaseError: no picture, an empty or over-long question, or text that is not valid Unicode.
        PictureError: see `Picture.open`.
    """

    pictures: tuple[Picture, ...]
    question: str
    expected: str | None = None
    system: str | None = None

    def __post_init__(self) -> None:
        several = isinstance(self.pictures, Sequence) and not isinstance(self.pictures, (str, bytes, bytearray))
        sources = tuple(self.pictures) if several else (self.pictures,)
        if not sources:
            raise CaseError("A case needs at least one picture: add one and ask again.")
        _check_text(self.question, "question")
        if not self.question.strip():
            raise CaseError("The question is empty: write what the model should be asked about the picture.")
        for text, what in ((self.expected, "expected answer"), (self.system, "system prompt")):
            if text is not None:
                _check_text(text, what)
        object.__setattr__(self, "pictures", tuple(Picture.open(source) for source in sources))
        object.__setattr__(self, "expected", self.expected if (self.expected or "").strip() else None)
        object.__setattr__(self, "system", self.system if (self.system or "").strip() else None)


def is_right(answer: str, expected: str | None) -> bool | None:
    """Whether an answer contains the expected words, whole and in order.

    Both texts are brought to Unicode NFKC, case-folded, and freed of punctuation and of the articles a, an, the.
    Chinese, Japanese, Korean and Thai, written without spaces between words, are compared character by character.
    The words "cat" are not in "category", and "3" is not in "13" or "3.5". Meaning is not looked at: "there is no
    cat" contains "cat", so choose an expected answer that a wrong answer would not contain.

    Args:
        answer: what the model said.
        expected: what it should have said, or None.

    Returns:
        True or False, or None where nothing was expected.
    """
    if expected is None or not expected.strip():
        return None
    wanted, said = _words(expected), _words(answer)
    if any(word not in _ARTICLES for word in wanted):
        wanted = [word for word in wanted if word not in _ARTICLES]
        said = [word for word in said if word not in _ARTICLES]
    if not wanted:  # nothing but punctuation was expected
        return expected.strip() in answer
    return any(said[i : i + len(wanted)] == wanted for i in range(len(said) - len(wanted) + 1))


_ARTICLES = frozenset({"a", "an", "the"})
# Thai; Korean; kana; Chinese characters with their extensions.
_UNSPACED = (
    "\u0e00-\u0e7f\u1100-\u11ff\uac00-\ud7af\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"\d+(?:[.,:]\d+)+|[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _check_text(text: Any, what: str) -> None:
    if not isinstance(text, str):
        raise CaseError(f"The {what} must be text, not {type(text).__name__}.")
    if len(text) > MAX_CHARACTERS:
        raise CaseError(f"The {what} has {len(text):,} characters; shorten it to at most {MAX_CHARACTERS:,}.")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise CaseError(f"The {what} holds characters that are not valid Unicode: type it again.")


def _name_of(source: Any) -> str:
    path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "filename", None)
    path = path or getattr(source, "name", None)
    return Path(path).name if isinstance(path, (str, os.PathLike)) and str(path) else "picture"


def _as_image(source: Any, name: str) -> Image.Image:
    """Open, but do not decode yet."""
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        grey_or_colour = source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (3, 4))
        if source.dtype != np.uint8 or not grey_or_colour:
            raise PictureError(
                f"An array can be a picture when it is uint8 of shape [height, width, 3]; this one is "
                f"{source.dtype} of shape {list(source.shape)}."
            )
        return Image.fromarray(np.ascontiguousarray(source)) if source.size else Image.new("RGB", (0, 0))
    if isinstance(source, (bytes, bytearray, memoryview)):
        source = io.BytesIO(source)
    elif not isinstance(source, (str, os.PathLike)) and not hasattr(source, "read"):
        raise PictureError(f"A {type(source).__name__} is not a picture: give a path, a file, bytes or an image.")
    try:
        if hasattr(source, "seek"):
            source.seek(0)
        return Image.open(source, formats=FORMATS)
    except FileNotFoundError:
        raise PictureError(f"There is no picture at {source}: check the path.") from None
    except IsADirectoryError:
        raise PictureError(f"{source} is a folder: give the path of one picture in it.") from None
    except PermissionError:
        raise PictureError(f"{source} may not be read: check its permissions.") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(_too_large(name)) from None
    except Exception:  # Pillow's plugins raise many kinds on damaged headers
        raise PictureError(
            f"“{name}” is not a picture this program can read: save it as PNG or JPEG and try again."
        ) from None


def _decode(image: Image.Image, name: str) -> np.ndarray:
    """Decode to uint8 RGB [height, width, 3], the right way up."""
    if image.width * image.height == 0:
        raise PictureError(f"“{name}” is empty: it is {image.width} x {image.height} pixels.")
    if image.width * image.height > MAX_PIXELS and image.format in ("JPEG", "MPO"):
        halves = next(n for n in (2, 4, 8) if image.width * image.height / n**2 <= MAX_PIXELS or n == 8)
        image.draft("RGB", (image.width // halves, image.height // halves))
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(_too_large(name))
    try:
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except MemoryError:
        raise PictureError(_too_large(name)) from None
    except Exception:  # a damaged file shows itself only while decoding, and each format raises its own kind
        raise PictureError(f"“{name}” is damaged or incomplete: save it again as PNG or JPEG.") from None


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255; 65535 / 257 is 255 exactly.
        image = Image.fromarray((np.asarray(image).astype(np.uint16) // 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_stretch(np.asarray(image, dtype=np.float64)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


def _stretch(values: np.ndarray) -> np.ndarray:
    """Whole numbers of 8 or 16 bits keep their scale; anything else is stretched from its least to its greatest."""
    values = np.nan_to_num(values)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and 1 < high <= 65535:
        low, high = 0.0, 255.0 if high <= 255 else 65535.0
    return np.rint((values - low) * (255.0 / ((high - low) or 1.0))).astype(np.uint8)


def _too_large(name: str) -> str:
    return f"“{name}” has more than {MAX_PIXELS // 1_000_000} million pixels: make it smaller and try again."
