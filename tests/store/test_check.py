"""The check finds what is missing, changed or left over, repairs what can be repaired, and says so."""

import os

import numpy as np
import pytest
from sqlalchemy import text

from qwenvl_debug import cli
from qwenvl_debug.errors import StoreError
from qwenvl_debug.maps import answer_query
from qwenvl_debug.regions import Mask, Region
from qwenvl_debug.settings import Settings, read_settings
from qwenvl_debug.store import (
    add_region,
    check,
    check_text,
    files,
    load_case,
    load_run,
    open_store,
    save_run,
    save_scores,
)
from qwenvl_debug.store.tables import PictureRow, RegionRow, RunRow, ScoreRow

REGION = Region("spheres", Mask(np.eye(60, 90, dtype=bool)))


@pytest.fixture
def filled(store, run):
    """A store that holds one of everything; its run has number 1."""
    save_run(store, run)
    add_region(store, run.case.pictures[0], REGION)
    save_scores(store, 1, REGION, answer_query(run), {"mass": np.ones((2, 3))})
    return store


def path_of(store, row, number, column):
    with store.reading() as session:
        return files.path_of(store.folder, getattr(session.get(row, number), column))


def test_a_whole_store_is_clean(filled):
    found = check(filled)
    assert found.clean
    assert (found.files, found.runs, found.without_trace) == (5, 1, 0)
    assert found.size == sum(path.stat().st_size for path in filled.folder.rglob("*") if path.is_file())
    assert "Everything is whole." in check_text(found)


def test_orphans_and_leftovers_are_found_and_deleted(filled):
    orphan = files.put(filled.folder, b"nobody knows me", "png")
    half = files.path_of(filled.folder, orphan).parent / f"{files.UNFINISHED}x"
    half.write_bytes(b"nob")
    os.utime(half, (0, 0))
    found = check(filled)
    assert (found.orphaned, found.unfinished, found.clean) == ((orphan,), (str(half),), False)
    assert "--repair" in check_text(found)
    assert check(filled, repair=True).clean
    assert not half.exists()
    assert list(files.names(filled.folder)).count(orphan) == 0
    assert check(filled).clean


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_run_whose_trace_is_gone_goes_on_without_it_until_it_is_asked_again(filled, run, harm):
    path = path_of(filled, RunRow, 1, "trace")
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[::-1])  # the same size
    found = check(filled)
    assert getattr(found, harm) == (path.name,)
    assert found.lost == ()
    assert not found.clean
    assert check(filled, repair=True).clean
    assert check(filled).without_trace == 1
    with pytest.raises(StoreError, match="ask the case again"):
        load_run(filled, 1)
    assert save_run(filled, run) == 1
    assert load_run(filled, 1) == run


@pytest.mark.parametrize("harm", ["missing", "changed"])
def test_a_lost_picture_is_named_and_healed_by_saving_it_again(filled, run, harm):
    path = path_of(filled, PictureRow, run.case.pictures[0].sha256, "file")
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[::-1])
    found = check(filled, repair=True)
    assert not found.clean
    assert found.lost == ("The picture “picture” of case 1 is lost: open that picture and ask again to restore it.",)
    with pytest.raises(StoreError, match="is missing"):
        load_case(filled, 1)
    add_region(filled, run.case.pictures[0], Region("mast", REGION.shapes))
    assert check(filled).clean
    assert load_case(filled, 1) == run.case


def test_lost_masks_and_scores_are_named_and_their_rows_stay(filled):
    masks, scores = path_of(filled, RegionRow, 1, "masks"), path_of(filled, ScoreRow, 1, "values")
    masks.unlink()
    scores.unlink()
    found = check(filled, repair=True)
    assert sorted(found.missing) == sorted([masks.name, scores.name])
    assert set(found.lost) == {
        "The mask of region “spheres” is lost: draw or import it again.",
        "Scores of run 1 are lost: score that run again.",
    }
    with filled.reading() as session:
        assert session.get(RegionRow, 1) is not None


def test_a_damaged_database_is_told(tmp_path, run):
    store = open_store(Settings(tmp_path))
    save_run(store, run)
    with store.engine.connect() as connection:
        page = connection.scalar(text("SELECT rootpage FROM sqlite_master WHERE name = 'ix_scores_run_id'"))
        size = connection.scalar(text("PRAGMA page_size"))
    store.close()
    with (tmp_path / "store.sqlite3").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 12)
    store = open_store(Settings(tmp_path))
    found = check(store)
    assert found.damage
    assert not found.clean
    assert f"The database says: {found.damage[0]}" in check_text(found)
    store.close()


def test_the_command_says_what_it_found_and_exits_accordingly(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("QWENVL_DEBUG_DATA", str(tmp_path))
    assert cli.main(["store", "check"]) == 0
    assert "Everything is whole." in capsys.readouterr().out
    store = open_store(read_settings())
    orphan = files.put(store.folder, b"nobody knows me", "png")
    store.close()
    assert cli.main(["store", "check"]) == 1
    assert orphan in capsys.readouterr().out
    assert cli.main(["store", "check", "--repair", "--json"]) == 0
    assert f'"{orphan}"' in capsys.readouterr().out
    assert cli.main(["store", "check"]) == 0
    monkeypatch.setenv("QWENVL_DEBUG_DISK", "much")
    assert cli.main(["store", "check"]) == 2
    assert "QWENVL_DEBUG_DISK" in capsys.readouterr().err
