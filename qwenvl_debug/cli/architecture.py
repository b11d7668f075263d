"""`qwenvl-debug architecture`: what a model is made of, counted from its configuration; no weights are loaded."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from qwenvl_debug.cli.arguments import add_json
from qwenvl_debug.cli.output import DONE, give

if TYPE_CHECKING:
    from qwenvl_debug.model.architecture import Architecture

HELP = "show what a model is made of"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "--model",
        default="micro",
        metavar="NAME",
        help="micro, a published model (see --list), a folder with a config.json, or a hub id (default: micro)",
    )
    parser.add_argument("--beside", metavar="NAME", help="a second model, to compare figure by figure")
    parser.add_argument(
        "--picture",
        type=_size,
        default=(640, 480),
        metavar="WxH",
        help="picture to count tokens for (default: 640x480)",
    )
    parser.add_argument(
        "--text-tokens", type=_count, default=32, metavar="N", help="tokens of the prompt beside it (default: 32)"
    )
    parser.add_argument("--list", action="store_true", help="list the published models that are known by themselves")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Describe, and print."""
    from qwenvl_debug.model.architecture import described, published, record, token_budget
    from qwenvl_debug.report.architecture_text import architecture_text, side_by_side_text
    from qwenvl_debug.report.text import columns

    if options.list:
        rows = [(one.name, f"{described(one.name).total:,}", described(one.name).family) for one in published()]
        give(
            options,
            lambda: {"models": [{"name": name, "total": described(name).total, "family": f} for name, _, f in rows]},
            lambda: "\n".join(columns([("model", "weights", "generation"), *rows], right=(1,))),
        )
        return DONE
    found = [_describe(name) for name in (options.model, options.beside) if name is not None]
    budgets = [token_budget(one.rules, *options.picture) for one in found]
    texts = [architecture_text(one, budget, options.text_tokens) for one, budget in zip(found, budgets, strict=True)]
    if len(found) > 1:
        texts.append(side_by_side_text(found, budgets))
    records = [record(one, budget, options.text_tokens) for one, budget in zip(found, budgets, strict=True)]
    give(options, lambda: records[0] if len(records) == 1 else {"models": records}, lambda: "\n\n".join(texts))
    return DONE


def _describe(name: str) -> Architecture:
    from qwenvl_debug.model.architecture import described

    known = described(name)
    if known is not None:
        return known
    from qwenvl_debug.model.architecture import describe  # torch and transformers take seconds to import

    return describe(name)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})[x×](\d{1,6})", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text} is not a size in pixels such as 640x480")
    return int(match[1]), int(match[2])


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 7:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of tokens")
    return int(text)
