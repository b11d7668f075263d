"""`qwenvl-debug store`: check that everything that was kept is whole, and put right what is not."""

from __future__ import annotations

import argparse

from qwenvl_debug.cli.arguments import add_json
from qwenvl_debug.cli.output import DONE, FOUND_WRONG, give, progress

HELP = "check, and repair, what was kept"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("action", choices=("check",), metavar="check", help="read every file that is kept and compare")
    parser.add_argument("--repair", action="store_true", help="delete what nothing needs, forget traces that are lost")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check the store of the settings in force, and print what was found."""
    from qwenvl_debug.store import check, check_text, open_store  # SQLAlchemy takes half a second to import

    store = open_store()
    found = check(store, repair=options.repair, progress=progress("Reading"))
    store.close()
    give(options, found.to_dict, lambda: check_text(found))
    return DONE if found.clean else FOUND_WRONG
