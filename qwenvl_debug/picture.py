"""A picture as a person sees it: read from nearly anything, turned the right way up, known by its pixels."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from qwenvl_debug.errors import PictureError

MAX_PIXELS = 64_000_000
"""Largest picture that is decoded: 64 megapixels are 192 MB of RGB."""

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
        orientation: the EXIF orientation (1 to 8) that was applied when it was read; 1 where none was. Annotation
            tools that ignore EXIF have coordinates of the picture before that.
    """

    pixels: np.ndarray = field(repr=False, compare=False)
    sha256: str
    name: str = field(compare=False)
    orientation: int = field(default=1, compare=False)

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
            return source if name is None or name == source.name else replace(source, name=name)
        shown = name or _name_of(source)
        image = _as_image(source, shown)
        orientation = _orientation(image)
        pixels = _decode(image, shown)
        digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]} RGB\n".encode())
        digest.update(pixels.tobytes())
        pixels.setflags(write=False)
        return cls(pixels, digest.hexdigest(), shown, orientation)

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


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation that `_decode` will apply."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF: Pillow raises many kinds, and decoding says what is wrong with the picture
        return 1
    return found if isinstance(found, int) and 2 <= found <= 8 else 1


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
