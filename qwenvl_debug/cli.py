"""The `qwenvl-debug` command: ask a model, compare a correct with a failing picture, check that an installation works.

Results go to standard output, as text or with --json as JSON; progress and errors go to standard error. The exit
code is 0 when done, 1 when `doctor` found something wrong, 2 when the input could not be used, 130 after Ctrl-C.
torch is imported only once a command needs a model, so that `--help` and mistyped arguments answer at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from qwenvl_debug.errors import QwenVLDebugError

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison
    from qwenvl_debug.model import DebugModel

DONE, FOUND_WRONG, BAD_INPUT, STOPPED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what follows the program's name; by default the process's own arguments.

    Returns:
        The exit code, see the head of this module.
    """
    options = _parser().parse_args(arguments)
    # A pipe may speak less than UTF-8; better an escaped character than a crash.
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where the shell has closed it
        stream.reconfigure(errors="backslashreplace")
    for quiet in ("TRANSFORMERS_VERBOSITY", "HF_HUB_VERBOSITY"):
        os.environ.setdefault(quiet, "error")
    try:
        return options.command(options)
    except QwenVLDebugError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        _drop_output()
        return DONE


def ask(options: argparse.Namespace) -> int:
    """`qwenvl-debug ask`: one picture, one question."""
    from qwenvl_debug.case import Case
    from qwenvl_debug.report.text import run_text

    case = Case(options.picture, options.question, expected=options.expect)
    model = _load(options)
    run = model.ask(case, target=options.target, max_new_tokens=options.max_new_tokens, progress=_progress("Answering"))
    _give(options, run.to_dict, lambda: _about(model) + "\n\n" + run_text(run))
    return DONE


def compare(options: argparse.Namespace) -> int:
    """`qwenvl-debug compare`: a correct and a failing picture, one question."""
    from qwenvl_debug.case import Case
    from qwenvl_debug.compare import compare as compare_runs
    from qwenvl_debug.report.text import comparison_text

    cases = [Case(picture, options.ask, expected=options.expect) for picture in (options.correct, options.failing)]
    folder = _output_folder(options.out)
    model = _load(options)
    correct, failing = (
        model.ask(case, max_new_tokens=options.max_new_tokens, progress=_progress(f"Answering, {side} side"))
        for side, case in zip(("correct", "failing"), cases, strict=True)
    )
    comparison = compare_runs(correct, failing, target=options.target, normalisation=options.normalisation)
    files = _write(comparison, folder) if folder else []
    written = "".join(f"\nWrote {file}" for file in files)
    _give(
        options,
        lambda: comparison.to_dict() | {"files": [str(file) for file in files]},
        lambda: "\n".join([_about(model), "", comparison_text(comparison)]) + (f"\n{written}" if written else ""),
    )
    return DONE


def doctor(options: argparse.Namespace) -> int:
    """`qwenvl-debug doctor`: versions, device, memory, and a self-test on the very model that will be used."""
    from qwenvl_debug.report.health import health, health_text

    report = health(_load(options))
    _give(options, lambda: report, lambda: health_text(report))
    return DONE if report["self_test"]["passed"] else FOUND_WRONG


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="qwenvl-debug",
        description="See where a Qwen vision-language model looked, in a correct and a failing case side by side.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.set_defaults(command=lambda options: _version() if options.version else parser.print_help() or DONE)
    commands = parser.add_subparsers(title="commands", parser_class=_Parser, metavar="ask | compare | doctor")

    one = commands.add_parser("ask", help="ask one question about one picture", description=_first_line(ask))
    one.add_argument("picture", type=Path, help="path of the picture")
    one.add_argument("question", help="the question, in quotes")
    one.add_argument("--target", metavar="TEXT", help="have the model give this answer, to see how likely it was")
    one.set_defaults(command=ask)

    two = commands.add_parser("compare", help="compare two pictures", description=_first_line(compare))
    two.add_argument("--correct", type=Path, required=True, metavar="PICTURE", help="the picture answered rightly")
    two.add_argument("--failing", type=Path, required=True, metavar="PICTURE", help="the picture answered wrongly")
    two.add_argument("--ask", required=True, metavar="QUESTION", help="the question about both, in quotes")
    two.add_argument("--target", metavar="TEXT", help="ask both sides with the words of this answer")
    two.add_argument(
        "--normalisation",
        choices=("picture", "row"),
        default="picture",
        help="maps as a share of the picture's attention, or of each row's (default: picture)",
    )
    two.add_argument("--out", type=Path, metavar="FOLDER", help="write overlays (PNG) and tables (CSV) here")
    two.set_defaults(command=compare)

    check = commands.add_parser("doctor", help="check that this installation works", description=_first_line(doctor))
    check.set_defaults(command=doctor)

    for command in (one, two):
        command.add_argument("--expect", metavar="TEXT", help="the right answer, to be told whether it was given")
        command.add_argument(
            "--max-new-tokens", type=_positive, default=64, metavar="N", help="longest answer, in tokens (default: 64)"
        )
    for command in (one, two, check):
        command.add_argument("--model", default="micro", help="micro, a hub id or a folder (default: micro)")
        command.add_argument("--device", help="cpu, cuda, mps (default: the best there is)")
        command.add_argument("--json", action="store_true", help="print JSON and nothing else on standard output")
    return parser


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence rather than after a page of usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(_refuse(f"{message[:1].upper()}{message[1:]}: see {self.prog} --help."))


def _load(options: argparse.Namespace) -> DebugModel:
    from qwenvl_debug.model import load_model

    return load_model(options.model, device=options.device, progress=_progress("Loading"))


def _output_folder(folder: Path | None) -> Path | None:
    """Make the folder before the model works, so that a wrong path is told at once."""
    if folder is None:
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QwenVLDebugError(f"Nothing can be written to {folder}: {error.strerror}.") from None
    return folder


def _write(comparison: Comparison, folder: Path) -> list[Path]:
    """Overlays of the most different layer on one scale, and both tables; returns what was written."""
    from qwenvl_debug.report import overlay

    files: dict[Path, Callable[[], bytes]] = {
        folder / "table.csv": lambda: comparison.table().to_csv(index=False).encode(),
        folder / "layers.csv": lambda: comparison.layers().to_csv(index=False).encode(),
    }
    layer = comparison.most_different_layer()
    if layer is not None:
        maps = {"correct": comparison.left.map(layer), "failing": comparison.right.map(layer)}
        scale = max(float(one.values.max()) for one in maps.values()) or None
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


def _give(options: argparse.Namespace, as_dict: Callable[[], dict[str, Any]], as_text: Callable[[], str]) -> None:
    if options.json:
        ascii_only = getattr(sys.stdout, "encoding", "").lower().replace("-", "") != "utf8"
        text = json.dumps(as_dict(), ensure_ascii=ascii_only, allow_nan=False, indent=2)
    else:
        text = as_text()
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        _drop_output()
        raise QwenVLDebugError(f"The result could not be written: {error.strerror}.") from None


def _drop_output() -> None:
    """Send what is still waiting to be written nowhere, so that Python's own farewell does not fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _about(model: DebugModel) -> str:
    return f"{model.name} ({model.family}, {model.n_layers} layers of {model.n_heads} heads, on {model.device})"


def _progress(doing: str) -> Callable[[int, int, str], None] | None:
    """A line that rewrites itself, for a person at a terminal; nothing for a log file."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, of: int, text: str) -> None:
        line = f"{doing}: {done} of {of}  {' '.join(text.split())}"[:76]
        print(f"\r\033[K{line if done < of else ''}", end="", file=sys.stderr, flush=True)

    return show


def _refuse(sentence: str) -> int:
    print(f"qwenvl-debug: {' '.join(sentence.split())}", file=sys.stderr)
    return BAD_INPUT


def _version() -> int:
    from importlib.metadata import version

    print(version("qwenvl-debug"))
    return DONE


def _first_line(command: Callable[..., int]) -> str:
    text = command.__doc__.splitlines()[0].split(": ", 1)[1]
    return text[0].upper() + text[1:]


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
