"""Opening: tables are made once, whoever comes first; what cannot be opened is told in a sentence."""

import threading
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from qwenvl_debug.errors import StoreError
from qwenvl_debug.settings import Settings
from qwenvl_debug.store import open_store, save_case
from qwenvl_debug.store.engine import sqlite_warning
from qwenvl_debug.store.tables import HEAD, Base, CaseRow, FileRow, Words


def test_the_migrations_make_exactly_the_tables_that_the_code_knows(settings):
    store = open_store(settings)
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        assert context.get_current_revision() == HEAD
    store.close()


def test_a_store_opened_again_is_the_same_store(settings, case):
    store = open_store(settings)
    number = save_case(store, case)
    again = open_store(settings)
    assert again.folder == store.folder
    assert save_case(again, case) == number
    again.close()
    store.close()


def test_many_who_open_a_new_store_at_once_get_one_store(settings):
    opened, errors = [], []

    def work():
        try:
            opened.append(open_store(settings))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({store.folder for store in opened}) == 1
    for store in opened:
        store.close()


def test_a_failed_migration_leaves_nothing_behind(settings, monkeypatch):
    def fail(*_):
        raise RuntimeError("stopped half-way")

    with monkeypatch.context() as patch:
        patch.setattr("uuid.uuid4", fail)  # the last step of a new store
        with pytest.raises(RuntimeError, match="half-way"):
            open_store(settings)
    store = open_store(settings)
    assert store.folder.is_dir()
    store.close()


def test_a_store_of_a_newer_version_is_refused(settings):
    store = open_store(settings)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(StoreError, match="newer version of this program"):
        open_store(settings)


def test_a_database_whose_files_are_elsewhere_is_refused(settings, case, tmp_path):
    store = open_store(settings)
    save_case(store, case)
    store.close()
    if settings.database is None:
        settings = replace(settings, database=f"sqlite:///{settings.data}/store.sqlite3")
    with pytest.raises(StoreError, match="QWENVL_DEBUG_DATA to the folder they are in"):
        open_store(replace(settings, data=tmp_path / "other"))


def test_two_databases_in_one_data_folder_keep_their_files_apart(settings, tmp_path):
    store = open_store(settings)
    other = open_store(replace(settings, database=f"sqlite:///{tmp_path}/second.sqlite3"))
    assert other.folder.parent == store.folder.parent
    assert other.folder != store.folder
    other.close()
    store.close()


def test_a_reader_sees_one_state_while_others_write(store, case):
    with store.writing() as session:
        session.add(FileRow(name="a", size=1))
        session.flush()
        with store.reading() as other:
            assert other.get(FileRow, "a") is None
    with store.reading() as other:
        assert other.get(FileRow, "a") is not None


def test_foreign_keys_are_held(store):
    with pytest.raises(StoreError, match="refused"), store.writing() as session:
        session.execute(text("INSERT INTO pictures (sha256, file) VALUES ('x', 'nowhere')"))


def test_what_is_not_a_database_is_told(tmp_path):
    (tmp_path / "store.sqlite3").write_text("This is a letter, not a database. " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_store(Settings(tmp_path))


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="set QWENVL_DEBUG_DATA to another one"):
        open_store(Settings(tmp_path / "file" / "data"))


def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path):
    with pytest.raises(StoreError, match="cannot be used") as told:
        open_store(Settings(tmp_path, database="postgresql://me:secret@127.0.0.1:1/none"))
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_a_full_database_is_told_and_nothing_is_saved(tmp_path):
    store = open_store(Settings(tmp_path))

    def fill():
        with store.writing() as session:
            session.execute(text("PRAGMA max_page_count = 50"))
            session.add(FileRow(name="a", size=1))
            session.flush()
            session.add(FileRow(name="b" * 1_000_000, size=1))

    with pytest.raises(StoreError, match="disk is full"):
        fill()
    with store.reading() as session:
        assert session.get(FileRow, "a") is None
    store.close()


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 9), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_an_sqlite_with_the_write_ahead_bug_is_warned_of(version, warned):
    assert bool(sqlite_warning(version)) is warned


def test_sqlite_runs_in_write_ahead_mode_and_waits_for_others(tmp_path):
    store = open_store(Settings(tmp_path))
    with store.engine.connect() as connection:
        values = [
            connection.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "busy_timeout", "foreign_keys")
        ]
    assert values == ["wal", 15000, 1]
    store.close()


@pytest.mark.parametrize("words", ["", "\0", "\\0", "\\\\0\0\\", "塔 🗼\n", "\\", "a\\\\b\0c"])
def test_words_of_any_kind_come_back(store, words):
    with store.writing() as session:
        session.add(CaseRow(key="k", question=words, pictures=[], created=""))
    with store.reading() as session:
        assert session.query(CaseRow).one().question == words


def test_half_a_surrogate_pair_is_spelled_out():
    words = Words()
    assert words.process_result_value(words.process_bind_param("a\udc80b", None), None) == "a\\udc80b"
