"""Drawn scenes as training batches: one picture with all its questions side by side.

Every question of a picture stands after the same picture tokens and sees only them and itself, so the picture
is read once for all of them. Positions and mask are those that each question would have alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from tokenizers import Tokenizer

from qwenvl_debug.micro.build import CELL
from qwenvl_debug.micro.scenes import KINDS, Scene, questions, scene
from qwenvl_debug.micro.words import COLOURS, PLACES, SHAPES, TOWERS

THINGS = (*SHAPES, "cat", "table", *TOWERS)  # what a cell may show, from 1; 0 is background
IGNORE = -100
SHARES = (0.38, 0.15, 0.47)  # of tower, cat and shape scenes


@dataclass
class Batch:
    """B scenes on one grid of rows x cols cells.

    pixels uint8 [B, rows*CELL, cols*CELL, 3]; ids, labels, block int64 [B, S] (block 0 is the picture, -1
    padding); positions int64 [3, B, S]; thing, colour, place int64 [B, rows*cols], the ground truth per cell.
    """

    pixels: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    block: np.ndarray
    positions: np.ndarray
    thing: np.ndarray
    colour: np.ndarray
    place: np.ndarray
    grid: tuple[int, int]


def draw_batch(
    tokens: Tokenizer, seed: int, size: int, grid: tuple[int, int], hard: float = 1.0, asked: int = 4
) -> Batch:
    """Draws a batch.

    Args:
        seed: fixes everything in it.
        size: scenes in the batch.
        grid: rows, cols of cells.
        hard: how hard its scenes may be, 0 (one large shape on a plain ground) to 1 (as in use).
        asked: the largest number of questions per picture.
    """
    rng = np.random.default_rng((seed, 11))
    rows, cols = grid
    pictures, texts, truths = [], [], []
    for n in range(size):
        kind = KINDS[int(rng.choice(3, p=SHARES))]
        zoom, stretch = rng.uniform(1.0, 1.7), rng.uniform(0.94, 1.06)
        canvas = (round(cols * CELL * zoom * stretch), round(rows * CELL * zoom))
        drawn = scene((seed, n), kind, canvas, **choices(kind, hard, rng))
        pictures.append(np.asarray(Image.fromarray(drawn.pixels).resize((cols * CELL, rows * CELL), Image.BICUBIC)))
        every = questions(drawn, rng, describe=bool(rng.random() < 0.15))
        order = rng.permutation(len(every))[:asked]
        texts.append([(every[i].text, every[i].answer) for i in order])
        truths.append(cell_truth(drawn, grid))
    return Batch(
        np.stack(pictures), *pack(tokens, texts, grid), *(np.stack(t) for t in zip(*truths, strict=True)), grid
    )


def choices(kind: str, hard: float, rng: np.random.Generator) -> dict:
    """What to fix in a scene so that it is no harder than `hard`; scenes of one batch differ in how hard they are."""
    level = rng.uniform(max(0.0, hard - 0.45), hard)
    if kind == "tower":
        return {"plain": bool(rng.random() < 0.75 - 0.5 * level)}
    if kind == "cat":
        return {}
    most = 1 if level < 0.3 else 2 if level < 0.5 else 3 if level < 0.7 else 4
    return {
        "count": int(rng.integers(min(2, most), most + 1)),
        "reach": (0.55 - 0.39 * level, 0.95 - 0.45 * level),
        "simple": bool(rng.random() < 1 - 1.1 * level),
    }


def cell_truth(drawn: Scene, grid: tuple[int, int], least: float = 0.25) -> tuple[np.ndarray, ...]:
    """What each cell shows: thing, colour and (cells of cat and table) place; int64 [rows*cols] each."""
    rows, cols = grid
    thing, colour = np.zeros(rows * cols, np.int64), np.zeros(rows * cols, np.int64)
    place = np.full(rows * cols, IGNORE, np.int64)
    best = np.full(rows * cols, least)
    for o in drawn.objects:
        cover = (
            np.asarray(Image.fromarray(o.mask.astype(np.uint8) * 255).resize((cols, rows), Image.BOX)).reshape(-1) / 255
        )
        mine = cover > best
        best = np.maximum(best, cover)
        thing[mine] = 1 + THINGS.index(o.kind)
        if o.colour:
            colour[mine] = 1 + list(COLOURS).index(o.colour)
        if drawn.task == "cat":
            place[mine] = list(PLACES).index(drawn.facts["place"])
    if drawn.task != "shapes":
        colour[:] = IGNORE
    return thing, colour, place


def pack(tokens: Tokenizer, texts: list[list[tuple[str, str]]], grid: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """ids, labels, block [B, S] and positions [3, B, S] for pictures with several questions each."""
    rows, cols = grid
    special = tokens.token_to_id
    start, end = special("<|im_start|>"), special("<|im_end|>")

    def plain(text: str) -> list[int]:
        return tokens.encode(text).ids

    prefix = [start, *plain("user\n"), special("<|vision_start|>")]
    n_prefix, cells = len(prefix), rows * cols
    r, c = np.divmod(np.arange(cells), cols)
    image_positions = np.stack([np.full(cells, n_prefix), n_prefix + r, n_prefix + c])
    after = n_prefix + max(rows, cols)
    head_ids = [*prefix, *[special("<|image_pad|>")] * cells, special("<|vision_end|>")]
    head_positions = np.concatenate(
        [np.tile(np.arange(n_prefix), (3, 1)), image_positions, np.full((3, 1), after)], axis=1
    )
    examples = []
    for pairs in texts:
        ids, labels, block, positions = list(head_ids), [IGNORE] * len(head_ids), [0] * len(head_ids), [head_positions]
        for number, (question, answer) in enumerate(pairs, 1):
            asked = [*plain(question), end, *plain("\n"), start, *plain("assistant\n")]
            said = [*plain(answer), end]
            ids += asked + said
            labels += [IGNORE] * len(asked) + said
            block += [number] * (len(asked) + len(said))
            positions.append(np.tile(after + 1 + np.arange(len(asked) + len(said)), (3, 1)))
        examples.append((ids, labels, block, np.concatenate(positions, axis=1)))
    longest = max(len(ids) for ids, *_ in examples)
    shape = (len(examples), longest)
    ids, labels, block = np.full(shape, special("<|endoftext|>")), np.full(shape, IGNORE), np.full(shape, -1)
    positions = np.zeros((3, *shape), np.int64)
    for n, (i, lab, b, p) in enumerate(examples):
        ids[n, : len(i)], labels[n, : len(i)], block[n, : len(i)], positions[:, n, : len(i)] = i, lab, b, p
    return ids, labels, block, positions
