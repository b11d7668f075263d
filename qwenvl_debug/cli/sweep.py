"""`qwenvl-debug sweep`: one picture made harder step by step, until the answer flips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from qwenvl_debug.cli.arguments import add_answer, add_json, add_model, load
from qwenvl_debug.cli.output import DONE, about, give, output_folder, progress
from qwenvl_debug.cli.region_arguments import SHAPES, add_region, parsed
from qwenvl_debug.compare.perturb import PERTURBATIONS
from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.maps import NORMALISATIONS

if TYPE_CHECKING:
    from qwenvl_debug.compare import Sweep

HELP = "make a picture harder until the answer flips"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="the picture as it is")
    parser.add_argument("question", metavar="QUESTION", help="the question about it, in quotes")
    kinds = ", ".join(f"{name} ({one.unit})" for name, one in PERTURBATIONS.items()).replace("%", "%%")
    parser.add_argument(
        "--change", required=True, choices=tuple(PERTURBATIONS), metavar="CHANGE", help=f"one of {kinds}"
    )
    parser.add_argument(
        "--strengths", type=_numbers, metavar="S,S,…", help="how strong, in the change's unit (default: six steps)"
    )
    parser.add_argument("--target", metavar="TEXT", help="the answer to follow (default: the expected, else the first)")
    parser.add_argument("--normalisation", choices=tuple(NORMALISATIONS), default="picture", help="of the maps")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write the pictures (PNG) and the table (CSV) here")
    add_region(parser, "--region", f"follow this region; the first is what occlude covers, e.g. {SHAPES}")
    add_answer(parser)
    add_model(parser)
    add_json(parser).add_argument("--csv", action="store_true", help="print the table as CSV and nothing else")


def run(options: argparse.Namespace) -> int:
    """Ask at every strength, write what was asked for and print the rest."""
    from qwenvl_debug.case import Case
    from qwenvl_debug.compare import sweep
    from qwenvl_debug.report.text import sweep_text

    case = Case(options.picture, options.question, expected=options.expect)
    size = case.pictures[0].size
    regions = parsed(options.region, size)
    kind = PERTURBATIONS[options.change]
    for strength in options.strengths or ():  # a wrong strength is told before the model loads
        if not 0 <= strength <= kind.most:
            raise QwenVLDebugError(f"“{kind.title}” goes from 0 to {kind.most:g} ({kind.unit}), not to {strength:g}.")
    if kind.needs_region and not regions:
        raise QwenVLDebugError(f"--change {kind.name} needs a --region to act on: {SHAPES}.")
    folder = output_folder(options.out)
    model = load(options)
    made = sweep(
        model,
        case,
        kind,
        options.strengths,
        regions=regions,
        target=options.target,
        normalisation=options.normalisation,
        max_new_tokens=options.max_new_tokens,
        thinking=options.thinking,
        progress=progress("Sweeping"),
    )
    files = _write(made, folder) if folder else []
    written = "".join(f"\nWrote {file}" for file in files)
    give(
        options,
        lambda: made.to_dict() | {"files": [str(file) for file in files]},
        lambda: f"{about(model)}\n\n{sweep_text(made)}" + (f"\n{written}" if written else ""),
        lambda: made.table().to_csv(index=False),
    )
    return DONE


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a list of numbers such as 0,0.2,0.4") from None


def _write(made: Sweep, folder: Path) -> list[Path]:
    """The picture of every step and the table; returns what was written."""
    contents = {folder / "sweep.csv": made.table().to_csv(index=False).encode()}
    for step in made.steps:
        contents[folder / f"{made.perturbation.name}-{step.strength:g}.png"] = step.case.pictures[0].png()
    try:
        for file, content in contents.items():
            file.write_bytes(content)
    except OSError as error:
        raise QwenVLDebugError(f"Nothing can be written to {folder}: {error.strerror}.") from None
    return list(contents)
