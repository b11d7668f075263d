"""How a picture becomes what the first Qwen-VL is fed: always 448 x 448 pixels, whatever its shape.

Pixels are computed in the order of the original, so that they come out equal to the last bit: Pillow's bicubic
resizing of the 8-bit picture, division by 255, less the mean, divided by the deviation, all in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

# Of CLIP's training pictures, per channel.
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def prepare(pixels: np.ndarray, side: int = 448) -> torch.Tensor:
    """One picture, resized and normalised.

    Args:
        pixels: uint8 [height, width, 3], RGB.
        side: pixels a side wanted. The picture is stretched, so a map of it stretches back over the picture.

    Returns:
        float32 [3, side, side].
    """
    resized = Image.fromarray(pixels, "RGB").resize((side, side), Image.Resampling.BICUBIC)
    scaled = np.asarray(resized).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    mean, deviation = (np.asarray(values, np.float32)[:, None, None] for values in (MEAN, DEVIATION))
    return torch.from_numpy((scaled - mean) / deviation)


@dataclass(frozen=True)
class QWenImageProcessor:
    """Prepares pictures, called as the image processors of later generations are.

    Attributes:
        side: pixels a side of every prepared picture.
        patch_size: pixels a side of a patch.
        merge_size: patches a side of a cell; a map of this generation has one cell for each patch.
    """

    side: int = 448
    patch_size: int = 14
    merge_size: int = 1

    @property
    def size(self) -> dict[str, int]:
        """The least and the greatest area of a prepared picture, which are one here."""
        return {"shortest_edge": self.side**2, "longest_edge": self.side**2}

    def __call__(self, images: Sequence[np.ndarray], **_: Any) -> dict[str, torch.Tensor]:
        """Prepare pictures.

        Args:
            images: uint8 [height, width, 3] each, RGB.

        Returns:
            "pixel_values" float32 [pictures, 3, side, side] and "image_grid_thw" int64 [pictures, 3], which are
            (1, patch rows, patch columns).
        """
        patches = self.side // self.patch_size
        return {
            "pixel_values": torch.stack([prepare(pixels, self.side) for pixels in images]),
            "image_grid_thw": torch.tensor([[1, patches, patches]] * len(images)),
        }
