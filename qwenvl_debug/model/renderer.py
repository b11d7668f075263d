"""Chat templates are rendered in a process of their own, which can be stopped.

A chat template is a Jinja program written by a stranger. transformers renders it in Jinja's sandbox, from which it
cannot reach Python or files; but nothing there bounds its loops or the text it makes, and a template can be written to
run for years, at once or only for a certain word in the fifth message. So transformers' own function renders every
chat in a child process, with few seconds and little memory. The child starts when it is first needed, stays (a chat
then takes about a millisecond), and ends with this process.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from threading import Lock, Timer
from typing import Any

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.model import render_child

SECONDS = 3
"""Processor time for the chats of one call; a published template takes milliseconds."""

MEMORY = 1 << 29
"""Bytes that rendering may take on top of what the child needs to start."""

Result = list[str | None]
"""[None, the text], or [name of the error's class, its message] where the template raised one."""

logger = logging.getLogger(__name__)
_PYTHON = sys.executable or "python"


class RenderingStopped(QwenVLDebugError):
    """The template took too long or too much memory."""


class Renderer:
    """A child process that renders chats, started again after it was stopped. Threads take turns."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = 0  # the process that started the child; a fork of it must not share the pipes

    def start(self) -> None:
        """Start the child without waiting for it, where none runs."""
        with self._lock:
            self._start()

    def render(self, template: str, words: Mapping[str, Any], chats: Sequence[Mapping[str, Any]]) -> list[Result]:
        """Render chats with one template.

        Args:
            template: Jinja source.
            words: the tokenizer's special tokens by name, which a template may use.
            chats: each with its "messages" and the "options" that the template is given beside them.

        Raises:
            RenderingStopped: the chats together took too long or too much memory.
        """
        job = {"template": template, "words": dict(words), "chats": [dict(chat) for chat in chats]}
        with self._lock:
            if self._ready():
                return self._ask(json.dumps(job).encode() + b"\n")
        logger.warning("Chat templates are rendered without limits, for no process can be started with %s.", _PYTHON)
        return render_child.render(job)

    def stop(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            child.kill()
            child.communicate()

    def _start(self) -> None:
        if self._child is not None and self._owner == os.getpid() and self._child.poll() is None:
            return
        self.stop()
        packages = [str(folder) for folder in sys.path if folder]
        # -I: neither the folder this is run in nor the environment can put other code in the way.
        command = [_PYTHON, "-I", render_child.__file__, json.dumps([packages, SECONDS, MEMORY])]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **threads},
            )
        except OSError:
            self._child = None
        self._owner, self._greeted = os.getpid(), False

    def _ready(self) -> bool:
        """Whether a child waits for a job. One that cannot start says nothing of the template."""
        self._start()
        if self._child is not None and not self._greeted:
            self._greeted = self._line(20 * SECONDS).strip() == b"ready"
        return self._child is not None and self._greeted

    def _ask(self, job: bytes) -> list[Result]:
        try:
            self._child.stdin.write(job)
            self._child.stdin.flush()
            line = self._line(10 * SECONDS)  # by the clock, for a busy machine and for systems without limits
        except OSError:  # it went away
            line = b""
        if not line:
            self.stop()
            raise RenderingStopped("The chat template takes too long or too much memory.")
        return json.loads(line)

    def _line(self, seconds: float) -> bytes:
        """The next line of the child; empty where it ends, or is ended because it takes too long."""
        timer = Timer(seconds, self._child.kill)
        timer.daemon = True
        timer.start()
        try:
            return self._child.stdout.readline()
        finally:
            timer.cancel()


RENDERER = Renderer()
"""The one of this process."""
atexit.register(RENDERER.stop)
