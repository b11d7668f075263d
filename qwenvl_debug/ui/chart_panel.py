"""The charts and the table below the viewer: where over layers and heads the two runs differ."""

from __future__ import annotations

from functools import partial

import streamlit as st

from qwenvl_debug.compare import Comparison
from qwenvl_debug.maps import MEASURES
from qwenvl_debug.ui import charts, state

CHARTS = {"image share": "image_share", "entropy": "entropy", "map distance": "divergence"}
"""The measures drawn over the layers, and their keys in `MEASURES`."""


def chart_panel(comparison: Comparison) -> None:
    """Curves over the layers beside the heatmap of layers and heads; a click moves the viewer."""
    layers, heads = st.columns(2, gap="medium", border=True)
    with layers:
        st.markdown("**Over the layers**", help=_explain(*CHARTS.values()))
        for measure in CHARTS:
            if measure == "map distance" and comparison.pieces is None:
                st.caption("No map distance: the pictures do not lie on each other.")
                continue
            key = f"chart_{measure.replace(' ', '_')}"
            st.altair_chart(
                charts.layer_chart(comparison, measure),
                key=key,
                on_select=partial(_clicked, key, charts.LAYER_CLICK),
                selection_mode=charts.LAYER_CLICK,
                alt=charts.describe(comparison, measure),
            )
    with heads:
        st.markdown(
            "**Where each head differs**",
            help=_explain("divergence" if comparison.pieces is not None else "image_share"),
        )
        st.altair_chart(
            charts.head_chart(comparison),
            key="chart_heads",
            on_select=partial(_clicked, "chart_heads", charts.CELL_CLICK),
            selection_mode=charts.CELL_CLICK,
            alt=charts.describe(comparison, "heads"),
        )
        st.caption("Click a curve or a cell to see that layer and head in the pictures.")


def table_panel(comparison: Comparison) -> None:
    """Every number as a table, to look through and to take along."""
    with st.expander("All numbers"):
        table = comparison.table()
        st.dataframe(table, hide_index=True, height=280)
        st.download_button(
            "Download CSV",
            table.to_csv(index=False).encode("utf-8"),
            file_name="comparison.csv",
            mime="text/csv",
            on_click="ignore",
        )


def _explain(*keys: str) -> str:
    """The tooltip of measures: the same words as in the documentation."""
    measures = [MEASURES[key] for key in keys]
    return "\n\n".join(f"**{measure.name}**: {measure.plain}\n\n`{measure.formula}`" for measure in measures)


def _clicked(key: str, selection: str) -> None:
    toggled = st.session_state.setdefault("toggled", {})
    points = st.session_state[key].selection.get(selection) or []
    toggled[key], place = charts.clicked(toggled.get(key, set()), points)
    if place is not None:
        state.go_to(*place)
