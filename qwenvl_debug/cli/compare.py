"""`qwenvl-debug compare`: a correct and a failing picture, one question."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.cli.arguments import add_answer, add_json, add_model, load
from qwenvl_debug.cli.output import DONE, about, give, output_folder, progress
from qwenvl_debug.cli.region_arguments import SHAPES, add_region, parsed
from qwenvl_debug.compare.alignment import KINDS
from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.maps import NORMALISATIONS

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison

HELP = "compare two pictures"


def add(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--correct", type=Path, required=True, metavar="PICTURE", help="the picture answered rightly")
    parser.add_argument("--failing", type=Path, required=True, metavar="PICTURE", help="the picture answered wrongly")
    parser.add_argument("--ask", required=True, metavar="QUESTION", help="the question about both, in quotes")
    asks = parser.add_mutually_exclusive_group()
    asks.add_argument(
        "--target", metavar="TEXT", help="ask both sides with the words of this answer (default: the expected one)"
    )
    asks.add_argument("--own-answers", action="store_true", help="ask each side with its own answer")
    parser.add_argument(
        "--normalisation",
        choices=tuple(NORMALISATIONS),
        default="picture",
        help="what the maps are shares of: "
        + ", ".join(f"{key} ({one.name})" for key, one in NORMALISATIONS.items())
        + " (default: picture)",
    )
    parser.add_argument(
        "--align",
        choices=("auto", *(kind.replace(" ", "-") for kind in KINDS)),
        default="auto",
        help="how the pictures lie on each other, where you know better than the pictures tell (default: auto)",
    )
    parser.add_argument(
        "--noise",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="rank layers and heads above what harmless changes of the correct picture do; asks it six times more",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write overlays (PNG) and tables (CSV) here")
    add_region(
        parser,
        "--region",
        f"measure this region of the correct picture on both; the alignment carries it to the failing one. {SHAPES}",
    )
    add_region(
        parser,
        "--region-correct",
        "a region drawn on the correct picture; with --region-failing of that name each has its own",
    )
    add_region(parser, "--region-failing", "a region drawn on the failing picture")
    add_answer(parser)
    add_model(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Ask both, compare, write what was asked for and print the rest."""
    from qwenvl_debug.case import Case
    from qwenvl_debug.compare import compare as compare_runs
    from qwenvl_debug.compare import noise_floor, sided_regions, stated
    from qwenvl_debug.report.scores_text import masses_text
    from qwenvl_debug.report.text import comparison_text

    cases = [Case(picture, options.ask, expected=options.expect) for picture in (options.correct, options.failing)]
    sizes = [case.pictures[0].size for case in cases]
    regions = {
        "regions": parsed(options.region, sizes[0]),
        "left_regions": parsed(options.region_correct, sizes[0]),
        "right_regions": parsed(options.region_failing, sizes[1]),
    }
    sided_regions(stated("by region", *(case.pictures[0] for case in cases)), sizes, **regions)  # told before it works
    folder = output_folder(options.out)
    model = load(options)
    correct, failing = (
        model.ask(
            case,
            max_new_tokens=options.max_new_tokens,
            thinking=options.thinking,
            progress=progress(f"Answering, {side} side"),
        )
        for side, case in zip(("correct", "failing"), cases, strict=True)
    )
    comparison = compare_runs(
        correct,
        failing,
        target=None if options.own_answers else options.target or options.expect,
        normalisation=options.normalisation,
        **regions,
        alignment=None if options.align == "auto" else options.align.replace("-", " "),
    )
    if options.noise:
        noise = noise_floor(
            comparison.asked[0],
            query=comparison.left.query,
            normalisation=options.normalisation,
            neutral=comparison.neutral and comparison.neutral[0],
            regions=comparison.left_regions,
            progress=progress("Measuring the noise"),
        )
        comparison = comparison.with_noise(noise)
    files = _write(comparison, folder) if folder else []
    written = "".join(f"\nWrote {file}" for file in files)
    give(
        options,
        lambda: comparison.to_dict() | {"files": [str(file) for file in files]},
        lambda: (
            "\n".join(filter(None, [about(model) + "\n", comparison_text(comparison), masses_text(comparison)]))
            + (f"\n{written}" if written else "")
        ),
    )
    return DONE


def _write(comparison: Comparison, folder: Path) -> list[Path]:
    """Overlays of the layer to look at first on one scale, and the tables; returns what was written."""
    from qwenvl_debug.report import overlay

    files: dict[Path, Callable[[], bytes]] = {
        folder / "table.csv": lambda: comparison.table().to_csv(index=False).encode(),
        folder / "layers.csv": lambda: comparison.layers().to_csv(index=False).encode(),
    }
    if comparison.ranking is not None:
        files[folder / "ranking.csv"] = lambda: comparison.ranking.heads.to_csv(index=False).encode()
    first = comparison.opens_on()
    if first is not None:
        layer = first[0]
        maps = {"correct": comparison.left.map(layer), "failing": comparison.right.map(layer)}
        maps = {side: one for side, one in maps.items() if np.isfinite(one.values).all()}  # a side may have none there
        scale = max((float(one.values.max()) for one in maps.values()), default=0.0) or None
        runs = {"correct": comparison.correct, "failing": comparison.failing}
        for side, one in maps.items():
            picture = runs[side].case.pictures[one.picture]
            files[folder / f"{side}-layer-{layer}.png"] = lambda p=picture, m=one: overlay(p, m, scale=scale)
    try:
        for file, content in files.items():
            file.write_bytes(content())
    except OSError as error:
        raise QwenVLDebugError(f"Nothing can be written to {folder}: {error.strerror}.") from None
    return list(files)
