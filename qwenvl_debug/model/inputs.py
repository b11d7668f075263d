"""How a case becomes the tokens and pixels a model is fed, with the place of every part known exactly.

The checkpoint's own chat template is rendered with stand-ins for the person's words, and cut there. The template's
pieces are encoded with special tokens on; the person's words with special tokens off, so that nobody's `<|image_pad|>`
or `<|im_end|>` becomes a marker. Each image marker is expanded to one token per cell of its picture. Spans therefore
follow from how the sequence was put together, not from a search in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaseError, ModelLoadError, PictureError
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.run import Grid, Kind

if TYPE_CHECKING:
    from qwenvl_debug.model.debug_model import DebugModel

# Characters of a Unicode private use area: no template writes or trims them.
_QUESTION, _SYSTEM = "\ue0a1question\ue0a1", "\ue0a1system\ue0a1"


@dataclass(frozen=True)
class Prompt:
    """A case as a model is fed it.

    Attributes:
        ids: token numbers of the prompt.
        kinds: what each token is part of.
        pictures: which picture each token is a cell of, else None.
        grids: cells of each picture.
        pixel_values: float32, as the generation's image processor makes it of all pictures together.
        image_grid_thw: int64 [pictures, 3], (1, patch rows, patch columns).
        generation: who takes these inputs.
    """

    ids: list[int]
    kinds: list[Kind]
    pictures: list[int | None]
    grids: tuple[Grid, ...]
    pixel_values: torch.Tensor
    image_grid_thw: torch.Tensor
    generation: Family

    def feed(self, device: torch.device, more: list[int] | tuple[int, ...] = ()) -> dict[str, Any]:
        """The keyword arguments of the network: the prompt, followed by more tokens of text."""
        there = [picture is not None for picture in self.pictures] + [False] * len(more)
        return self.generation.feed(
            ids=torch.tensor([[*self.ids, *more]], device=device),
            pictures=torch.tensor([there], device=device),
            pixel_values=self.pixel_values.to(device),
            grids=self.image_grid_thw.to(device),
            prompt_length=len(self.ids),
        )


def prompt(model: DebugModel, case: Case) -> Prompt:
    """Render, encode and expand a case for a model.

    Raises:
        PictureError: a picture is too long and thin for the model.
        CaseError: the text holds one of the model's own markers, or the prompt is too long for the model.
        ModelLoadError: the checkpoint's chat template does not place the pictures or the question.
    """
    pixel_values, image_grid_thw = _pixels(model, case)
    merge = model.image_processor.merge_size
    marker = model.config.image_token_id
    ids: list[int] = []
    kinds: list[Kind] = []
    pictures: list[int | None] = []
    grids: list[Grid] = []
    for piece in _pieces(model, case):
        if piece in (_QUESTION, _SYSTEM):
            kind: Kind = "question" if piece == _QUESTION else "system"
            words = encode(model, case.question if piece == _QUESTION else case.system or "")
            ids += words
            kinds += [kind] * len(words)
            pictures += [None] * len(words)
            continue
        for token in model.tokenizer.encode(piece, add_special_tokens=False, split_special_tokens=False):
            if token != marker or len(grids) == len(case.pictures):
                ids.append(token)
                kinds.append("template")
                pictures.append(None)
                continue
            rows, cols = (int(side) // merge for side in image_grid_thw[len(grids), 1:])
            count = model.generation.picture_tokens or rows * cols
            positions = np.arange(len(ids), len(ids) + count, dtype=np.int64)
            positions.setflags(write=False)
            ids += [marker] * count
            kinds += ["picture"] * count
            pictures += [len(grids)] * count
            grids.append(Grid(rows, cols, positions, len(grids)))
    if len(grids) != len(case.pictures) or "question" not in kinds:
        raise ModelLoadError(f"The chat template of “{model.name}” leaves out the picture or the question.")
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and len(ids) > longest:
        raise CaseError(
            f"The pictures and the question make {len(ids):,} tokens, more than the {longest:,} this model takes: "
            "use a smaller picture or a shorter question."
        )
    return Prompt(ids, kinds, pictures, tuple(grids), pixel_values, image_grid_thw, model.generation)


def encode(model: DebugModel, text: str) -> list[int]:
    """Encode a person's words: what looks like a special token is only text.

    Raises:
        CaseError: a marker of the model remains (a checkpoint that does not declare its markers as special).
    """
    ids = model.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    config = model.config
    markers = {config.image_token_id, getattr(config, "video_token_id", None)}
    if markers.intersection(ids):
        raise CaseError("The text holds a marker that this model reserves for pictures: take it out and ask again.")
    return ids


def _pieces(model: DebugModel, case: Case) -> list[str]:
    """The rendered chat, cut where the person's words belong."""
    content = [*({"type": "image"} for _ in case.pictures), {"type": "text", "text": _QUESTION}]
    messages = [{"role": "user", "content": content}]
    if case.system is not None:
        messages.insert(0, {"role": "system", "content": _SYSTEM})
    try:
        chat = model.tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=True,
            # Models that think aloud first are asked to answer at once; templates without the switch ignore it.
            enable_thinking=False,
        )
    except Exception as error:  # a template may raise anything
        raise ModelLoadError(f"The chat template of “{model.name}” cannot be used: {error}") from None
    return [piece for piece in re.split(f"({_QUESTION}|{_SYSTEM})", chat) if piece]


def _pixels(model: DebugModel, case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    for picture in case.pictures:
        if max(picture.size) > 200 * min(picture.size):  # the image processor's own limit
            raise PictureError(
                f"“{picture.name}” is {picture.width} x {picture.height} pixels; a model takes pictures at most 200 "
                "times as long as they are wide: crop it."
            )
    # The layout is given, for it is guessed from the shape otherwise, wrongly for a picture 3 pixels high.
    pictures = [picture.pixels for picture in case.pictures]
    features = model.image_processor(images=pictures, return_tensors="pt", input_data_format="channels_last")
    return features["pixel_values"], features["image_grid_thw"]
