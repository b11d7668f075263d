"""How are comparisons and scores kept? Their numbers stay when the traces they were computed from are removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from qwenvl_debug.compare import Comparison, align, compare
from qwenvl_debug.errors import StoreError
from qwenvl_debug.maps import Query
from qwenvl_debug.regions.shapes import Region
from qwenvl_debug.store import files
from qwenvl_debug.store.engine import Store
from qwenvl_debug.store.region_rows import join, split
from qwenvl_debug.store.room import claim, key_of, make_room, release, sweep
from qwenvl_debug.store.runs import load_run, save_run
from qwenvl_debug.store.tables import ComparisonRow, RunRow, ScoreRow, now

if TYPE_CHECKING:
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
    """Keep a comparison and its runs.

    Returns:
        Its number; one that was saved before keeps its number.

    Raises:
        StoreError: the disk is full, or the database cannot be used. Runs that were safe by then stay.
    """
    sides = {"correct": comparison.left, "failing": comparison.right}
    queries = {side: _record(stack.query) for side, stack in sides.items()}
    queries["alignment"] = comparison.alignment.kind
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
    ids = (row.correct_id, row.failing_id, row.asked_correct_id, row.asked_failing_id)
    more = row.queries.get("neutral", [])  # rows of an earlier version have none
    runs = {number: load_run(store, number) for number in {*ids, *more}}
    correct, failing, *asked = (runs[number] for number in ids)
    found = align(*(run.case.pictures[row.picture] for run in asked))
    kind = row.queries.get("alignment", found.kind)
    made = compare(
        *asked,
        correct_query=_query(row.queries["correct"]),
        failing_query=_query(row.queries["failing"]),
        picture=row.picture,
        normalisation=row.normalisation,
        neutral=tuple(runs[number] for number in more) or None,
        alignment=found if found.kind == kind else kind,  # else a person stated it
    )
    return replace(made, correct=correct, failing=failing, target=row.target)


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
