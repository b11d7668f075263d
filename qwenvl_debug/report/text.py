"""A run and a comparison as plain text, for a terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from qwenvl_debug.compare.sweep import PROBABILITY
from qwenvl_debug.maps import NORMALISATIONS, map_stack

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison, Ranking, Sweep
    from qwenvl_debug.model import Run

BAR = 24
"""Widest bar, in characters."""

THOUGHTS = 200
"""So many characters of the thoughts are shown; JSON output holds all."""


def run_text(run: Run) -> str:
    """The answer, whether it is right, every answer token with its next best, and how much the layers read."""
    lines = [printable(run.case.question), "", *answer_lines(run)]
    tokens = [token for token in run.tokens if token.kind in ("answer", "end") and token.probability is not None]
    if tokens:  # none where the run was cut in its thoughts
        lines += ["", *columns([("token", "probability", "next best"), *map(_token_cells, tokens)], right=(1,))]
    for picture, grid in enumerate(run.grids):
        if run.tokens[grid.positions[0]].picture != picture:
            continue  # the second frame of a pair, which is looked at with the first
        stack = map_stack(run, picture=picture)
        which = "the picture" if len(run.grids) == 1 else f"picture {picture}"
        if run.case.seconds:
            which = f"the frames from {run.case.seconds[picture]:.1f} s"
        shares = [(layer, stack.image_share_mean[layer]) for layer in stack.layers_with_maps]
        rows = [(str(layer), percent(share), bar(share)) for layer, share in shares]
        asking = printable(stack.query.label)
        lines += ["", f"Attention of “{asking}” on {which}, of {grid.rows} x {grid.cols} cells:"]
        lines += columns([("layer", "share", ""), *rows], right=(0, 1))
        lines += layers_without_map(stack.layers_with_maps, run.trace.n_layers)
    return "\n".join(lines)


def comparison_text(comparison: Comparison, best_heads: int = 5) -> str:
    """Both answers, how the pictures lie on each other, the layers side by side, and the heads that differ most."""
    lines = []
    for side, run in (("correct", comparison.correct), ("failing", comparison.failing)):
        lines += [f"{side}: {run.case.pictures[0].name}", printable(run.case.question), *answer_lines(run), ""]
    if comparison.target is not None:
        lines.append(f"Both sides are asked with the words of “{printable(comparison.target)}”.")
    else:
        lines.append("Each side is asked with its own answer; give a target to ask both with the same words.")
    lines += [
        f"Pictures: {comparison.alignment.kind}. {comparison.alignment.reason}{_apart(comparison)}",
        f"Maps: {NORMALISATIONS[comparison.left.normalisation].name}.",
        "",
    ]
    lines += _layer_lines(comparison)
    if comparison.ranking is not None:
        return "\n".join([*lines, "", *ranking_lines(comparison.ranking, best_heads)])
    top = comparison.table().dropna(subset=["difference"]).head(best_heads)
    if len(top):
        named = [f"{int(row.layer)}.{int(row.head)} ({row.difference:.3f})" for row in top.itertuples()]
        lines += ["", f"Most different: layer {comparison.most_different_layer()}; of single heads {', '.join(named)}."]
    return "\n".join(lines)


def _apart(comparison: Comparison) -> str:
    """That aligned images have nothing in common, or nothing."""
    empty = comparison.pieces is not None and comparison.pieces.empty
    return " They share no area, so no cell is compared." if empty else ""


def _layer_lines(comparison: Comparison) -> list[str]:
    """Share of attention on the picture, and, where the pictures lie on each other, how far apart the maps are."""
    table = comparison.layers().dropna(subset=["left", "right"])
    laid = comparison.alignment.homography is not None
    head = ("layer", "correct", "failing", *(("distance", "") if laid else ()))
    rows = [
        (
            str(int(row.layer)),
            percent(row.left),
            percent(row.right),
            *((_distance(row.difference), bar(np.nan_to_num(row.difference))) if laid else ()),
        )
        for row in table.itertuples()
    ]
    what = "Share of attention on the picture"
    if laid:
        what += ", and how far apart the two maps lie (0 the same, 1 no cell shared)"
    return [
        f"{what}:",
        *columns([head, *rows], right=(0, 1, 2, 3)),
        *layers_without_map(table["layer"].tolist(), len(comparison.divergence)),
    ]


def _distance(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def ranking_lines(ranking: Ranking, best: int = 5) -> list[str]:
    """How many heads stand above the noise, which most, and what counts as noise."""
    known, heads = ranking.heads["score"].notna(), ranking.heads[ranking.heads["above"]]
    lines = [f"Above the noise: {len(heads)} of {int(known.sum())} heads."]
    layers = ranking.layers[ranking.layers["above"]].head(best)
    for what, table in (("layers", layers), ("heads", heads.head(best))):
        records = table.to_dict("records")
        named = [f"{_place(row)} ({row['score']:.1f} x the noise)" for row in records]
        if named:
            lines.append(f"First of {what}: {', '.join(named)}.")
    return [*lines, ranking.rule]


def _place(row: dict[str, float]) -> str:
    """A layer, or a layer and a head as 4.2."""
    return f"{int(row['layer'])}.{int(row['head'])}" if "head" in row else f"{int(row['layer'])}"


def sweep_text(made: Sweep) -> str:
    """Every strength with its answer, how sure the target is, and how much lies on the regions; the flip is marked."""
    first = made.steps[0]
    lines = [
        printable(first.case.question),
        f"{made.perturbation.title} ({made.perturbation.unit}), followed answer “{printable(made.target)}”.",
        PROBABILITY,
    ]
    table = made.table()
    names = list(first.masses)
    head = ("strength", "answer", "right", "probability", "per token", *(f"on {printable(name)}" for name in names))
    rows = [
        (
            f"{row['strength']:g}",
            printable(row["answer"]) or "(no words)",
            {True: "yes", False: "no", None: "cut in its thoughts"}[row["right"]]
            + ("   flips here" if number == made.flip else ""),
            percent(row["probability"]),
            percent(row["per_token"]),
            *(f"{percent(row[f'mass_{name}'])} ({percent(row[f'chance_{name}'])})" for name in names),
        )
        for number, row in enumerate(table.to_dict("records"))
    ]
    lines += ["", *columns([head, *rows], right=(0, 3, 4, *range(5, 5 + len(names))))]
    for name in names:
        place = made.best_head(name)
        if place is not None:
            who = "the mean of its heads" if place[1] < 0 else f"head {place[1]}"
            lines.append(f"On {printable(name)}: share of the map of layer {place[0]}, {who} (what chance gives).")
    for step in made.steps:
        lines += [f"At {step.strength:g}: {printable(said)}" for said in step.lost()]
    if made.flip is not None:
        again = any(step.right for step in made.steps[made.flip :])
        more = ", but right again further on." if again else " on."
        lines += ["", f"The answer is no longer right from strength {made.steps[made.flip].strength:g}{more}"]
    elif first.right:
        lines += ["", "The answer stays right at every strength that was tried."]
    else:
        lines += ["", "The answer is wrong from the start, so no flip is marked."]
    return "\n".join(lines)


def percent(share: float) -> str:
    """A share of 0..1 in words, with as many digits as it deserves."""
    value = float(share) * 100
    if np.isnan(value):
        return "no value"
    if 0 < value < 0.01:
        return "< 0.01 %"
    return f"{value:.{0 if value >= 10 or value == 0 else 1 if value >= 1 else 2}f} %"


def printable(text: str) -> str:
    """Text on one line, without outer spaces and with nothing in it that would command the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.strip(" "))


def bar(share: float) -> str:
    """A bar of eighth blocks, full at 1."""
    eighths = round(float(np.clip(share, 0, 1)) * BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows of text set in columns; Chinese characters take two places, as terminals draw them.

    Args:
        rows: equally many cells each.
        right: the columns that are set to the right.
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (text, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(text))
            cells.append(space + text if number in right else text + space)
        lines.append(("  " + "  ".join(cells)).rstrip())
    return lines


def answer_lines(run: Run) -> list[str]:
    """What was said, whether it was expected, and what the model thought before."""
    said = printable(run.answer) or "(no words)"
    right = None if run.forced else run.right
    verdict = {None: "", True: "   as expected", False: f"   expected: {printable(run.case.expected or '')}"}[right]
    forced = ""
    if run.target is not None:
        forced = f"   (this answer was given{f' after {run.fed_after}' if run.fed_after else ''}, not chosen)"
    lines, count = [], sum(token.kind == "thought" for token in run.tokens)
    if count:
        begun = printable(" ".join(run.thoughts.split()))
        lines.append(f"  thoughts ({count} tokens): {begun[:THOUGHTS]}{'…' if len(begun) > THOUGHTS else ''}")
        if run.cut == "thoughts":
            said = "(cut in its thoughts: raise --max-new-tokens, or turn thinking off)"
    return [*lines, f"  {said}{verdict}{forced}"]


def _token_cells(token) -> tuple[str, str, str]:
    others = [other for other in token.alternatives if other.id != token.id][:2]
    return (
        _shown(token.text),
        percent(token.probability),
        ", ".join(f"{_shown(other.text)} {percent(other.probability)}" for other in others),
    )


def _shown(text: str) -> str:
    """A token's text; spaces alone as visible marks, and dots for the rest of a character that is split over tokens."""
    return printable(text) or "␣" * len(text) or "…"


def layers_without_map(layers: Sequence[int], count: int) -> list[str]:
    """A line on the layers that are not among those with a map, or no line."""
    missing = [str(layer) for layer in range(count) if layer not in set(layers)]
    return [f"  layers {', '.join(missing)} have no softmax attention, so no map"] if missing else []


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
