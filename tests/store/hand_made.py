"""A run that no model made, two layers of two heads and six tokens about one picture; and a case of an old store."""

import json

import numpy as np
import torch
from sqlalchemy import text

from qwenvl_debug.case import Case
from qwenvl_debug.model import Grid, Provenance, Run, Token, Trace
from qwenvl_debug.store.cases import enter_picture, write_pictures
from qwenvl_debug.store.room import key_of

KINDS = ("template", "picture", "picture", "question", "answer", "end")


def hand_made_run(picture, rng):
    """A run about a picture, its numbers drawn from `rng`, a NumPy generator."""

    def tensors(*shape):
        return {layer: torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) for layer in (0, 1)}

    trace = Trace(
        n_layers=2,
        n_heads=2,
        layers=(0, 1),
        positions=[3, 4],
        tokens=6,
        queries=tensors(2, 2, 64),
        keys=tensors(1, 5, 64),
        scaling={0: 0.125, 1: 0.125},
    )
    return Run(
        case=Case(picture, "Which tower?"),
        answer="Pearl",
        tokens=tuple(Token(n, n, f"t{n}", n, kind) for n, kind in enumerate(KINDS)),
        grids=(Grid(1, 2, np.array([1, 2]), 0),),
        trace=trace,
        vision=(),
        provenance=Provenance("hand", "1", "none", {}, {}, None, "2026-01-01T00:00:00+00:00", float(rng.random())),
    )


def save_case_as_before(store, case):
    """Save a case of one turn with the columns and the key that the first versions of the store gave it."""
    written = write_pictures(store, case.pictures)
    hashes = [picture.sha256 for picture in case.pictures]
    row = {
        "key": key_of(hashes, case.question, case.expected, case.system),
        "question": case.question,
        "pictures": json.dumps([{"sha256": picture.sha256, "name": picture.name} for picture in case.pictures]),
    }
    with store.writing() as session:
        for picture in case.pictures:
            enter_picture(store, session, picture, written)
        session.execute(
            text(
                "INSERT INTO cases (key, question, pictures, created) VALUES "
                "(:key, :question, CAST(:pictures AS JSON), '')"
                if store.engine.dialect.name == "postgresql"
                else "INSERT INTO cases (key, question, pictures, created) VALUES (:key, :question, :pictures, '')"
            ),
            row,
        )
        number = session.execute(text("SELECT id FROM cases WHERE key = :key"), row).scalar()
        for sha256 in sorted(set(hashes)):
            session.execute(
                text("INSERT INTO case_pictures (case_id, picture) VALUES (:case, :picture)"),
                {"case": number, "picture": sha256},
            )
    return number
