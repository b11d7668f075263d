"""`qwenvl-debug doctor`: versions, device, memory, and a self-test on the very model that will be used."""

from __future__ import annotations

import argparse

from qwenvl_debug.cli.arguments import add_json, add_model, load
from qwenvl_debug.cli.output import DONE, FOUND_WRONG, give

HELP = "check that this installation works"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "--estimate",
        action="store_true",
        help="only tell how much memory the model would need in each mode; nothing large is read or fetched",
    )
    add_model(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check, and print what was found."""
    if options.estimate:
        return _estimate(options)
    from qwenvl_debug.report.health import health, health_text

    report = health(load(options))
    give(options, lambda: report, lambda: health_text(report))
    return DONE if report["self_test"]["passed"] else FOUND_WRONG


def _estimate(options: argparse.Namespace) -> int:
    from qwenvl_debug.model.forecast import forecast
    from qwenvl_debug.model.place import Wishes
    from qwenvl_debug.report.health import forecast_text

    report = forecast(options.model, base=options.base, wishes=Wishes(device=options.device)).to_dict()
    give(options, lambda: report, lambda: forecast_text(report))
    return DONE if any(mode["fits"] for mode in report["modes"].values()) else FOUND_WRONG
