"""`qwenvl-debug score`: how much of the attention lies on regions of one picture, beside chance."""

from __future__ import annotations

import argparse
from pathlib import Path

from qwenvl_debug.cli.arguments import add_answer, add_json, add_model, load
from qwenvl_debug.cli.output import DONE, about, give, progress
from qwenvl_debug.cli.region_arguments import SHAPES, add_region, parsed

HELP = "score where the attention lies against regions of a picture"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("picture", type=Path, help="path of the picture")
    parser.add_argument("question", help="the question, in quotes")
    add_region(
        parser,
        "--region",
        f"{SHAPES}, in pixels; several of one name form one region",
        metavar="NAME=SHAPE",
        needed=True,
    )
    parser.add_argument("--target", metavar="TEXT", help="ask with the words of this answer")
    add_answer(parser)
    add_model(parser)
    add_json(parser).add_argument("--csv", action="store_true", help="print every score as CSV and nothing else")


def run(options: argparse.Namespace) -> int:
    """Ask, score, and print."""
    from qwenvl_debug.case import Case
    from qwenvl_debug.regions import score_run, score_table
    from qwenvl_debug.report.scores_text import scores_text

    case = Case(options.picture, options.question, expected=options.expect)
    regions = parsed(options.region, case.pictures[0].size)
    model = load(options)
    asked = model.ask(
        case,
        target=options.target,
        max_new_tokens=options.max_new_tokens,
        thinking=options.thinking,
        progress=progress("Answering"),
    )
    give(
        options,
        lambda: asked.to_dict() | {"regions": [one.to_dict() for one in score_run(asked, regions)]},
        lambda: about(model) + "\n\n" + scores_text(asked, score_run(asked, regions)),
        lambda: score_table(asked, regions).to_csv(index=False),
    )
    return DONE
