"""What a conversation adds to a run, for a terminal: earlier turns, where among turns and pictures it looked, boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.maps import picture_shares, turn_shares
from qwenvl_debug.regions import boxes, unread_boxes
from qwenvl_debug.report.text import columns, percent, printable

if TYPE_CHECKING:
    from qwenvl_debug.maps import PartShares
    from qwenvl_debug.model import Run


def conversation_text(run: Run) -> str:
    """All of it, or no text for one question about one picture whose answer names no box."""
    parts = [_earlier(run)]
    if len(run.case.pictures) > 1:
        title = "Which picture it looks at" if not run.case.seconds else "Which pair of frames it looks at"
        parts.append(_shares(title, picture_shares(run)))
    if run.case.history:
        parts.append(_shares("Which turn it looks at", turn_shares(run)))
    parts.append(_boxes(run))
    return "\n\n".join("\n".join(part) for part in parts if part)


def _earlier(run: Run) -> list[str]:
    if not run.case.history:
        return []
    said = [(printable(turn.question), printable(turn.answer)) for turn in run.case.history]
    return ["Earlier turns:", *columns([("asked", "answered"), *said])]


def _shares(title: str, shares: PartShares) -> list[str]:
    """Mean over all heads of all layers with a map, and the layer where the part has most."""
    mean = shares.mean
    rows = []
    for part, name in enumerate(shares.names):
        over_layers = mean[:, part]
        most = int(np.nanargmax(over_layers))
        rows.append(
            (
                printable(name),
                percent(float(np.nanmean(over_layers))),
                percent(float(shares.chance[part])),
                f"{percent(float(over_layers[most]))} at layer {most}",
            )
        )
    rest = ("everything else", percent(float(np.nanmean(shares.rest))), percent(float(1 - shares.chance.sum())), "")
    return [
        f"{title} (chance: even attention):",
        *columns([("", "share", "chance", "most"), *rows, rest], right=(1, 2)),
    ]


def _boxes(run: Run) -> list[str]:
    found, unread = boxes(run), [printable(sentence) for sentence in unread_boxes(run)]
    if not found:
        return unread
    rows = []
    for box in found:
        one = box.rectangle
        where = f"{one.x:.0f},{one.y:.0f},{one.width:.0f},{one.height:.0f}"
        rows.append((printable(box.label), printable(run.case.pictures[box.picture].name), where))
    whose = "answer that was fed in" if run.forced else "answer"
    table = columns([("name", "picture", "x,y,width,height in pixels"), *rows])
    return [f"Boxes in the {whose}:", *table, *unread]
