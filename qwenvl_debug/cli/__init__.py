"""The `qwenvl-debug` command: ask a model, compare, score regions, check that an installation works.

Each command is a module of this package with `add`, which says what it takes, and `run`, which does it. Results go to
standard output, as text or with --json as JSON; progress and errors go to standard error. The exit code is 0 when
done, 1 when `doctor` or `store check` found something wrong, 2 when the input could not be used, 130 after Ctrl-C.
torch is imported only once a command needs a model, so that `--help` and mistyped arguments answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from qwenvl_debug.cli import architecture, ask, compare, doctor, score, store, sweep
from qwenvl_debug.cli.arguments import Parser
from qwenvl_debug.cli.output import DONE, STOPPED, drop_output, refuse
from qwenvl_debug.errors import QwenVLDebugError

COMMANDS = {
    "ask": ask,
    "compare": compare,
    "score": score,
    "sweep": sweep,
    "architecture": architecture,
    "doctor": doctor,
    "store": store,
}


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
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # silent: what is wrong with a video is said in one sentence
    try:
        return options.command(options)
    except QwenVLDebugError as error:
        return refuse(str(error))
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return STOPPED
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        drop_output()
        return DONE


def _parser() -> Parser:
    parser = Parser(
        prog="qwenvl-debug",
        description="See where a Qwen vision-language model looked, in a correct and a failing case side by side.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and stop")
    parser.set_defaults(command=lambda options: _version() if options.version else parser.print_help() or DONE)
    commands = parser.add_subparsers(title="commands", parser_class=Parser, metavar=" | ".join(COMMANDS))
    for name, command in COMMANDS.items():
        summary = command.__doc__.splitlines()[0].split(": ", 1)[1]
        one = commands.add_parser(name, help=command.HELP, description=summary[0].upper() + summary[1:])
        command.add(one)
        one.set_defaults(command=command.run)
    return parser


def _version() -> int:
    from importlib.metadata import version

    print(version("qwenvl-debug"))
    return DONE
