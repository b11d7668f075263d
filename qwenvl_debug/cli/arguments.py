"""What several commands take, and how a mistyped argument is told."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from qwenvl_debug.cli.output import progress, refuse

if TYPE_CHECKING:
    from qwenvl_debug.model import DebugModel


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence rather than after a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(refuse(f"{message[:1].upper()}{message[1:]}: see {self.prog} --help."))


def add_answer(parser: argparse.ArgumentParser) -> None:
    """What every command takes that has a model answer."""
    parser.add_argument("--expect", metavar="TEXT", help="the right answer, to be told whether it was given")
    parser.add_argument(
        "--max-new-tokens",
        type=_positive,
        metavar="N",
        help="longest answer, in tokens, thoughts included (default: 64, and 2048 more where the model thinks first)",
    )
    parser.add_argument(
        "--thinking",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="have a thinking model think first, or answer at once (default: as its chat template does)",
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    """What every command takes that needs a model."""
    parser.add_argument("--model", default="micro", help="micro, a hub id or a folder (default: micro)")
    parser.add_argument("--device", help="cpu, cuda, mps, or auto to spread it (default: the best there is)")
    parser.add_argument(
        "--mode",
        default="basic",
        metavar="M",
        help="basic, full (the vision tower too), or low-memory (default: basic)",
    )
    parser.add_argument(
        "--low-memory", dest="mode", action="store_const", const="low memory", help="the same as --mode low-memory"
    )


def add_json(parser: argparse.ArgumentParser) -> argparse._MutuallyExclusiveGroup:
    """The choice of --json; the group it stands in takes other forms of output."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--json", action="store_true", help="print JSON and nothing else on standard output")
    return group


def load(options: argparse.Namespace) -> DebugModel:
    """The model that was asked for."""
    from qwenvl_debug.model import load_model

    return load_model(options.model, mode=options.mode, device=options.device, progress=progress("Loading"))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)
