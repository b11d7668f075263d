"""An architecture as plain text, for a terminal: what flows where, every part with its weights, every attention."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from qwenvl_debug.model.architecture import KINDS, PARTS, Architecture, TokenBudget, flow
from qwenvl_debug.report.text import columns, percent, printable

DASH = "–"


def architecture_text(architecture: Architecture, budget: TokenBudget, text_tokens: int) -> str:
    """One model, with one picture on its way through it.

    Args:
        architecture: the model.
        budget: the picture.
        text_tokens: tokens of the prompt beside the picture's own.
    """
    name = f"{printable(architecture.name)}: {architecture.family} ({architecture.model_type})"
    lines = [name, f"{architecture.total:,} weights{_used(architecture)}", "", "What flows where"]
    drawn = flow(architecture, budget)
    titles = {block.key: block.title for block in drawn.blocks}
    lines += [f"  {titles[edge.source]} -> {titles[edge.target]}: {edge.label}" for edge in drawn.edges]
    lines += ["", "Parts"]
    rows = [
        ("part", "component", "layers", "heads", "KV heads", "head width", "width", "weights", "share", "technique")
    ]
    for one in architecture.components:
        figures = (one.layers, one.heads, one.kv_heads, one.head_width, one.width)
        shared = one.parameters == 0
        weights, share = (DASH, DASH) if shared else (f"{one.parameters:,}", percent(architecture.share(one)))
        rows.append((PARTS[one.part], one.name, *map(_figure, figures), weights, share, one.technique))
    lines += columns(rows, right=(2, 3, 4, 5, 6, 7, 8))
    lines += ["", f"Attention, for this picture and {text_tokens:,} tokens of text"]
    rows = [("kind", "where", "layers", "modules", "heads", "KV heads", "weights of one module", "map")]
    for group in architecture.attention:
        layers = _ranges(group.layers) if "{}" in group.path else DASH
        rows.append(
            (
                group.kind,
                group.path.replace("{}", "*"),
                layers,
                f"{len(group.layers)}",
                f"{group.heads}",
                f"{group.kv_heads}",
                shape_text(group.weights(budget, text_tokens)),
                "yes" if group.has_map else "no",
            )
        )
    lines += columns(rows, right=(3, 4, 5))
    lines += [f"  {kind}: {KINDS[kind]}" for kind in dict.fromkeys(group.kind for group in architecture.attention)]
    return "\n".join([*lines, "", *budget_lines(architecture, budget)])


def side_by_side_text(architectures: Sequence[Architecture], budgets: Sequence[TokenBudget]) -> str:
    """Two models, figure by figure; a mark stands where they differ."""
    names, rows = figures(architectures, budgets)
    marked = [(name, *values, "" if len(set(values)) == 1 else "differs") for name, values in rows]
    return "\n".join(columns([("", *names, ""), *marked]))


def figures(
    architectures: Sequence[Architecture], budgets: Sequence[TokenBudget]
) -> tuple[list[str], list[tuple[str, tuple[str, ...]]]]:
    """The figures by which models are compared.

    Returns:
        The models' names, and for each figure its name and the models' values, as text.
    """
    columns_of = [_column(architecture, budget) for architecture, budget in zip(architectures, budgets, strict=True)]
    names = list(dict.fromkeys(name for column in columns_of for name in column))
    rows = [(name, tuple(column.get(name, DASH) for column in columns_of)) for name in names]
    return [printable(architecture.name) for architecture in architectures], rows


def budget_lines(architecture: Architecture, budget: TokenBudget) -> list[str]:
    """A picture's way from pixels to tokens."""
    rules = architecture.rules
    side = rules.patch
    lines = [
        "A picture's way to tokens",
        f"  {budget.width:,} x {budget.height:,} pixels",
        f"  resized to {budget.resized_width:,} x {budget.resized_height:,}",
        f"  {budget.patch_rows:,} x {budget.patch_cols:,} = {budget.patches:,} patches of {side} x {side} pixels",
    ]
    if rules.queries:
        lines.append(f"  {budget.tokens:,} tokens, one for each learned query; they are no regions of the picture")
    else:
        cells = f"{budget.rows:,} x {budget.cols:,} = {budget.tokens:,}"
        lines.append(f"  {cells} tokens, one for each {rules.merge} x {rules.merge} patches")
    if rules.square is None:
        lines.append(f"  resized to between {rules.least:,} and {rules.most:,} pixels: {rules.limits}")
    return lines


def shape_text(shape: tuple[int, ...] | None) -> str:
    """A shape as people write it; a dash where there is none."""
    return DASH if shape is None else " x ".join(f"{size:,}" for size in shape)


def _column(architecture: Architecture, budget: TokenBudget) -> dict[str, str]:
    def of(key: str, name: str) -> str:
        component = architecture.component(key)
        return _figure(getattr(component, name) if component else None)

    experts = architecture.component("language.experts")
    attentions = [group for group in architecture.attention if group.part == "language"]
    found = {
        "Generation": architecture.family,
        "Weights": f"{architecture.total:,}",
        "Weights a token goes through": f"{architecture.active:,}",
    }
    found |= {f"{title}, weights": f"{architecture.part_parameters(part):,}" for part, title in PARTS.items()}
    return found | {
        "Vision blocks": f"{architecture.vision_layers:,}",
        "Vision attention heads": of("vision.attention", "heads"),
        "Vision width": of("vision.attention", "width"),
        "Vision blocks with windows": f"{architecture.layer_kinds('vision').count('vision windowed'):,}",
        "Patch, pixels": f"{architecture.rules.patch:,}",
        "Language layers": f"{architecture.language_layers:,}",
        "Language layers with a map": f"{sum(len(group.layers) for group in attentions if group.has_map):,}",
        "Language width": f"{architecture.width:,}",
        "Language heads": of("language.attention", "heads"),
        "Language key-and-value heads": of("language.attention", "kv_heads"),
        "Width of a head": of("language.attention", "head_width"),
        "Experts": experts.technique.split(": ", 1)[-1] if experts else DASH,
        "Deepstack": ", ".join(map(str, architecture.deepstack)) or DASH,
        "Vocabulary": f"{architecture.vocabulary:,}",
        "Output head": "shared with the word embedding" if architecture.tied else "weights of its own",
        "Longest sequence, tokens": _figure(architecture.context),
        "Picture resized to": f"{budget.resized_width:,} x {budget.resized_height:,}",
        "Patches of the picture": f"{budget.patches:,}",
        "Tokens of the picture": f"{budget.tokens:,}",
    }


def _used(architecture: Architecture) -> str:
    if architecture.active == architecture.total:
        return ""
    return f", of which one token goes through {architecture.active:,}"


def _figure(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def _ranges(layers: Sequence[int]) -> str:
    """Layer numbers in short: 0-3, 8, 10-12."""
    starts = [0, *(place + 1 for place, (one, other) in enumerate(pairwise(layers)) if other != one + 1), len(layers)]
    runs = [layers[start:end] for start, end in pairwise(starts)]
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
