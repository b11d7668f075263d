"""Do two runs belong together? What was shown, what was said before, and which model computed it, compared by content.

Two runs of unlike origin may have grids and layers of the same number, and a map divided by another image's map looks
like any other. So nothing is taken to belong together because its shape fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qwenvl_debug.model import Run

COMPUTES = {
    "dtype": "precision",
    "bits": "quantisation",
    "picture_area": "image size limits",
    "chat_template": "chat template",
}
"""Settings of a run that change what the same weights compute, and what to call them."""


def identity_of(run: Run) -> tuple[Any, ...]:
    """What tells a run from any other: its network, all that it was shown and asked, and the answer, token by token.

    A run that was stored and read again has the same identity; so has the same question asked anew.
    """
    case, provenance = run.case, run.provenance
    return (
        provenance.revision,
        *(provenance.settings.get(name) and str(provenance.settings[name]) for name in COMPUTES),
        tuple(picture.sha256 for picture in case.pictures),
        (case.question, case.system, case.history, case.seconds),
        provenance.settings.get("thinking"),
        answer_ids(run),
    )


def answer_ids(run: Run) -> tuple[int, ...]:
    """The token numbers of thoughts and answer, without the end token, which an answer that was cut does not have."""
    return tuple(run.tokens[index].id for index in (*run.thought_tokens, *run.answer_tokens))


def unlike_network(run: Run, other: Run) -> str | None:
    """What another network computed the other run: “another model or revision”, “another precision” and so on; None
    where it was the same one."""
    if run.provenance.revision != other.provenance.revision:
        return "another model, revision or adapter"
    if (run.trace.n_layers, run.trace.n_heads) != (other.trace.n_layers, other.trace.n_heads):
        return "another model"
    here, there = run.provenance.settings, other.provenance.settings
    for name, called in COMPUTES.items():
        if name in here and name in there and here[name] != there[name]:  # runs of earlier versions say less
            return f"other {called}" if called.endswith("s") else f"another {called}"
    return None


def unlike_conversation(run: Run, other: Run, *, except_picture: int | None = None) -> str | None:
    """What of the conversation but its last question is another in the other run; None where all is the same.

    Args:
        run, other: the runs.
        except_picture: an image that may be another one.
    """
    here, there = run.case, other.case
    hashes = [[picture.sha256 for picture in case.pictures] for case in (here, there)]
    if except_picture is not None:
        hashes = [[*some[:except_picture], *some[except_picture + 1 :]] for some in hashes]
    if hashes[0] != hashes[1] or len(here.pictures) != len(there.pictures):
        return "another image"
    if here.system != there.system:
        return "another system prompt"
    if (here.history, here.seconds) != (there.history, there.seconds):
        return "other earlier turns"
    return None


def unlike_case(run: Run, other: Run, *, except_picture: int | None = None) -> str | None:
    """The same with the last question."""
    unlike = unlike_conversation(run, other, except_picture=except_picture)
    if unlike is None and run.case.question != other.case.question:
        return "another question"
    return unlike
