"""`qwenvl-debug doctor`: versions, device, memory, and a self-test on the very model that will be used."""

from __future__ import annotations

import argparse

from qwenvl_debug.cli.arguments import add_json, add_model, load
from qwenvl_debug.cli.output import DONE, FOUND_WRONG, give

HELP = "check that this installation works"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    add_model(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check, and print what was found."""
    from qwenvl_debug.report.health import health, health_text

    report = health(load(options))
    give(options, lambda: report, lambda: health_text(report))
    return DONE if report["self_test"]["passed"] else FOUND_WRONG
