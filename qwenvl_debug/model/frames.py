"""How the frames of a video become what a tower is fed: two frames make one set of patches, which has one time.

The patches of a picture hold it twice, as a video that stands still. So frames prepared as pictures hold all that is
needed: a pair takes its first half from one frame and its second half from the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

MOST_CELLS = 768
"""Most cells of a frame, as in Qwen's own `qwen-vl-utils` (VIDEO_MAX_TOKEN_NUM)."""


def join_frames(pixel_values: torch.Tensor, grids: torch.Tensor, together: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Join the patches of frames that were prepared as pictures.

    Args:
        pixel_values: float32 [frames * patches, channels * together * patch * patch], every frame held `together`
            times, all frames of one size.
        grids: int64 [frames, 3], (1, patch rows, patch columns).
        together: frames that make one set of patches, 2 in all published models. Of a last set that is not full the
            last frame is repeated, as transformers' video processors do.

    Returns:
        The values [sets * patches, the same] and int64 [sets, 3].
    """
    frames = pixel_values.view(len(grids), int(grids[0].prod()), -1)
    if missing := -len(frames) % together:
        frames = torch.cat([frames, frames[-1:].expand(missing, -1, -1)])
    channels = 3
    # [sets, frame of the set, patches, channels, copy, pixels]; of each frame its own copy is as good as any.
    parts = frames.view(len(frames) // together, together, frames.shape[1], channels, together, -1)[..., 0, :]
    joined = parts.permute(0, 2, 3, 1, 4).reshape(-1, frames.shape[-1])
    return joined.contiguous(), grids[:1].repeat(len(frames) // together, 1)


def times(seconds: Sequence[float], together: int) -> list[float]:
    """The time of each set of frames: the middle between its first and its last frame, as in `Qwen3VLProcessor`."""
    padded = [*seconds, *[seconds[-1]] * (-len(seconds) % together)]
    return [(padded[n] + padded[n + together - 1]) / 2 for n in range(0, len(padded), together)]


def seconds_between(seconds: Sequence[float], together: int) -> float:
    """Seconds from one set of frames to the next, which Qwen2.5-VL turns into positions; 1 where there is one frame."""
    return float(np.mean(np.diff(seconds))) * together if len(seconds) > 1 else 1.0
