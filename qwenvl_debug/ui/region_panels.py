"""What do the scores of the drawn regions look like? The charts, the ranking, the cards and the files to take along."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from qwenvl_debug.regions import REGION_MEASURES, region_mask
from qwenvl_debug.regions.baselines import PLACES, covers_elsewhere
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.ui import region_charts, state
from qwenvl_debug.ui.region_choice import ASKING, follow_cell, follow_layer, go_to, shown_switch
from qwenvl_debug.ui.region_scores import MEAN
from qwenvl_debug.ui.score_cards import card
from qwenvl_debug.ui.sentence import plain

if TYPE_CHECKING:
    from qwenvl_debug.ui.pairs import Choice
    from qwenvl_debug.ui.region_choice import Chosen
    from qwenvl_debug.ui.region_scores import RegionScores

MOST_CARDS = 4
"""The chosen region's card and the first few others; more would bury the page."""


def over_layers(scores: RegionScores, chosen: Chosen) -> None:
    """The curve of mass or lift beside chance, and the heads ranked; a click on either chooses that map."""
    curve, ranking = st.columns([3, 2], gap="medium", border=True)
    with curve:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            shown = chosen.shown
            st.markdown(
                f"**{shown.capitalize()} on “{plain(chosen.name)}” over the layers**",
                help=explain(shown, "chance"),
                width="content",
            )
            shown_switch()
        st.altair_chart(
            region_charts.layer_chart(scores, chosen.name, shown, chosen.layer),
            key="chart_region_layers",
            on_select=partial(follow_layer, "chart_region_layers"),
            selection_mode=region_charts.LAYER_CLICK,
            alt=region_charts.describe(scores, chosen.name, "layers", shown),
        )
    with ranking:
        _heads(scores, chosen)
    chance = "the region's share of the picture" if shown == "mass" else "1, as much as an even map would put there"
    st.caption(f"Dashed: chance, {chance}. Click a curve, a row or a cell: that map is scored below and shown above.")


def by_head(scores: RegionScores, chosen: Chosen) -> None:
    """Layers by heads: a heatmap for each side and one for the difference."""
    dark = st.context.theme.type == "dark"
    which = region_charts.head_maps(scores, chosen.name)
    titles = {
        "correct": f"**{chosen.shown.capitalize()}, correct**",
        "failing": f"**{chosen.shown.capitalize()}, failing**",
        "difference": "**Correct less failing**",
    }
    helps = {
        "difference": f"How much more {chosen.shown} the correct run has, layer by layer and head by head. Blue-green: "
        "more in the correct run; orange: more in the failing one."
    }
    for column, one in zip(st.columns(len(which), gap="medium", border=True), which, strict=True):
        with column:
            st.markdown(titles[one], help=helps.get(one, "Both sides have the same colour scale."))
            key = f"chart_region_heads_{one}"
            st.altair_chart(
                region_charts.head_chart(scores, chosen.name, one, chosen.shown, (chosen.layer, chosen.head), dark),
                key=key,
                on_select=partial(follow_cell, key),
                selection_mode=region_charts.CELL_CLICK,
                alt=region_charts.describe(scores, chosen.name, one, chosen.shown),
            )


def cards(scores: RegionScores, chosen: Chosen, scope: tuple[str, ...]) -> None:
    """Every measure of the chosen map on the regions, the chosen one first; on request beside random placements.

    Args:
        scores: both sides'.
        chosen: the region, layer and head.
        scope: the comparison that Compare opens.
    """
    head = "mean of the heads" if chosen.head == MEAN else f"head {chosen.head}"
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown(f"**Scores at layer {chosen.layer}, {head}**", width="stretch")
        beside = st.toggle(
            "Random-region baseline",
            key="regions_places",
            persist_state="session",
            help="Adds two baselines for the mass: a map that only prefers the middle of the picture, and the same "
            f"map on the same shape at {PLACES} random placements that overlap the region by at most half. Where the "
            "picture has fewer, the card says how many.",
        )
        if st.button(
            "Open on Compare",
            key="regions_to_compare",
            type="tertiary",
            help="Show this layer and head on the Compare page, word by word.",
        ):
            state.open_at(scope, chosen.layer, chosen.head)
            st.switch_page("pages/debug/compare.py")
    names = [chosen.name, *(other for other in scores.names if other != chosen.name)]
    shown = names[:MOST_CARDS]
    for start in range(0, len(shown), 2):
        for column, one in zip(st.columns(2, gap="medium"), shown[start : start + 2], strict=False):
            with column:
                places = _places(scores, one) if beside else None
                st.html(card(scores, one, chosen.layer, chosen.head, places))
    if len(names) > len(shown):
        st.caption(f"{len(names) - len(shown)} more regions: choose one above to see its card; all are in the files.")


def downloads(model: str, choice: Choice, scores: RegionScores, ref: str) -> None:
    """All scores as CSV and as JSON, made when they are asked for."""

    def as_csv() -> bytes:
        return scores.all_scores().to_csv(index=False).encode("utf-8")

    def as_json() -> bytes:
        table = scores.all_scores()
        rows = table.astype(object).where(table.notna(), None).to_dict("records")
        about = {"pair": choice.title, "model": model, "asks": ASKING[ref], "question": choice.correct.question}
        return json.dumps({**about, "scores": rows}, ensure_ascii=False, indent=1).encode("utf-8")

    with st.container(horizontal=True):
        st.download_button("All scores as CSV", as_csv, "region-scores.csv", "text/csv", on_click="ignore")
        st.download_button("All scores as JSON", as_json, "region-scores.json", "application/json", on_click="ignore")


def explain(*names: str) -> str:
    """What measures mean, with their formulas, for a tooltip."""
    measures = [REGION_MEASURES[name] for name in names]
    return "\n\n".join(f"**{one.name}**: {one.plain}\n\n`{one.formula}`" for one in measures)


def _heads(scores: RegionScores, chosen: Chosen) -> None:
    table = scores.head_table(chosen.name, chosen.shown)
    difference = "difference" in table
    st.markdown(
        f"**Heads by {'difference' if difference else chosen.shown}**",
        help="Every head of every layer, the most telling first. Click a row to score that head and to see its map.",
    )
    number = "percent" if chosen.shown == "mass" else "%.2f"
    columns = {
        column: st.column_config.NumberColumn(column, format=number)
        for column in table.columns
        if column not in ("layer", "head")
    }
    st.session_state.regions_heads_shown = table
    st.dataframe(
        table,
        hide_index=True,
        height=region_charts.HEIGHT,
        column_config=columns,
        key="regions_heads",
        on_select=_row_chosen,
        selection_mode="single-row",
        alt=f"Layers and heads ranked for {chosen.name}",
    )


def _row_chosen() -> None:
    rows = st.session_state.regions_heads.selection.rows
    if rows:
        row = st.session_state.regions_heads_shown.iloc[rows[0]]
        go_to(int(row["layer"]), int(row["head"]))


def _places(scores: RegionScores, name: str) -> tuple[np.ndarray | None, ...]:
    """For each side float32 [places, cells], the region moved to other places of its picture; None where not drawn."""
    found = []
    for number in (0, 1):
        side = scores.sides[number]
        record = json.dumps(to_record(side.regions[name])) if name in side.regions else None
        grid = side.stack.grid.rows, side.stack.grid.cols
        found.append(None if record is None else _elsewhere(record, side.size, grid))
    return tuple(found)


@st.cache_data(show_spinner=False, max_entries=48)
def _elsewhere(record: str, size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    return covers_elsewhere(region_mask(from_record(json.loads(record)), size), grid)
