"""How a case becomes the tokens and pixels a model is fed, with the place of every part known exactly.

The conversation is rendered by the checkpoint's own chat template and encoded as a whole (see `model.chat`), so that
the tokens are those of transformers' processors. Each image marker is expanded to one token per cell of its picture,
and that of a video to its pairs of frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.errors import CaseError, ModelLoadError, PictureError
from qwenvl_debug.model.chat import control_tokens, encode_chat, encode_words, render_chat
from qwenvl_debug.model.families import Family
from qwenvl_debug.model.frames import MOST_CELLS, join_frames, seconds_between, times
from qwenvl_debug.model.image_size import fitting_size
from qwenvl_debug.model.run import Grid, Kind
from qwenvl_debug.model.thoughts import CLOSE, left_open

if TYPE_CHECKING:
    from qwenvl_debug.model.debug_model import DebugModel


@dataclass(frozen=True)
class Prompt:
    """A case as a model is fed it.

    Attributes:
        ids: token numbers of the prompt.
        kinds: what each token is part of.
        pictures: which picture each token is a cell of, else None; of a pair of frames the first.
        turns: which turn of the conversation each token's words or picture belong to, else None.
        grids: cells of each picture.
        pixel_values: float32, as the generation's image processor makes it of all pictures together; of a video, its
            pairs of frames.
        image_grid_thw: int64 [pictures or pairs of frames, 3], (1, patch rows, patch columns).
        generation: who takes these inputs.
        pair_seconds: of a video, seconds from one pair of frames to the next; None for pictures.
        opened: whether it ends inside thoughts, so that the model goes on thinking.
    """

    ids: list[int]
    kinds: list[Kind]
    pictures: list[int | None]
    turns: list[int | None]
    grids: tuple[Grid, ...]
    pixel_values: torch.Tensor
    image_grid_thw: torch.Tensor
    generation: Family
    pair_seconds: float | None = None
    opened: bool = False

    def feed(self, device: torch.device, more: list[int] | tuple[int, ...] = ()) -> dict[str, Any]:
        """The keyword arguments of the network: the prompt, followed by more tokens of text."""
        there = [picture is not None for picture in self.pictures] + [False] * len(more)
        return self.generation.feed(
            ids=torch.tensor([[*self.ids, *more]], device=device),
            pictures=torch.tensor([there], device=device),
            pixel_values=self.pixel_values.to(device),
            grids=self.image_grid_thw.to(device),
            prompt_length=len(self.ids),
            pair_seconds=self.pair_seconds,
        )


@dataclass
class _Sequence:
    """The prompt while it grows."""

    ids: list[int] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    pictures: list[int | None] = field(default_factory=list)
    turns: list[int | None] = field(default_factory=list)

    def add(self, ids: list[int], kind: Kind, picture: int | None = None, turn: int | None = None) -> np.ndarray:
        """Append tokens of one kind and return their positions."""
        positions = np.arange(len(self.ids), len(self.ids) + len(ids), dtype=np.int64)
        positions.setflags(write=False)
        self.ids += ids
        self.kinds += [kind] * len(ids)
        self.pictures += [picture] * len(ids)
        self.turns += [turn] * len(ids)
        return positions


def prompt(model: DebugModel, case: Case, thinking: bool | None = None, *, closed: bool = False) -> Prompt:
    """Render, encode and expand a case for a model.

    Args:
        model: whose tokenizer, chat template and image processor to use.
        case: the conversation.
        thinking: turn thinking on or off where the chat template has a switch; None leaves it to the template.
        closed: end after thoughts, so that an answer can be fed: where the prompt would end inside thoughts, the
            template's own empty thoughts stand there.

    Raises:
        PictureError: a picture is too long and thin for the model.
        CaseError: the text holds one of the model's own markers, the prompt is too long for the model, a video is
            shown to a model that takes none, or the chat template refuses the conversation.
        ModelLoadError: the checkpoint's chat template does not place the pictures or the words.
    """
    if case.seconds and model.generation.video == "none":
        raise CaseError(f"{model.family} takes no video: ask about some of its frames, as pictures.")
    controls = control_tokens(model.tokenizer)
    chat = render_chat(model.template, case, controls, thinking)
    if closed and left_open(chat.tail):
        if model.template.has_switch:
            chat = render_chat(model.template, case, controls, thinking=False)
        if left_open(chat.tail):
            chat = chat.with_end(("" if chat.text.endswith("\n") else "\n") + f"\n{CLOSE}\n\n")
    pixel_values, grid_thw = _pixels(model, case)
    side = model.image_processor.merge_size
    shapes = [(rows // side, cols // side) for _, rows, cols in grid_thw.tolist()]  # in cells
    turn_of = [number for number, (_, _, shown) in enumerate(case.turns) for _ in shown]
    marker = model.config.video_token_id if case.seconds else model.config.image_token_id
    sequence, placed = _Sequence(), []
    for token, owner in encode_chat(model.tokenizer, chat, controls):
        if owner >= 0:
            _check_words(model, [token])
            sequence.add([token], chat.parts[owner].kind, turn=chat.parts[owner].turn)
        elif token != marker or len(placed) == len(shapes):
            sequence.add([token], "template")
        elif case.seconds:
            placed += _place_video(model, case, sequence, shapes, turn_of[0])
        else:
            picture, (rows, cols) = len(placed), shapes[len(placed)]
            count = model.generation.picture_tokens or rows * cols
            placed.append(sequence.add([marker] * count, "picture", picture, turn_of[picture]))
    if case.seconds and not placed:
        raise CaseError(
            f"“{model.name}” takes no video, for its chat template has no place for one: ask about some of its frames, "
            "as pictures."
        )
    if len(placed) != len(shapes):
        raise ModelLoadError(f"The chat template of “{model.name}” leaves out a picture of the conversation.")
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and len(sequence.ids) > longest:
        raise CaseError(
            f"The pictures and the question make {len(sequence.ids):,} tokens, more than the {longest:,} this model "
            "takes: use a smaller picture or a shorter question."
        )
    together = model.image_processor.temporal_patch_size if case.seconds else 1
    cell = model.image_processor.patch_size * side
    return Prompt(
        **vars(sequence),
        grids=tuple(
            Grid(*shapes[picture // together], placed[picture // together], picture, cell)
            for picture in range(len(case.pictures))
        ),
        pixel_values=pixel_values,
        image_grid_thw=grid_thw,
        generation=model.generation,
        pair_seconds=seconds_between(case.seconds, together) if case.seconds else None,
        opened=left_open(chat.tail),
    )


def encode(model: DebugModel, text: str) -> list[int]:
    """Encode a person's words: what looks like a special token is only text, but for the marks of grounding.

    Raises:
        CaseError: a marker of the model remains (a checkpoint that does not declare its markers as special).
    """
    ids = encode_words(model.tokenizer, text, control_tokens(model.tokenizer))
    _check_words(model, ids)
    return ids


def _check_words(model: DebugModel, ids: list[int]) -> None:
    markers = {model.config.image_token_id, getattr(model.config, "video_token_id", None)}
    if markers.intersection(ids):
        raise CaseError("The text holds a marker that this model reserves for pictures: take it out and ask again.")


def _place_video(
    model: DebugModel, case: Case, sequence: _Sequence, shapes: list[tuple[int, int]], turn: int
) -> list[np.ndarray]:
    """Put in a video's pairs of frames and return the positions of each.

    Qwen2-VL and Qwen2.5-VL have them one after the other. Later generations write the time before each and set it
    between marks of its own; the marks that the chat template sets around the video stay, as in transformers'
    `Qwen3VLProcessor`, whose strings these are.
    """
    marker, together = model.config.video_token_id, model.image_processor.temporal_patch_size
    placed = []
    for pair, (time, (rows, cols)) in enumerate(zip(times(case.seconds, together), shapes, strict=True)):
        if model.generation.video == "timed":
            time_ids = model.tokenizer.encode(f"<{time:.1f} seconds>", add_special_tokens=False)
            sequence.add(time_ids, "template")
            sequence.add([model.config.vision_start_token_id], "template")
        placed.append(sequence.add([marker] * (rows * cols), "picture", pair * together, turn))
        if model.generation.video == "timed":
            sequence.add([model.config.vision_end_token_id], "template")
    return placed


def _pixels(model: DebugModel, case: Case) -> tuple[torch.Tensor, torch.Tensor]:
    for picture in case.pictures:
        if max(picture.size) > 200 * min(picture.size):  # the image processor's own limit
            raise PictureError(
                f"“{picture.name}” is {picture.width} x {picture.height} pixels; a model takes pictures at most 200 "
                "times as long as they are wide: crop it."
            )
    processor = model.image_processor
    size = {edge: processor.size[edge] for edge in ("shortest_edge", "longest_edge")}
    if case.seconds:
        most = MOST_CELLS * (processor.patch_size * processor.merge_size) ** 2
        size = {edge: min(area, most) for edge, area in size.items()}
    sizes = [fitting_size(processor, picture.size, size, model.max_image_tokens) for picture in case.pictures]
    prepared = [
        # The layout is given, for it is guessed from the shape otherwise, wrongly for a picture 3 pixels high.
        processor(images=[picture.pixels], return_tensors="pt", input_data_format="channels_last", size=own)
        for picture, own in zip(case.pictures, sizes, strict=True)
    ]
    values, grids = (torch.cat([one[name] for one in prepared]) for name in ("pixel_values", "image_grid_thw"))
    return join_frames(values, grids, processor.temporal_patch_size) if case.seconds else (values, grids)
