"""What does the Regions page show? The editor on both pictures, and below it how both runs looked at what is drawn."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from qwenvl_debug.errors import QwenVLDebugError
from qwenvl_debug.maps import map_stack
from qwenvl_debug.regions import REGION_MEASURES
from qwenvl_debug.ui import charts, drawings, pairs, region_charts, state
from qwenvl_debug.ui.answers import Answers
from qwenvl_debug.ui.asks import default_ref, query_of
from qwenvl_debug.ui.compare_view import SIDES, address_of
from qwenvl_debug.ui.editor import Panel, attention, editor
from qwenvl_debug.ui.jobs import worker
from qwenvl_debug.ui.region_reading import region_reading
from qwenvl_debug.ui.region_scores import MEAN, RegionScores, score_sides
from qwenvl_debug.ui.score_cards import card
from qwenvl_debug.ui.sentence import plain, show_error
from qwenvl_debug.ui.truth import truth
from qwenvl_debug.ui.viewer import keeper, place_of
from qwenvl_debug.ui.work import scope_of

if TYPE_CHECKING:
    from qwenvl_debug.ui.jobs import Job
    from qwenvl_debug.ui.pairs import Choice

EDITOR = "regions_editor"
NAME, LAYER, HEAD, ASKS = "regions_name", "regions_layer", "regions_head", "regions_asks"
ASKING = {"t": "the expected answer", "a": "each side's own answer", "q": "the question"}


@st.fragment
def look(model: str, choice: Choice) -> None:
    """The editor and the scores; a finished stroke reruns only this."""
    cases = choice.correct, choice.failing
    hashes = [case.pictures[0].sha256 for case in cases]
    pair = pairs.gallery().get(choice.address.get("pair"))
    _bring_truth(pair, hashes)
    editor(
        tuple(Panel(name, case.pictures[0], case.question) for name, case in zip(SIDES, cases, strict=True)),
        key=EDITOR,
    )
    if pair is not None:
        _offer_truth(pair, hashes)
    try:
        _below(model, choice, [drawings.load(sha) or drawings.Drawing() for sha in hashes])
    except QwenVLDebugError as error:
        show_error(str(error))
    keeper(place_of(address_of(model, choice)), state.going(), key="regions_keeper")


def _below(model: str, choice: Choice, drawn: list[drawings.Drawing]) -> None:
    """The scores, or what is still missing for them."""
    regions, wrong = zip(*(one.regions() for one in drawn), strict=True)
    for sentence in dict.fromkeys(sentence for some in wrong for sentence in some):
        show_error(sentence)
    if not any(regions):
        st.info("Draw a region on a picture: its scores appear here, beside what chance would give.")
        return
    scope = scope_of(model, choice)
    job = worker().find(scope)
    if job is None or job.result is None:
        st.caption("The scores appear here as soon as the model has answered.")
        return
    _scores(model, choice, job, scope, drawn)


def _bring_truth(pair: Any, hashes: list[str]) -> None:
    """A gallery picture that nobody has drawn on yet shows the regions it comes with."""
    for side, sha in zip(("correct", "failing"), hashes, strict=True):
        if pair is not None and drawings.load(sha) is None:
            drawings.bring(sha, truth(pair, side))


def _offer_truth(pair: Any, hashes: list[str]) -> None:
    def put_back() -> None:
        for side, sha in zip(("correct", "failing"), hashes, strict=True):
            drawings.replace(sha, truth(pair, side))

    if any((drawings.load(sha) or drawings.Drawing()).version for sha in hashes):
        st.button(
            "Back to the regions that came with these pictures",
            key="regions_truth",
            on_click=put_back,
            type="tertiary",
            help="Undo brings your own drawing back.",
        )


def _scores(model: str, choice: Choice, job: Job, scope: tuple[str, ...], drawn: list[drawings.Drawing]) -> None:
    answers = job.result
    name_field, asks_field, layer_field, head_field = st.columns(
        [4, 4, 5, 2], gap="medium", vertical_alignment="bottom"
    )
    options = [ref for ref in ASKING if ref != "t" or answers.forced is not None]
    if st.session_state.get(ASKS) not in options:
        st.session_state[ASKS] = default_ref(answers)
    with asks_field:
        ref = st.selectbox(
            "Asks",
            options,
            format_func=ASKING.get,
            key=ASKS,
            persist_state="session",
            help="Whose attention is scored. The expected answer is fed to both runs, so that the same words ask.",
        )
    scores = job.view(("regions", ref, _digest(drawn)), partial(_scored, ref, drawn))
    _choose_defaults(scores, scope)
    layers, heads = scores.sides[0].stack.values.shape[:2]
    with name_field:
        name = st.selectbox("Region", scores.names, key=NAME, persist_state="session")
    with layer_field:
        layer = st.slider("Layer", 0, max(1, layers - 1), key=LAYER, persist_state="session")
    with head_field:
        head = st.selectbox(
            "Head",
            range(-1, heads),
            format_func=lambda one: "mean" if one == MEAN else str(one),
            key=HEAD,
            persist_state="session",
        )
    st.markdown(plain(region_reading(scores, name)))
    _charts(scores, name)
    _cards(scores, name, min(layer, layers - 1), head)
    _heads(scores, name)
    _downloads(model, choice, scores, ref)
    attention(
        [case.pictures[0] for case in (choice.correct, choice.failing)],
        [side.stack.map(min(layer, layers - 1), head).values for side in scores.sides],
        key="regions_attention",
    )


def _digest(drawn: list[drawings.Drawing]) -> str:
    return hashlib.sha256(json.dumps([one.records for one in drawn]).encode()).hexdigest()


def _scored(ref: str, drawn: list[drawings.Drawing], answers: Answers) -> RegionScores:
    asked = [query_of(answers, side, ref) for side in (0, 1)]
    sizes = tuple(run.case.pictures[0].size for run, _ in asked)
    return score_sides(tuple(map_stack(*one) for one in asked), tuple(one.regions()[0] for one in drawn), sizes)


def _choose_defaults(scores: RegionScores, scope: tuple[str, ...]) -> None:
    """The region that was just drawn, else the last to be looked at; the layer where it differs most."""
    kept = st.session_state
    seen = kept.setdefault("regions_seen", {})
    before, names = seen.get(scope), scores.names
    fresh = [name for name in names if before is not None and name not in before]
    if fresh:
        kept[NAME] = fresh[-1]
    elif before is None or kept.get(NAME) not in names:
        wanted = [n for n in names if any(n in s.regions and s.regions[n].expect == "look" for s in scores.sides)]
        kept[NAME] = (wanted or list(names))[-1]
    layers, heads = scores.sides[0].stack.values.shape[:2]
    if before is None or kept.get(LAYER, layers) >= layers or kept.get(HEAD, heads) >= heads:
        difference = scores.difference(kept[NAME])
        values = scores.sides[scores.drawn_on(kept[NAME])[0]].mass[kept[NAME]] if difference is None else difference
        known = np.abs(values[:, MEAN])
        kept[LAYER] = int(np.nanargmax(known)) if np.isfinite(known).any() else 0
        kept[HEAD] = MEAN
    seen[scope] = names


def _charts(scores: RegionScores, name: str) -> None:
    over_layers, heads = st.columns(2, gap="medium", border=True)
    with over_layers:
        st.markdown(f"**Mass on “{plain(name)}” over the layers**", help=_explain("mass", "chance"))
        st.altair_chart(
            region_charts.mass_chart(scores, name),
            key="chart_region_mass",
            on_select=partial(_clicked, "chart_region_mass", charts.LAYER_CLICK),
            selection_mode=charts.LAYER_CLICK,
            alt=region_charts.describe(scores, name, "layers"),
        )
    with heads:
        both = scores.difference(name) is not None
        st.markdown("**Mass, correct less failing**" if both else "**Mass**", help=_explain("mass"))
        st.altair_chart(
            region_charts.head_chart(scores, name, dark=st.context.theme.type == "dark"),
            key="chart_region_heads",
            on_select=partial(_clicked, "chart_region_heads", charts.CELL_CLICK),
            selection_mode=charts.CELL_CLICK,
            alt=region_charts.describe(scores, name, "heads"),
        )
    st.caption(
        "Dashed: chance, the region's share of the picture. Click a curve, a cell or a row to score that map below."
    )


def _cards(scores: RegionScores, name: str, layer: int, head: int) -> None:
    st.markdown(f"**Scores at layer {layer}, {'mean of the heads' if head == MEAN else f'head {head}'}**")
    names = [name, *(other for other in scores.names if other != name)]
    for start in range(0, len(names), 2):
        for column, one in zip(st.columns(2, gap="medium"), names[start : start + 2], strict=False):
            with column:
                st.html(card(scores, one, layer, head))


def _heads(scores: RegionScores, name: str) -> None:
    table = scores.head_table(name)
    st.markdown(f"**Heads by {'difference' if 'difference' in table else 'mass'}**")
    shares = {
        column: st.column_config.NumberColumn(column, format="percent")
        for column in table.columns
        if column not in ("layer", "head")
    }
    st.session_state.regions_heads_shown = table
    st.dataframe(
        table,
        hide_index=True,
        height=280,
        column_config=shares,
        key="regions_heads",
        on_select=_row_chosen,
        selection_mode="single-row",
        alt=f"Layers and heads ranked for {name}",
    )


def _downloads(model: str, choice: Choice, scores: RegionScores, ref: str) -> None:
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


def _explain(*names: str) -> str:
    measures = [REGION_MEASURES[name] for name in names]
    return "\n\n".join(f"**{one.name}**: {one.plain}\n\n`{one.formula}`" for one in measures)


def _clicked(key: str, selection: str) -> None:
    toggled = st.session_state.setdefault("toggled", {})
    points = st.session_state[key].selection.get(selection) or []
    toggled[key], place = charts.clicked(toggled.get(key, set()), points)
    if place is not None:
        _go_to(*place)


def _row_chosen() -> None:
    rows = st.session_state.regions_heads.selection.rows
    if rows:
        row = st.session_state.regions_heads_shown.iloc[rows[0]]
        _go_to(int(row["layer"]), int(row["head"]))


def _go_to(layer: int, head: int | None) -> None:
    """Score this map in the cards."""
    st.session_state[LAYER] = layer
    if head is not None:
        st.session_state[HEAD] = head
