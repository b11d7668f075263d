"""Which picture and which turn does either run look at? Two small tables on Compare, where there is a choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from qwenvl_debug.maps import picture_shares, turn_shares

if TYPE_CHECKING:
    from qwenvl_debug.compare import Comparison
    from qwenvl_debug.maps import PartShares


def parts_panel(comparison: Comparison) -> None:
    """Draw the tables; nothing for one question about one picture."""
    runs = comparison.asked
    asked = list(zip(runs, (comparison.left.query, comparison.right.query), strict=True))
    several = any(len(run.case.pictures) > 1 for run in runs)
    turns = any(run.case.history for run in runs)
    if not several and not turns:
        return
    with st.container(border=True):
        st.markdown(
            "**Where in the conversation**",
            help="How the attention of the words that ask is divided: the mean over all layers with a map and all "
            "heads. Chance is what a row gives that looks at everything before it alike. The rest of each row goes to "
            "the system prompt, to the marks of the chat template and to words.",
        )
        columns = iter(st.columns(several + turns, gap="medium"))
        if several:
            with next(columns):
                _table("frames" if runs[0].case.seconds else "picture", [picture_shares(*one) for one in asked])
        if turns:
            with next(columns):
                _table("turn", [turn_shares(*one) for one in asked])


def shares_table(sides: list[PartShares], part: str) -> pd.DataFrame:
    """A line for each part by its number: both sides' shares beside their chances, in %; NaN where a side has none.

    Pictures are called by their numbers, from 1 as in the control above, since their names are long.
    """
    lines = []
    for number in range(max(len(side.names) for side in sides)):
        names = [side.names[number] for side in sides if number < len(side.names)]
        line: dict[str, object] = {part: _called(names[0])}
        for name, side in zip(("correct", "failing"), sides, strict=True):
            there = number < len(side.names)
            line[name] = 100 * float(np.nanmean(side.values[..., number])) if there else np.nan
            line[f"chance, {name}"] = 100 * float(side.chance[number]) if there else np.nan
        lines.append(line)
    return pd.DataFrame(lines)


def _called(name: str) -> str:
    """“picture 2” of the name “1: tower.png”; turns and times are called what they are."""
    number, colon, _ = name.partition(": ")
    return f"picture {int(number) + 1}" if colon and number.isdecimal() else name


def _table(part: str, sides: list[PartShares]) -> None:
    table = shares_table(sides, part)
    shares = {name: st.column_config.NumberColumn(format="%.1f %%") for name in table.columns if name != part}
    st.dataframe(table, column_config=shares, hide_index=True, key=f"parts_{part}")
