"""What one answer of a model to a case consists of: tokens, picture grids, traces, and where it came from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qwenvl_debug.case import Case, is_right
from qwenvl_debug.errors import CaseError, QueryError
from qwenvl_debug.model.thoughts import CLOSE, thoughts_text
from qwenvl_debug.model.trace import Trace, VisionTrace

if TYPE_CHECKING:
    from qwenvl_debug.model.debug_model import DebugModel
    from qwenvl_debug.model.taps import Intervention

KEPT = ("max_new_tokens", "rows", "layers", "vision_layers", "top")
"""Settings of a run that say what was to be kept of it: arguments of `DebugModel.ask` by the same names."""

Kind = Literal["template", "system", "earlier", "picture", "question", "thought", "answer", "end"]

CHOSEN = ("thought", "answer", "end")
"""The kinds of token that the model chose, or was made to give, after the prompt."""


@dataclass(frozen=True)
class Alternative:
    """A token the model might have chosen instead, with its probability 0..1."""

    id: int
    text: str
    probability: float


@dataclass(frozen=True)
class Token:
    """One token of the sequence.

    Attributes:
        index: its position in the sequence.
        id: its number in the vocabulary.
        text: what it adds to the text. Where several tokens make up one character, the first has the whole text and
            the others none.
        group: index of the first token of those that share a character; a token of its own has its own index.
        kind: "template" (the checkpoint's chat template), "system" (the case's system prompt), "earlier" (the words of
            earlier turns, questions and answers), "picture" (of any turn), "question" (the last one), "thought" (what
            a thinking model writes before its answer, with the marks `<think>` and `</think>` that it writes itself),
            "answer", or "end" (the token that ends the answer).
        picture: which picture of the case it is a cell of, else None; of a pair of frames the first.
        probability: of a thought, answer or end token, 0..1, given everything before it; else None. It is the model's
            own, before penalties and other settings of a checkpoint that is asked as it says.
        alternatives: of a thought, answer or end token, the likeliest tokens at its place, likeliest first.
        turn: which turn of the conversation its words or its picture belong to, from 0; None for the system prompt
            and the marks of the chat template, and in runs stored by versions that knew one turn only.
    """

    index: int
    id: int
    text: str
    group: int
    kind: Kind
    picture: int | None = None
    probability: float | None = None
    alternatives: tuple[Alternative, ...] = ()
    turn: int | None = None


@dataclass(frozen=True)
class Grid:
    """The cells of one picture as a map shows them; they stretch evenly over the picture.

    Attributes:
        rows: cells from top to bottom.
        cols: cells from left to right.
        positions: int64 [rows * cols], sequence positions of the cells in raster order; in a model with a resampler
            int64 [tokens of the picture], which its trace's `resampled` mixes of the cells (see `maps.cells`).
        picture: which picture of the case. The two frames of a pair have a grid each, of the same positions.
        side: pixels of the prepared picture that a cell is wide and high; None in runs stored by earlier versions.
    """

    rows: int
    cols: int
    positions: np.ndarray = field(repr=False, compare=False)
    picture: int
    side: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Provenance:
    """Where a run came from, so that it can be made again.

    Attributes:
        model: what `load_model` was given.
        revision: commit of a hub checkpoint, fingerprint of a folder; of a LoRA that of its base and its own.
        family: generation of the model.
        settings: generation and loading settings.
        versions: of the packages that take part.
        seed: of the random numbers, where the answer was sampled; None for others, which draw none.
        created: when, ISO 8601 in UTC.
        seconds: how long it took.
    """

    model: str
    revision: str
    family: str
    settings: dict[str, Any]
    versions: dict[str, str]
    seed: int | None
    created: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """One model's answer to a case.

    Attributes:
        case: what was asked.
        answer: the answer's text, without thoughts and without the end token; of a forced run what was fed in.
        tokens: the whole sequence: prompt, thoughts, answer, and the end token where there is one.
        grids: one per picture, also those of earlier turns.
        trace: attention of the language layers.
        vision: attention of the vision tower, one per picture; empty unless it was asked for.
        provenance: where it came from.
        target: the answer that was fed in, or None for the model's own answer.
        model: the model, to ask again with; None for a run read from a file.
        interventions: what was changed inside the model while it answered; whatever is computed from the run later
            was changed with it.
    """

    case: Case
    answer: str
    tokens: tuple[Token, ...] = field(repr=False)
    grids: tuple[Grid, ...]
    trace: Trace = field(repr=False, compare=False)
    vision: tuple[VisionTrace, ...] = field(repr=False, compare=False)
    provenance: Provenance = field(compare=False)
    target: str | None = None
    model: DebugModel | None = field(default=None, repr=False, compare=False)
    interventions: tuple[Intervention, ...] = ()

    @property
    def forced(self) -> bool:
        """Whether the answer was fed in, so that it says nothing about what the model would have answered."""
        return self.target is not None

    @property
    def right(self) -> bool | None:
        """Whether the answer contains the expected words; None where nothing was expected, and where nothing was
        answered yet because the run was cut in its thoughts. Of a forced run it judges the text that was fed in, which
        says nothing about the model: see `forced`."""
        return None if self.cut == "thoughts" else is_right(self.answer, self.case.expected)

    @property
    def cut(self) -> Literal["thoughts", "answer"] | None:
        """In what the run was cut by its limit of new tokens; None where the model ended its answer itself."""
        if self.target is not None or self.tokens[-1].kind == "end":
            return None
        return "thoughts" if self.tokens[-1].kind == "thought" else "answer"

    @property
    def thoughts(self) -> str:
        """What the model thought before it answered, without its marks; empty without thoughts."""
        return thoughts_text("".join(self.tokens[index].text for index in self.thought_tokens))

    @property
    def thought_tokens(self) -> tuple[int, ...]:
        """Indices of the tokens of the thoughts, with their marks."""
        return tuple(token.index for token in self.tokens if token.kind == "thought")

    @property
    def thinking(self) -> bool | None:
        """Whether thinking was turned on or off for this run; None where that was left to the chat template."""
        return self.provenance.settings.get("thinking")

    @property
    def fed_after(self) -> Literal["empty thoughts", "thoughts"] | None:
        """After what the answer of a forced run was fed; None without thoughts, and for the model's own answer."""
        if self.target is None:
            return None
        if self.thought_tokens:
            return "thoughts"
        # The end of the prompt, from the last words or cells on.
        end = takewhile(lambda token: token.kind == "template", reversed(self.tokens[: self.last_prompt + 1]))
        return "empty thoughts" if CLOSE in "".join(token.text for token in reversed(list(end))) else None

    @property
    def answer_tokens(self) -> tuple[int, ...]:
        """Indices of the answer's tokens, without the end token."""
        return tuple(token.index for token in self.tokens if token.kind == "answer")

    @property
    def question_tokens(self) -> tuple[int, ...]:
        """Indices of the tokens of the last question; those of earlier turns have the kind "earlier"."""
        return tuple(token.index for token in self.tokens if token.kind == "question")

    @property
    def last_prompt(self) -> int:
        """Index of the last token of the prompt, whose row chose the first token of the answer, or of the thoughts."""
        return next((token.index - 1 for token in self.tokens if token.kind in CHOSEN), self.tokens[-1].index)

    def row_of(self, token_index: int) -> int:
        """The attention row that belongs to a token.

        A token of the thoughts or the answer was chosen by the row before it; any other token looks with its own row.

        Raises:
            QueryError: there is no such token.
        """
        if not 0 <= token_index < len(self.tokens):
            raise QueryError(f"There is no token {token_index}: this run has tokens 0 to {len(self.tokens) - 1}.")
        return token_index - 1 if self.tokens[token_index].kind in CHOSEN else token_index

    def force(self, target: str, *, keep_thoughts: bool = False) -> Run:
        """The same model asked the same case, with a given answer fed in instead of its own; it keeps the rows, layers,
        vision layers and alternatives that this run was asked to keep.

        Args:
            target: the answer.
            keep_thoughts: feed it after the thoughts of this run. By default it is fed after the chat template's own
                empty thoughts where the model would think first, so that both sides of a comparison are fed alike.

        Raises:
            CaseError: the target is empty, the run holds no model, or its thoughts were cut.
        """
        if self.model is None:
            raise CaseError("This run was read from a file and holds no model: ask the case again to force an answer.")
        if keep_thoughts and self.cut == "thoughts":
            raise CaseError("This run was cut in its thoughts, so no answer can follow them: raise max_new_tokens.")
        kept = {name: self.provenance.settings[name] for name in KEPT if name in self.provenance.settings}
        thoughts = [self.tokens[index].id for index in self.thought_tokens] if keep_thoughts else ()
        kept |= {"thinking": self.thinking, "interventions": self.interventions}
        return self.model.ask(self.case, target=target, thoughts=thoughts, **kept)

    def to_dict(self) -> dict[str, Any]:
        """Everything but pixels and attention, ready for JSON; a forced run has no answer, but a target."""
        return {
            "question": self.case.question,
            "system": self.case.system,
            "history": [asdict(turn) for turn in self.case.history],
            "expected": self.case.expected,
            "pictures": [
                {"name": picture.name, "width": picture.width, "height": picture.height, "sha256": picture.sha256}
                for picture in self.case.pictures
            ],
            "seconds": list(self.case.seconds),
            "thoughts": self.thoughts,
            "answer": None if self.forced else self.answer,
            "cut": self.cut,
            "right": None if self.forced else self.right,
            "forced": self.forced,
            "fed_after": self.fed_after,
            "target": self.target,
            "grids": [{"picture": grid.picture, "rows": grid.rows, "cols": grid.cols} for grid in self.grids],
            "layers": self.trace.n_layers,
            "heads": self.trace.n_heads,
            "layers_with_maps": list(self.trace.layers),
            "interventions": [one.to_dict() for one in self.interventions],
            "tokens": [asdict(token) for token in self.tokens],
            "provenance": asdict(self.provenance),
        }
