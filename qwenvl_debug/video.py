"""A short video as a few of its frames: which ones, when they were taken, and what they look like."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from qwenvl_debug.errors import CaseError, PictureError
from qwenvl_debug.picture import Picture

MOST_FRAMES = 64
"""Most frames of one video: a model reads each pair of them as it reads a picture."""

LONGEST = 36_000
"""Longest video that is read, in frames: ten minutes at 60 frames a second."""

ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
"""What a file of the MP4 and QuickTime family may begin with, after four bytes that say how long it is."""

SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
"""How the files of videos end."""


@dataclass(frozen=True)
class Video:
    """Frames of a video, for a `Case`. Make one with `Video.open`.

    Attributes:
        frames: in the order of time, all of one size.
        seconds: when each was taken, from the beginning of the video, at the one rate that its file names; in a
            film of changing rate, as phones make them, that is an approximation.
        name: what to call it on screen.
    """

    frames: tuple[Picture, ...]
    seconds: tuple[float, ...]
    name: str = field(default="video", compare=False)

    @classmethod
    def open(cls, path: str | os.PathLike[str], frames: int = 8, name: str | None = None) -> Video:
        """Take frames of a video file, evenly from its first to its last.

        Args:
            path: of a file that OpenCV can read, such as MP4, AVI or WebM.
            frames: how many; a shorter video gives all that it has. Models read them in pairs, so an even number is
                best: of an odd one the last frame is read twice.
            name: what to call it; by default the file's name.

        Raises:
            PictureError: there is no such file, it is no video that can be read, or it is too long.
            CaseError: that many frames cannot be taken.
        """
        if not 2 <= frames <= MOST_FRAMES:
            raise CaseError(f"Of a video 2 to {MOST_FRAMES} frames can be taken, not {frames}.")
        name = name or Path(path).name
        if not Path(path).is_file():
            raise PictureError(f"There is no video at {path}: check the path.")
        _check_container(path, name)
        total, rate = _length(path, name)
        wanted = np.unique(np.linspace(0, total - 1, frames).round().astype(int)).tolist()
        taken = _read(path, wanted)
        if len(taken) < len(wanted):
            raise PictureError(f"“{name}” is damaged: only {len(taken)} of {len(wanted)} frames could be read.")
        seconds = tuple(index / rate for index in wanted)
        pictures = (Picture.open(one, f"{name} at {at:.1f} s") for one, at in zip(taken, seconds, strict=True))
        return cls(tuple(pictures), seconds, name)


def check_frames(frames: Sequence[Picture], seconds: Sequence[float]) -> None:
    """Refuses what cannot be the frames of one video.

    Raises:
        CaseError: times that are missing or go back, or frames of several sizes.
    """
    if len(frames) != len(seconds):
        raise CaseError(f"A video has a time for each frame; here are {len(frames)} frames and {len(seconds)} times.")
    if not np.isfinite(seconds).all() or min(seconds) < 0 or any(np.diff(seconds) <= 0):
        raise CaseError("The times of a video's frames are seconds from its beginning, each after the one before.")
    if len({frame.size for frame in frames}) > 1:
        raise CaseError("The frames of a video all have one size: make them so, or ask about them as pictures.")


def _check_container(path: str | os.PathLike[str], name: str) -> None:
    """Let FFmpeg see only what begins like a video: it would also follow a playlist to other files and hosts."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise PictureError(f"“{name}” cannot be read: {error.strerror}.") from None
    avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    matroska = head[:4] == b"\x1a\x45\xdf\xa3"
    if not (avi or matroska or head[4:8] in ATOMS):
        raise PictureError(f"“{name}” is not a video this program can read: save it as MP4 and try again.")


def _length(path: str | os.PathLike[str], name: str) -> tuple[int, float]:
    """Frames, counted by reading, for what a file says of itself is often wrong; and frames a second."""
    import cv2  # a tenth of a second that a case of pictures need not wait for

    capture = cv2.VideoCapture(os.fspath(path))
    try:
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        total = 0
        while capture.grab():
            total += 1
            if total > LONGEST:
                raise PictureError(f"“{name}” has more than {LONGEST:,} frames: cut out the part to ask about.")
    finally:
        capture.release()
    if not total or not np.isfinite(rate) or rate <= 0:
        raise PictureError(f"“{name}” is not a video this program can read: save it as MP4 and try again.")
    return total, rate


def _read(path: str | os.PathLike[str], wanted: Sequence[int]) -> list[np.ndarray]:
    """Frames by their numbers, ascending, as uint8 [height, width, 3] in RGB."""
    import cv2

    capture, taken, number = cv2.VideoCapture(os.fspath(path)), [], 0
    try:
        while len(taken) < len(wanted) and capture.grab():
            if number == wanted[len(taken)]:
                found, frame = capture.retrieve()
                if not found:
                    break
                taken.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
            number += 1
    finally:
        capture.release()
    return taken
