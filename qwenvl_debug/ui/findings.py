"""What differs most, and is it more than noise? The layers and heads that stand furthest above harmless changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from qwenvl_debug.compare.figures import DISTANCE, MASS, SHARE
from qwenvl_debug.ui import state

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison, Ranking

MOST = 8
"""Lines of the table."""

HELP = (
    "How far the two runs lie apart, beside the noise floor: the same figures between the correct run and itself when "
    "its picture is harmlessly changed. A figure that is no more than its floor is noise."
)
NOTHING = (
    "**Nothing differs beyond harmless changes.** No layer and no head tells the two runs apart by more than a shift "
    "of two pixels, 2 % more light or saving as JPEG would."
)


def findings_table(ranking: Ranking) -> pd.DataFrame:
    """The layers and heads above the noise, furthest first, at most `MOST`.

    Returns:
        Columns layer, head (-1 for the mean), what (the figure that stands out most), value, floor, times.
    """
    layers = ranking.layers.assign(head=-1)
    table = pd.concat([layers, ranking.heads], ignore_index=True)
    table = table[table["above"]].sort_values("score", ascending=False, kind="stable").head(MOST)
    figures = [column.removesuffix("_floor") for column in ranking.layers.columns if column.endswith("_floor")]
    lines = []
    for _, line in table.iterrows():
        ratios = {name: line[name] / line[f"{name}_floor"] for name in figures}
        best = max((name for name in figures if ratios[name] == ratios[name]), key=ratios.get)
        lines.append(
            (int(line["layer"]), int(line["head"]), _named(best), line[best], line[f"{best}_floor"], ratios[best])
        )
    return pd.DataFrame(lines, columns=["layer", "head", "what", "value", "floor", "times"])


def findings_to_come() -> None:
    """The heading, while the noise is being measured."""
    st.markdown("**What differs most**", help=HELP)


def findings(comparison: Comparison) -> None:
    """The table, or in words that there is nothing in it; a click on a line opens it in the viewer."""
    ranking = comparison.ranking
    st.markdown("**What differs most**", help=f"{HELP} {ranking.rule}")
    table = findings_table(ranking)
    if table.empty:
        st.markdown(NOTHING)
        return
    st.session_state.findings_shown = table
    st.dataframe(
        table.assign(head=["mean" if head < 0 else str(head) for head in table["head"]]),
        hide_index=True,
        key="findings",
        on_select=_line_chosen,
        selection_mode="single-cell",
        alt="Layers and heads by how far they stand above the noise",
        column_config={
            "layer": st.column_config.NumberColumn("layer", width="small"),
            "head": st.column_config.TextColumn("head", width="small"),
            "what": st.column_config.TextColumn("what differs", width="medium"),
            "value": st.column_config.NumberColumn("by", format="%.3f", width="small"),
            "floor": st.column_config.NumberColumn("noise floor", format="%.3f", width="small"),
            "times": st.column_config.ProgressColumn(
                "times the floor",
                format="%.1f ×",
                min_value=0,
                max_value=float(max(table["times"].max(), 2)),
                width="medium",
            ),
        },
    )
    above, heads = int(ranking.heads["above"].sum()), int(ranking.heads["score"].notna().sum())
    st.caption(f"{above} of {heads} heads stand above the noise. Click a line to see it in the pictures.")


def _named(figure: str) -> str:
    if figure == DISTANCE:
        return "map distance"
    return "image share" if figure == SHARE else f"mass on “{figure.removeprefix(MASS)}”"


def _line_chosen() -> None:
    """Open the line of the cell that was clicked; a second click on a cell lets go of it, and means its line too."""
    cells = st.session_state.findings.selection.cells
    row = st.session_state.findings_row = cells[0][0] if cells else st.session_state.get("findings_row", 0)
    if row < len(st.session_state.findings_shown):
        line = st.session_state.findings_shown.iloc[row]
        state.go_to(int(line["layer"]), int(line["head"]))
