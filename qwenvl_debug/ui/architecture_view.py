"""The Architecture page, part by part: which model, the drawing, its figures, and two models side by side."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.model.architecture import Architecture, TokenBudget, described, published, record, token_budget
from qwenvl_debug.report.architecture_text import DASH
from qwenvl_debug.ui import architecture_tables as tables
from qwenvl_debug.ui import state
from qwenvl_debug.ui.architecture_diagram import diagram, short_count
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.progress import progress_bar
from qwenvl_debug.ui.sentence import plain, show_error

if TYPE_CHECKING:
    from qwenvl_debug.ui.jobs import Progress, Worker

NONE = "none"
"""The second selector's first choice."""


def names() -> list[str]:
    """What can be chosen: the model of the other pages, the bundled one, every shipped one, and what was typed."""
    typed = [st.session_state.get(key) for key in ("architecture", "beside")]
    known = [st.session_state.model, state.MODEL, *(one.name for one in published())]
    return list(dict.fromkeys([*known, *(name for name in typed if name not in (None, NONE))]))


def find(name: str) -> Architecture | None:
    """The architecture of this name; while it is found out, or when it cannot be, that is said instead.

    Shipped and bundled models are at hand at once; for any other its configuration is read on the worker.
    """
    known = described(name)
    if known is not None:
        return known
    key, who = (name, "architecture"), st.session_state.who
    if st.session_state.get("architecture_stopped") == key:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"Stopped before “{plain(name)}” was described.", width="content")
            if st.button("Describe it", key=f"again_{name}"):
                del st.session_state["architecture_stopped"]
                st.rerun()
        return None
    job = worker().submit(key, partial(_describe, name), who)
    job.wait(0.35)
    if not job.finished:
        progress_bar(
            key,
            name=f"stop_{key[0]}",
            note="Stop describing it. What you chose stays.",
            stopped=lambda: st.session_state.update(architecture_stopped=key),
        )
        return None
    if job.error is not None:
        worker().forget(key)  # what is missing now may be there the next time
        show_error(job.error)
        return None
    return job.result


def _describe(name: str, worker: Worker, progress: Progress, cancel: threading.Event) -> Architecture:
    """Called on the worker's thread: torch and transformers take seconds to import."""
    progress(0.2, f"Reading the configuration of {name}")
    from qwenvl_debug.model.architecture import describe

    return describe(name)


def look(chosen: list[str], width: int, height: int, text_tokens: int) -> None:
    """Show one model, or two side by side, with a picture of this size."""
    found = [find(name) for name in chosen]
    if None in found:
        return
    try:
        budgets = [token_budget(one.rules, width, height) for one in found]
    except QwenVLDebugError as error:
        show_error(str(error))
        return
    if len(found) == 1:
        drawing, facts = st.columns([7, 5], gap="large")
        with drawing:
            _drawing(found[0], budgets[0], 0)
        with facts:
            _facts(found[0], budgets[0], text_tokens)
            _download(found, budgets, text_tokens)
    else:
        for place, column in enumerate(st.columns(2, gap="large")):
            with column:
                st.subheader(plain(found[place].name), anchor=False)
                _drawing(found[place], budgets[place], place)
        _figures(found, budgets)
        _download(found, budgets, text_tokens)
    _components(found)
    _attention(found, budgets, text_tokens)


def _drawing(one: Architecture, budget: TokenBudget, place: int) -> None:
    diagram(one, budget, key=f"diagram_{place}")


def _facts(one: Architecture, budget: TokenBudget, text_tokens: int) -> None:
    st.subheader(f"{plain(one.name)}", anchor=False)
    st.caption(f"{one.family} · model type {plain(one.model_type)} · from its configuration, counted")
    weights, tokens = st.columns(2)
    weights.metric("Weights", short_count(one.total), help=f"Exactly {one.total:,}; shared ones are counted once.")
    tokens.metric(
        "Tokens of the picture",
        f"{budget.tokens:,}",
        help="What this picture becomes in the language decoder's sequence.",
    )
    used, maps = st.columns(2)
    used.metric(
        "Weights used for a token",
        short_count(one.active),
        help=f"Exactly {one.active:,}: fewer than all where a token goes through some experts only.",
    )
    maps.metric(
        "Attentions with a map",
        tables.maps_in_words(one),
        help="Attention modules whose weights exist and can be shown as a map over the picture.",
    )
    st.markdown("**How a picture becomes tokens**")
    rows = tables.budget_rows(one, budget, text_tokens)
    st.markdown(
        "\n".join(["| step | this picture |", "|:--|:--|", *(f"| {step} | {plain(words)} |" for step, words in rows)])
    )
    rules = one.rules
    if rules.square is None:
        st.caption(
            f"Pictures are resized to between {rules.least:,} and {rules.most:,} pixels "
            f"({plain(rules.limits)}). Two more tokens mark where a picture begins and ends."
        )


def _download(found: list[Architecture], budgets: list[TokenBudget], text_tokens: int) -> None:
    records: list[Any] = [record(one, budget, text_tokens) for one, budget in zip(found, budgets, strict=True)]
    content = records[0] if len(records) == 1 else {"models": records}
    st.download_button(
        "Download as JSON",
        json.dumps(content, ensure_ascii=False, indent=2),
        file_name="architecture.json",
        mime="application/json",
        help="Every figure of this page, as the command qwenvl-debug architecture --json gives it.",
    )


def _figures(found: list[Architecture], budgets: list[TokenBudget]) -> None:
    st.subheader("Side by side", anchor=False)
    table = tables.figure_table(found, budgets)
    only = st.toggle("Only what differs", key="architecture_differs", persist_state="session")
    if only:
        table = table[table["differs"]]
    st.dataframe(
        table,
        hide_index=True,
        height="content",
        alt=f"Table of the figures of {found[0].name} and {found[1].name}.",
        column_config={"figure": st.column_config.TextColumn(""), "differs": st.column_config.CheckboxColumn()},
    )


def _components(found: list[Architecture]) -> None:
    st.subheader("Parts and their weights", anchor=False)
    for one in found:
        if len(found) > 1:
            st.markdown(f"**{plain(one.name)}**")
        table = tables.component_table(one)
        st.dataframe(
            table,
            hide_index=True,
            height="content",
            placeholder=DASH,
            alt=f"Table of the parts of {one.name} with their weights and techniques.",
            column_config={
                "share": st.column_config.ProgressColumn(
                    format="%.2f %%", min_value=0, max_value=100, help="Of all weights of the model."
                ),
                "technique": st.column_config.TextColumn(help="How it works, in a few words."),
                "weights": st.column_config.NumberColumn(format="localized", help="Counted, not rounded."),
                "layers": st.column_config.NumberColumn(help="How many layers have it."),
                "heads": st.column_config.NumberColumn(help="Query heads of a layer."),
                "KV heads": st.column_config.NumberColumn(
                    help="Key-and-value heads; several query heads may share one."
                ),
                "head width": st.column_config.NumberColumn(help="Numbers per head."),
                "width": st.column_config.NumberColumn(format="localized", help="Numbers per vector that goes in."),
            },
        )


def _attention(found: list[Architecture], budgets: list[TokenBudget], text_tokens: int) -> None:
    st.subheader("Every attention module", anchor=False)
    st.caption(
        "The shape of its weights for this picture and text: heads x what looks x what is looked at; with windows, "
        "windows x heads x the patches of the largest one. Attention is evidence of where a model looked, not proof."
    )
    for one, budget in zip(found, budgets, strict=True):
        if len(found) > 1:
            st.markdown(f"**{plain(one.name)}**")
        st.dataframe(
            tables.attention_table(one, budget, text_tokens),
            hide_index=True,
            height=320,
            placeholder=DASH,
            alt=f"Table of the attention modules of {one.name}.",
            column_config={
                "map": st.column_config.CheckboxColumn(
                    help="Whether attention weights exist and can be shown as a map."
                ),
                "name in the network": st.column_config.TextColumn(width="medium"),
            },
        )
