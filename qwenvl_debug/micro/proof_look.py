"""Where did every head look in one held-out scene, and where was the object that was asked about?

The scenes are asked as any user's picture is. Only those that the model answers right are looked at, and only those in
which a cell belongs to the object. Every choice (of a layer, a head, who asks) is made on other scenes (`CHOOSING`)
than it is judged on (`JUDGING`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from qwenvl_debug.case import Case
from qwenvl_debug.maps import NORMALISATIONS, answer_query, ask_neutral, map_stack, question_query
from qwenvl_debug.micro.evaluate import Trial, held_out
from qwenvl_debug.micro.words import LANGUAGES
from qwenvl_debug.model import DebugModel, Run

ON = 0.5  # a cell lies on an object when the object covers at least this share of it (the pointing game's rule)
QUERIES = ("answer", "question")  # the answer's first word, the question's words
ASKS = ("the whole answer", "the answer's first word", "the question")
CHOOSING, JUDGING = 5_000, 6_000  # where the scenes of either purpose begin among the held-out ones


@dataclass(frozen=True)
class Normalised:
    """How the maps of one scene lie on the object asked about, for every normalisation.

    Both are [normalisations, asks, layers, heads + 1], as in `NORMALISATIONS` and `ASKS`, the head mean last.

    hits: bool, the highest cell lies on the object; False where there is no map.
    mass: float32, the share of the map on the object; NaN where there is no map.
    """

    hits: np.ndarray
    mass: np.ndarray


@dataclass(frozen=True)
class Look:
    """Where every head looked in one scene.

    maps: float32 [queries, layers, heads, rows, cols], queries as in `QUERIES`, shares of the picture; cover: float32
    [rows, cols], the asked object's share of each cell; others: the same of each other object; normalised: None where
    the picture was turned.
    """

    maps: np.ndarray
    cover: np.ndarray
    others: tuple[np.ndarray, ...]
    trial: Trial
    normalised: Normalised | None = None

    @property
    def hits(self) -> np.ndarray:
        """bool [queries, layers, heads]: the highest cell lies on the object."""
        top = self.maps.reshape(*self.maps.shape[:3], -1).argmax(-1)
        return self.cover.reshape(-1)[top] >= ON

    @property
    def mass(self) -> np.ndarray:
        """float [queries, layers, heads]: the share of the map on the object, by how much of each cell it covers."""
        return (self.maps * self.cover).sum((3, 4))

    @property
    def chance(self) -> float:
        """How often the highest cell of a map that knows nothing would lie on the object."""
        return float((self.cover >= ON).mean())


def look(model: DebugModel, trial: Trial, turn: Callable[[np.ndarray], np.ndarray] | None = None) -> Look | None:
    """Asks a trial (its picture turned, if told to); None where the model is wrong or no cell is the object's."""
    turned = turn or (lambda a: a)
    case = Case(turned(trial.scene.pixels), trial.question.text, expected=trial.question.answer)
    run = model.ask(case, max_new_tokens=24)
    if turn is None and not run.right:
        return None
    asking = (answer_query(run, 0) if run.answer_tokens else None, question_query(run))
    maps = np.stack([map_stack(run, query).values for query in asking])
    grid = run.grids[0]

    def covered(mask: np.ndarray) -> np.ndarray:
        return cv2.resize(turned(mask).astype(np.float32), (grid.cols, grid.rows), interpolation=cv2.INTER_AREA)

    about = trial.question.about
    cover = covered(trial.scene.object(about).mask)
    if not (cover >= ON).any():
        return None
    others = tuple(covered(one.mask) for one in trial.scene.objects if one.name != about and one.mask.any())
    return Look(maps, cover, others, trial, _normalised(run, cover) if turn is None else None)


def _normalised(run: Run, cover: np.ndarray) -> Normalised:
    neutral = ask_neutral(run)
    hits, mass = [], []
    for normalisation in NORMALISATIONS:
        for query in (answer_query(run), answer_query(run, 0), question_query(run)):
            stack = map_stack(run, query, normalisation=normalisation, neutral=neutral)
            maps = np.concatenate([stack.values, stack.mean[:, None]], axis=1)
            maps = maps.reshape(*maps.shape[:2], -1)
            mass.append(maps @ cover.ravel() / maps.sum(-1))
            top = np.where(np.isnan(maps), -1, maps).argmax(-1)
            hits.append((cover.ravel()[top] >= ON) & ~np.isnan(maps[..., 0]))
    shape = (len(NORMALISATIONS), len(ASKS), *hits[0].shape)
    return Normalised(np.reshape(hits, shape), np.reshape(mass, shape).astype(np.float32))


def looks(model: DebugModel, task: str, count: int, start: int) -> list[Look]:
    """The first `count` usable looks at a task, languages in turn."""
    found: list[Look] = []
    for n in range(4 * count):
        (trial,) = held_out(task, LANGUAGES[n % 2], 1, start + n)
        one = look(model, trial)
        if one is not None:
            found.append(one)
            if len(found) == count:
                break
    return found


def best_head(seen: Iterable[Look]) -> tuple[int, int, int]:
    """The query (its number in `QUERIES`), layer and head whose highest cell lies on the object most often."""
    hits = np.mean([one.hits for one in seen], axis=0)
    return tuple(int(i) for i in np.unravel_index(hits.argmax(), hits.shape))
