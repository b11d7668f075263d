"""`qwenvl-debug ask`: one picture, one question."""

from __future__ import annotations

import argparse
from pathlib import Path

from qwenvl_debug.cli.arguments import add_answer, add_json, add_model, load
from qwenvl_debug.cli.output import DONE, about, give, progress

HELP = "ask one question about one picture"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("picture", type=Path, help="path of the picture")
    parser.add_argument("question", help="the question, in quotes")
    parser.add_argument("--target", metavar="TEXT", help="have the model give this answer, to see how likely it was")
    add_answer(parser)
    add_model(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Ask, and print the run."""
    from qwenvl_debug.case import Case
    from qwenvl_debug.report.text import run_text

    case = Case(options.picture, options.question, expected=options.expect)
    model = load(options)
    found = model.ask(
        case, target=options.target, max_new_tokens=options.max_new_tokens, progress=progress("Answering")
    )
    give(options, found.to_dict, lambda: about(model) + "\n\n" + run_text(found))
    return DONE
