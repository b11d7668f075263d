"""What the process that renders chat templates does: it reads one job a line and writes one result a line.

`model.renderer` runs this file by its path, so it imports nothing of this package.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

LONGEST = 1_000_000
"""Characters that a rendered chat may have; no model reads more."""

GONE = 3
"""The exit status of a process that ran out of memory, or whose template wrote more than `LONGEST`."""


def render(job: dict[str, Any]) -> list[list[str | None]]:
    """Render chats with one template, by the function that transformers' `apply_chat_template` calls.

    Args:
        job: "template" (Jinja source), "words" (the tokenizer's special tokens by name) and "chats", each with its
            "messages" and the "options" that its template is given.

    Returns:
        Of each chat [None, text], or [name of the error's class, its message] where the template raised one.

    Raises:
        MemoryError: the template needs too much memory, or writes more than `LONGEST`.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    done: list[list[str | None]] = []
    for chat in job["chats"]:
        try:
            texts, _ = render_jinja_template(
                [chat["messages"]],
                chat_template=job["template"],
                add_generation_prompt=True,
                **{**job["words"], **chat["options"]},
            )
        except MemoryError:
            raise
        except Exception as error:  # a template may raise anything
            done.append([type(error).__name__, str(error)[:500]])
        else:
            if len(texts[0]) > LONGEST:
                raise MemoryError
            done.append([None, texts[0]])
    return done


def main() -> None:
    """Serve until the other process closes the pipe."""
    packages, seconds, memory = json.loads(sys.argv[1])
    sys.path[:0] = packages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other process
    # Whatever a library prints must not stand between the results.
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import transformers.utils.chat_template_utils  # noqa: F401 - before the limits, which leave it no room

    limit_next = _limits(seconds, memory)
    print("ready", file=results, flush=True)
    for line in sys.stdin.buffer:
        limit_next()
        try:
            result = json.dumps(render(json.loads(line)))
        except MemoryError:
            os._exit(GONE)
        print(result, file=results, flush=True)


def _limits(seconds: int, memory: int) -> Any:
    """Limit the memory from here on; return what limits the processor time of the next job."""
    try:
        import resource
    except ImportError:  # Windows; the other process's clock still stops this one
        return lambda: None
    try:
        with open("/proc/self/statm", encoding="ascii") as sizes:
            used = int(sizes.read().split()[0]) * resource.getpagesize()
    except OSError:  # no such file but on Linux
        used = 1 << 30
    for limit, value in ((resource.RLIMIT_AS, used + memory), (resource.RLIMIT_CORE, 0)):
        try:
            resource.setrlimit(limit, (value, value))
        except (ValueError, OSError):
            continue

    def limit_next() -> None:
        spent = resource.getrusage(resource.RUSAGE_SELF)
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (int(spent.ru_utime + spent.ru_stime) + 1 + seconds, hard))

    return limit_next


if __name__ == "__main__":
    main()
