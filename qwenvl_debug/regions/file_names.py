"""Which file does a path or an address name, and do two of them name the same one?

Annotation tools rename: Label Studio puts a hash before an uploaded file's name, Roboflow one behind it, addresses are
percent-encoded, Windows writes backslashes, and systems differ in how they compose accented letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from urllib.parse import unquote

_UPLOADED = re.compile(r"^(?:\d+-)?[0-9a-f]{8}-(?=.)")
_ROBOFLOW = re.compile(r"_([a-z0-9]{2,5})\.rf\.[0-9a-z]{16,40}\.[a-z0-9]{2,5}$")
_IMAGE = re.compile(r"\.(jpe?g|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|jp2|ppm|tga|svg|ico)$", re.IGNORECASE)
_OTHER = re.compile(r"\.(mp4|mov|avi|webm|mkv|mp3|wav|ogg|flac|m4a|txt|html?|pdf|csv|tsv|json|xml)$", re.IGNORECASE)


def file_name(address: str) -> str:
    """The file's name that a path or an address ends in, decoded.

    Args:
        address: such as "a/b.png", "C:\\\\a\\\\b.png", "https://x.org/b.png?token=1" or Label Studio's
            "/data/local-files/?d=a/b.png".

    Returns:
        The name; no text where the address has none, as data within the address has none.
    """
    if address.startswith("data:"):
        return ""
    local = re.search(r"[?&]d=([^&]+)", address)
    if local:
        address = local.group(1)
    elif "://" in address or address.startswith("/"):
        address = address.split("?")[0]
    return unquote(address).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1].strip()


def is_image_name(address: str) -> bool:
    """Whether a text is the address of an image, as far as its ending tells."""
    return address.startswith("data:image/") or bool(_IMAGE.search(file_name(address)))


def is_other_name(address: str) -> bool:
    """Whether a text is the address of a file that is not an image, as far as its ending tells."""
    return bool(_OTHER.search(file_name(address)))


def same_file_as(name: str) -> Callable[[str], bool]:
    """A test whether a name, path or address may be of this file: it ends in the same name, but for what tools add.

    Args:
        name: a name, path or address.
    """
    written, bare = _spellings(name)

    def test(other: str) -> bool:
        other_written, other_bare = _spellings(other)
        return bool(written & other_bare or other_written & bare)  # names that differ in their hashes are two files

    return test


def _spellings(text: str) -> tuple[set[str], set[str]]:
    """The names that a text may end in as it is written, and those and what is left without a tool's additions."""
    written = {_plain(one) for one in (file_name(text), text.replace("\\", "/").rsplit("/", 1)[-1])} - {""}
    bare = {_UPLOADED.sub("", one) for one in written} | {_ROBOFLOW.sub(r".\1", one) for one in written}
    bare |= {_IMAGE.sub("", one) for one in (*written, *bare)}  # some tools leave out what kind of image it is
    return written, written | bare


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold().strip().replace(" ", "_")
