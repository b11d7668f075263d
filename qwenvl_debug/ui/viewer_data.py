"""What does the viewer draw? Everything it is sent, before and after the model has answered."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.case import Case, Picture, is_right
from qwenvl_debug.maps import NORMALISATIONS, Query
from qwenvl_debug.ui.asks import chips, shared_refs, thought_tokens
from qwenvl_debug.ui.payload import picture_payload

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison
    from qwenvl_debug.model import Run
    from qwenvl_debug.ui.answers import Answers
    from qwenvl_debug.ui.pairs import Choice

SIDES = ("Correct", "Failing")
NOUNS = {
    "picture": "of the picture's attention",
    "row": "of all attention",
    "ratio": "of the map held against the neutral question",
    "added": "of what the question added",
    "no_sinks": "of the picture's attention without sinks",
}
"""What a cell's share is a share of, by normalisation."""
ALIGNMENTS = [
    ["", "found out", "The simplest way in which the pixels of both pictures agree, or none."],
    ["same frame", "edge on edge", "You know that both show the same frame: every place lies where it lies."],
    ["registered", "by points", "Lay them on each other by points found on both; refused where there are too few."],
    ["by region", "not at all", "Compare regions and layer figures only; no cell of one is a cell of the other."],
]
"""How a person may have the pictures laid on each other: key, name, tooltip."""


def waiting(choice: Choice, place: dict[str, Any], recorded: bool) -> dict[str, Any]:
    """The page before the model has answered: pictures, questions and, where they are its own, recorded answers."""
    sides = []
    for number, case in enumerate((choice.correct, choice.failing)):
        answer = choice.recorded[number] if recorded and choice.recorded else ""
        verdict = _verdict(answer, case.expected, "recorded") if answer else {"text": "", "kind": "plain"}
        words = {"q": _plain(case.question), "h": [], "a": _plain(answer), "t": []}
        side = _side(number, case, choice.pictures[number], verdict, words, answer)
        sides.append({**side, "maps": None, "imageShare": None})
    return {
        "id": "",
        "place": place,
        "sides": sides,
        "seed": {"id": "", "layer": 0, "head": -1, "overlay": "own", "stated": False},
        "query": {"left": "a", "right": "a", "shows": "picture", "align": ""},
        "wanted": "picture",
        "asks": [["a", "—"]],
        "asked": "",
        "shared": [],
        "shows": [["picture", "—"]],
        "aligns": ALIGNMENTS,
        "noun": "",
        "whole": False,
        "notice": "",
        "empty": None,
        "layers": 0,
        "heads": 0,
    }


def answered(
    choice: Choice,
    answers: Answers,
    comparison: Comparison,
    maps: tuple[dict[str, Any], dict[str, Any]],
    query: dict[str, str],
    *,
    wanted: str,
    seed: dict[str, Any],
    place: dict[str, Any],
    identity: str,
) -> dict[str, Any]:
    """Both sides with their maps, their words and what may be chosen.

    Args:
        choice: the two cases.
        answers: their runs.
        comparison: of the words that ask.
        maps: both sides' maps as they are sent.
        query: who asks, what is shown and how the pictures lie, {left, right, shows, align}.
        wanted: the normalisation that was asked for; another than is shown while the neutral question is being asked.
        seed: where the viewer opens.
        place: for the address.
        identity: what the maps are told apart by, see `identity`.
    """
    sides = []
    for number, case in enumerate((choice.correct, choice.failing)):
        run = answers.run(number, "a")
        rows = ("q", "a") if answers.forced is None else ("q", "a", "t")
        words = {row: chips(answers.run(number, row), row) for row in rows}
        words.setdefault("t", [])
        words["h"] = chips(run, "h")
        words["a"] = words["a"] or _plain("(no words)")
        verdict = _cut() if words["h"] and run.cut == "thoughts" else _verdict(run.answer, case.expected)
        sides.append({**_side(number, case, choice.pictures[number], verdict, words, run.answer), **maps[number]})
    layers, heads = comparison.divergence.shape
    shows = query["shows"]
    shared = shared_refs(answers)
    return {
        "id": identity,
        "place": place,
        "sides": sides,
        "seed": {"overlay": "own", "stated": True, **seed},
        "query": query,
        "wanted": wanted,
        "asks": _asks(answers, comparison, query, shared),
        "asked": _asked(comparison),
        "shared": [[left, right] for left, right, _ in shared],
        "shows": [[key, text.name, f"{text.plain}\n\n{text.formula}"] for key, text in NORMALISATIONS.items()],
        "aligns": ALIGNMENTS,
        "noun": NOUNS[shows],
        "whole": shows != "row",
        "notice": ""
        if wanted == shows
        else f"Shown until the neutral question is answered: {NORMALISATIONS[shows].name}.",
        "empty": "The question added nothing here beyond the neutral one." if shows == "added" else None,
        "layers": int(layers),
        "heads": int(heads),
    }


def identity(scope: tuple[str, ...], query: dict[str, str], picture: int = 0) -> str:
    """What the maps are told apart by, in the browser."""
    return hashlib.sha256(repr((scope, sorted(query.items()), picture)).encode()).hexdigest()[:16]


@st.cache_resource(show_spinner=False, max_entries=32)
def _picture(sha256: str, _shown: Picture) -> str:
    return picture_payload(_shown)


def _side(
    number: int, case: Case, picture: Picture, verdict: dict[str, str], words: dict[str, list], answer: str
) -> dict[str, Any]:
    return {
        "name": SIDES[number],
        "verdict": verdict,
        "chips": words,
        "picture": _picture(picture.sha256, picture),
        "width": picture.width,
        "height": picture.height,
        "caption": f"{case.question} {answer}".strip(),
    }


def _plain(text: str) -> list[dict[str, Any]]:
    return [{"text": text, "ref": None, "probability": None, "alternatives": []}] if text else []


def _asks(
    answers: Answers, comparison: Comparison, query: dict[str, str], shared: Sequence[tuple[str, str, str]]
) -> list[list[str]]:
    """What the control offers: [refs, words, tooltip, group]; refs of both sides, "left|right" where they differ."""
    options = [
        ["a", "each side's own answer", "The words each model run chose itself. They may differ.", ""],
        ["q", "the question", "All words of the question.", ""],
        ["p", "the end of the prompt", "The last place before the answer: it chose the answer's first word.", ""],
    ]
    if all(thought_tokens(answers.run(side, "h")) for side in (0, 1)):
        options.insert(1, ["h", "each side's thoughts", "What each model run thought before it answered.", ""])
    if answers.forced is not None:
        expected = "The expected answer, fed to both runs, so that both are asked with the same words."
        options.insert(0, ["t", "the expected answer", expected, ""])
    for left, right, word in shared:
        options.append(
            [_both(left, right), f"“{word}”", "The same word of both questions.", "a word of both questions"]
        )
    now = _both(query["left"], query["right"])
    if now not in [option[0] for option in options]:
        left, right = (stack.query.label.strip() for stack in (comparison.left, comparison.right))
        words = f"“{left}”" if left == right else f"“{left}” / “{right}”"
        options.append([now, words, "Chosen by clicking words.", ""])
    return options


def _both(left: str, right: str) -> str:
    return left if left == right else f"{left}|{right}"


def _asked(comparison: Comparison) -> str:
    """Who asks on both sides, and of how many tokens the average is."""
    sides = comparison.left.query, comparison.right.query
    words = [f"“{query.label.strip() or '␣'}”" for query in sides]
    counts = [_tokens(run, query) for run, query in zip(comparison.asked, sides, strict=True)]
    if words[0] == words[1] and counts[0] == counts[1]:
        return f"Asked with {words[0]}, {counts[0]} on each side."
    return f"Asked with {words[0]}, {counts[0]}, and {words[1]}, {counts[1]}."


def _tokens(run: Run, query: Query) -> str:
    groups = {run.tokens[index].group for index in query.tokens}
    if len(groups) == 1:
        return "one token" if len(query.tokens) == 1 else f"one character of {len(query.tokens)} tokens"
    return f"the average of {len(query.tokens)} tokens"


def _cut() -> dict[str, str]:
    return {"text": "cut in its thoughts", "kind": "plain"}


def _verdict(answer: str, expected: str | None, mark: str = "") -> dict[str, str]:
    right = is_right(answer, expected)
    words = {True: "as expected", False: f"expected “{expected}”", None: ""}[right]
    kind = {True: "right", False: "wrong", None: "plain"}[right]
    return {"text": " · ".join(part for part in (words, mark) if part), "kind": kind}
