"""Does a checkpoint's chat template come to an end? Tried in a process of its own, which can be stopped.

A chat template is a Jinja program written by a stranger. transformers renders it in Jinja's sandbox, from which it
cannot reach Python or files; but nothing there bounds its loops or the text it makes, and a template can be written to
run for years. So before a checkpoint is used, its template renders sample chats in a child process with the same
sandbox, with few seconds and little memory. This program gives a template only the outline of a chat (see
`model.inputs`), never a person's words, so it cannot wait for a certain word to misbehave.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import lru_cache

from qwenvl_debug.errors import ModelLoadError

SECONDS = 3
"""Processor time for all sample chats together; a published template takes milliseconds, starting Python a tenth."""

_TRIAL = """
import json, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (ImportError, ValueError, OSError):
    pass  # not on Windows; the parent's clock still stops this process
from datetime import datetime
import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

class Generation(Extension):
    tags = {"generation"}
    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)
    def _same(self, caller):
        return caller()

def refuse(message):
    raise jinja2.exceptions.TemplateError(message)

job = json.load(sys.stdin)
room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
room.filters["tojson"] = lambda x, **options: json.dumps(x, ensure_ascii=False)
room.globals["raise_exception"] = refuse
room.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
template = None
try:
    template = room.from_string(job["template"])
except MemoryError:
    sys.exit(3)
except Exception:
    pass  # as below
length = 0
for messages in job["chats"] if template else ():
    try:
        text = template.render(messages=messages, add_generation_prompt=True, enable_thinking=False, **job["words"])
    except MemoryError:
        sys.exit(3)
    except Exception:
        continue  # transformers will meet the same, and it is told then
    length = max(length, len(text))
sys.exit(3 if length > 1_000_000 else 0)
"""


def check_chat_template(template: str, words: Mapping[str, str], name: str) -> None:
    """Refuse a template that does not end within seconds, or that makes a text no model could read.

    Args:
        template: the Jinja source.
        words: the tokenizer's special tokens by name, which a template may use.
        name: what to call the checkpoint in an error.

    Raises:
        ModelLoadError: the template takes too long or too much memory.
    """
    if not _ends(template, json.dumps(words, sort_keys=True)):
        raise ModelLoadError(
            f"“{name}” is refused: its chat template takes too long or too much memory to write out a simple question."
        )


@lru_cache(maxsize=64)
def _ends(template: str, words: str) -> bool:
    job = json.dumps({"template": template, "chats": _chats(), "words": json.loads(words)})
    try:
        done = subprocess.run(
            # -I: neither the folder this is run in nor the environment can put other code in the way.
            [sys.executable, "-I", "-c", _TRIAL.replace("SECONDS", str(SECONDS))],
            input=job.encode(),
            capture_output=True,
            timeout=10 * SECONDS,  # by the clock, for a busy machine and for systems without limits of processor time
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode in (0, 1)  # 1: Python could not start as it should, which says nothing of the template


def _chats() -> list[list[dict]]:
    """Outlines of the chats this program asks for: a picture, several or a video, a system prompt, several turns."""
    text = {"type": "text", "text": "?"}
    user = {"role": "user", "content": [{"type": "image"}, text]}
    film = {"role": "user", "content": [{"type": "video"}, text]}
    several = {"role": "user", "content": [{"type": "image"}] * 3 + [text]}
    system, answer = {"role": "system", "content": "!"}, {"role": "assistant", "content": "."}
    return [
        [user],
        [several],
        [film],
        [system, user],
        [user, answer, {"role": "user", "content": [text]}, answer, several],
        [system, user, answer, {"role": "user", "content": [text]}],
    ]
