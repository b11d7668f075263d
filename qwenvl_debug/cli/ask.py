"""`qwenvl-debug ask`: one picture, several or a video, one question, perhaps after earlier turns."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qwenvl_debug.cli.arguments import add_answer, add_json, add_model, load
from qwenvl_debug.cli.output import DONE, about, give, progress

if TYPE_CHECKING:
    from qwenvl_debug.case import Case

HELP = "ask one question about a picture, several, or a short video"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("picture", type=Path, help="path of the picture, or of a video (MP4, AVI, WebM …)")
    parser.add_argument("question", help="the question, in quotes")
    parser.add_argument(
        "--picture", dest="more", type=Path, action="append", default=[], metavar="PATH", help="one more picture"
    )
    parser.add_argument(
        "--turn",
        nargs=2,
        action="append",
        default=[],
        metavar=("QUESTION", "ANSWER"),
        help="an earlier turn, may be repeated; the pictures were shown in the first of them",
    )
    parser.add_argument("--system", metavar="TEXT", help="a system prompt")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="of a video, how many frames (default: 8)")
    parser.add_argument("--target", metavar="TEXT", help="have the model give this answer, to see how likely it was")
    add_answer(parser)
    add_model(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Ask, and print the run."""
    from qwenvl_debug.regions import boxes, unread_boxes
    from qwenvl_debug.report.conversation_text import conversation_text
    from qwenvl_debug.report.text import run_text

    case = _case(options)
    model = load(options)
    found = model.ask(
        case,
        target=options.target,
        max_new_tokens=options.max_new_tokens,
        thinking=options.thinking,
        progress=progress("Answering"),
    )
    give(
        options,
        lambda: (
            found.to_dict()
            | {"boxes": [box.to_dict() for box in boxes(found)], "unread_boxes": list(unread_boxes(found))}
        ),
        lambda: "\n\n".join(filter(None, [about(model), run_text(found), conversation_text(found)])),
    )
    return DONE


def _case(options: argparse.Namespace) -> Case:
    """The conversation that was asked for.

    Raises:
        CaseError, PictureError: see `Case`, `Picture.open` and `Video.open`.
    """
    from qwenvl_debug.case import Case, Picture, Turn
    from qwenvl_debug.errors import CaseError
    from qwenvl_debug.video import SUFFIXES, Video

    shown: Video | list[Picture]
    if options.picture.suffix.lower() in SUFFIXES:
        if options.more:
            raise CaseError("A case holds pictures or one video, not both: leave out --picture.")
        shown = Video.open(options.picture, options.frames)
        count = len(shown.frames)
    else:
        shown = [Picture.open(path) for path in (options.picture, *options.more)]
        count = len(shown)
    counts = [count] + [0] * len(options.turn)
    history = tuple(Turn(*turn, pictures=number) for turn, number in zip(options.turn, counts, strict=False))
    return Case(shown, options.question, expected=options.expect, system=options.system, history=history)
