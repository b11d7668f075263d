"""How are comparisons and scores kept? Their numbers stay when the traces they were computed from are removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from qwenvl_debug.compare import Alignment, Comparison, SidedRegion, align, compare, stated
from qwenvl_debug.errors import StoreError
from qwenvl_debug.maps import Query
from qwenvl_debug.regions import from_record, to_record
from qwenvl_debug.regions.shapes import Region
from qwenvl_debug.store import files
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.region_rows import join, split
from qwenvl_debug.store.room import claim, key_of, make_room, release, sweep
from qwenvl_debug.store.runs import load_run, save_run
from qwenvl_debug.store.tables import ComparisonRow, RunRow, ScoreRow, now

if TYPE_CHECKING:
    from qwenvl_debug.case import Picture
    from qwenvl_debug.maps import Normalisation


@dataclass(frozen=True, eq=False)
class StoredScores:
    """How one run's maps lay on one region.

    Attributes:
        id: its number.
        run_id: the run's number.
        region: the region as it was then.
        query: the tokens that asked.
        picture: which picture of the case.
        normalisation: of the maps.
        values: float64 [layers, heads + 1] by measure; the last place of the head axis is their mean.
    """

    id: int
    run_id: int
    region: Region
    query: Query
    picture: int
    normalisation: Normalisation
    values: dict[str, np.ndarray]


def save_comparison(store: Store, comparison: Comparison) -> int:
    """Keep a comparison and its runs: what the model said on either side, and apart from that the runs whose words
    asked, which may have had an answer fed in. How the pictures are aligned and where the regions are is kept too.

    Returns:
        Its number; one that was saved before keeps its number.

    Raises:
        StoreError: the disk is full, or the database cannot be used. Runs that were safe by then stay.
    """
    sides = {"correct": comparison.left, "failing": comparison.right}
    queries = {side: _record(stack.query) for side, stack in sides.items()}
    queries["alignment"] = comparison.alignment.to_dict()
    queries["regions"] = [_sided_record(one.sided) for one in comparison.regions]
    queries["neutral"] = [save_run(store, run) for run in comparison.neutral or ()]
    about = {
        "target": comparison.target,
        "picture": comparison.left.grid.picture,
        "normalisation": comparison.left.normalisation,
        "queries": queries,
    }
    runs = [save_run(store, run) for run in (comparison.correct, comparison.failing, *comparison.asked)]
    key = key_of(runs, about)
    whole = comparison.to_dict()
    numbers = {name: whole[name] for name in ("most_different_layer", "layers", "heads")}
    with store.writing() as session:
        number = session.scalar(select(ComparisonRow.id).where(ComparisonRow.key == key))
        if number is None:
            ids = dict(zip(("correct_id", "failing_id", "asked_correct_id", "asked_failing_id"), runs, strict=True))
            row = ComparisonRow(key=key, numbers=numbers, created=now(), **ids, **about)
            session.add(row)
            session.flush()
            number = row.id
    return number


def load_comparison(store: Store, comparison_id: int) -> Comparison:
    """A comparison by its number, computed anew from its stored runs.

    Raises:
        StoreError: there is none, or a trace was removed to make room; `comparison_numbers` still has its numbers.
    """
    row = _comparison(store, comparison_id)
    asked_ids = row.asked_correct_id, row.asked_failing_id
    own_ids = tuple(_said_by_the_model(store, number) for number in (row.correct_id, row.failing_id))
    more = row.queries.get("neutral", [])  # rows of an earlier version have none
    runs = {number: load_run(store, number) for number in {*own_ids, *asked_ids, *more}}
    correct, failing, *asked = (runs[number] for number in (*own_ids, *asked_ids))
    made = compare(
        correct,
        failing,
        asked=tuple(asked),
        correct_query=_query(row.queries["correct"]),
        failing_query=_query(row.queries["failing"]),
        picture=row.picture,
        normalisation=row.normalisation,
        neutral=tuple(runs[number] for number in more) or None,
        alignment=_alignment(row.queries.get("alignment"), *(run.case.pictures[row.picture] for run in asked)),
    )
    if row.queries.get("regions"):
        made = made.measured_on([_sided(one) for one in row.queries["regions"]])
    return replace(made, target=row.target)


def _said_by_the_model(store: Store, run_id: int) -> int:
    """The run of what the model said, where an earlier version kept one with an answer fed in in its place.

    Returns:
        The latest run of the same model, case and settings (but for what was to be kept of it) without a fed answer;
        the run itself where it is that already, or where there is none: then it is marked as forced.
    """
    from qwenvl_debug.model.run import KEPT  # torch

    def computed(row: RunRow) -> tuple[Any, ...]:
        settings = {name: value for name, value in row.provenance["settings"].items() if name not in KEPT}
        return row.provenance["revision"], settings

    with store.reading() as session:
        row = session.get(RunRow, run_id)
        if row is None or row.target is None:
            return run_id
        same = select(RunRow).where(RunRow.case_id == row.case_id, RunRow.target.is_(None), RunRow.trace.is_not(None))
        found = (one.id for one in session.scalars(same.order_by(RunRow.id.desc())) if computed(one) == computed(row))
        return next(found, run_id)


def _alignment(kept: Any, correct: Picture, failing: Picture) -> Alignment:
    """An alignment as it was kept; earlier versions kept its kind alone, or nothing."""
    if isinstance(kept, dict):
        return Alignment.from_dict(kept)
    found = align(correct, failing)
    return found if kept in (None, found.kind) else stated(kept, correct, failing)  # else a person stated it


def _sided_record(one: SidedRegion) -> dict[str, Any]:
    sides = {"left": one.left and to_record(one.left), "right": one.right and to_record(one.right)}
    return {"name": one.name, **sides, "carried_to": one.carried_to, "how": one.how, "outside": one.outside}


def _sided(record: dict[str, Any]) -> SidedRegion:
    sides = {name: record[name] and from_record(record[name]) for name in ("left", "right")}
    return SidedRegion(**record | sides)


def comparison_numbers(store: Store, comparison_id: int) -> dict[str, Any]:
    """The numbers of a comparison, with or without traces: most_different_layer, layers and heads as in its `to_dict`.

    Raises:
        StoreError: there is none.
    """
    return _comparison(store, comparison_id).numbers


def save_scores(
    store: Store,
    run_id: int,
    region: Region,
    query: Query,
    values: Mapping[str, np.ndarray],
    picture: int = 0,
    normalisation: Normalisation = "picture",
) -> int:
    """Keep how a stored run's maps lie on a region.

    Args:
        store: where to keep it.
        run_id: the run's number.
        region: the region; it is kept as it is now, whatever becomes of the drawing.
        query: the tokens that asked.
        values: float64 [layers, heads + 1] by measure, one region of what `score_stack` returns.
        picture: which picture of the case.
        normalisation: of the maps.

    Returns:
        Their number; scores of the same run, region and query replace the old ones and keep their number.

    Raises:
        StoreError: there is no such run, the disk is full, or the database cannot be used; then nothing is kept.
    """
    record, masks = split(store, region)
    data = files.pack_arrays({name: np.asarray(array, np.float64) for name, array in values.items()})
    file = files.put(store.folder, data, "safetensors")
    about = {"record": record, "picture": picture, "query": _record(query), "normalisation": normalisation}
    key = key_of(run_id, about, masks and masks[0])
    with store.writing() as session:
        if session.get(RunRow, run_id) is None:
            raise StoreError(f"There is no run {run_id} in the store.")
        claim(store, session, file, data)
        row = session.scalar(select(ScoreRow).where(ScoreRow.key == key))
        old = row and row.values
        if row is None:
            held = masks and claim(store, session, *masks)
            row = ScoreRow(key=key, run_id=run_id, masks=held, created=now(), **about)
            session.add(row)
        row.values = file
        struck = release(session, [old])
        number = row.id
    sweep(store, struck)
    make_room(store)
    return number


def scores_of(store: Store, run_id: int) -> tuple[StoredScores, ...]:
    """All scores that were kept of a run, in the order they were first saved.

    Raises:
        StoreError: a file of them is missing or was changed.
    """
    with store.reading() as session:
        rows = session.scalars(select(ScoreRow).where(ScoreRow.run_id == run_id).order_by(ScoreRow.id)).all()
    return tuple(
        StoredScores(
            row.id,
            row.run_id,
            join(store, row.record, row.masks),
            _query(row.query),
            row.picture,
            row.normalisation,
            files.unpack_arrays(files.get(store.folder, row.values, verify=True)),
        )
        for row in rows
    )


def _comparison(store: Store, comparison_id: int) -> ComparisonRow:
    with store.reading() as session:
        row = session.get(ComparisonRow, comparison_id)
    if row is None:
        raise StoreError(f"There is no comparison {comparison_id} in the store.")
    return row


def _record(query: Query) -> dict[str, Any]:
    return {"tokens": [int(token) for token in query.tokens], "label": query.label}


def _query(record: dict[str, Any]) -> Query:
    return Query(tuple(record["tokens"]), record["label"])
