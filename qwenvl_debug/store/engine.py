"""How is a store opened, read and changed? One code for SQLite and PostgreSQL; the differences stand in this file.

All writers take turns, across processes too: on SQLite each begins with its write lock, on PostgreSQL with an advisory
lock. Under that lock a writer makes sure that its file is there and commits the row that
names it, or a cleaner makes sure that no row names a file and deletes it. So neither can come between the other's two
steps. Large files are written before the lock is taken.
"""

from __future__ import annotations

import logging
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, exists, inspect, make_url, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from qwenvl_debug.errors import ChangedMeanwhile, StoreError
from qwenvl_debug.settings import Settings, read_settings
from qwenvl_debug.store.tables import HEAD, FileRow, StoreRow

BUSY = 15
"""Seconds that a writer of SQLite waits for its turn: eight writers at once lost nothing with it."""

LOCK = 0x51564C44
"""Number of the advisory lock on PostgreSQL: "QVLD"."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Store:
    """An open store, for any number of threads.

    Attributes:
        engine: connections to the database.
        folder: of the files.
        disk: bytes that the files may fill, see `room.make_room`.
    """

    engine: Engine = field(repr=False)
    folder: Path
    disk: int

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that sees one state of the database.

        Raises:
            StoreError: the database cannot be used.
        """
        with _told(), Session(self.engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session whose changes are committed together when the block ends well, or not at all. Writers take turns.

        Raises:
            StoreError: the database cannot be used, or its disk is full.
            ChangedMeanwhile: a row was changed by someone else after it was read.
        """
        with _told(), Session(self.engine.execution_options(writes=True)) as session, session.begin():
            _take_turn(session.connection())
            yield session

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()


def open_store(settings: Settings | None = None) -> Store:
    """Open the store, making or updating its tables where needed.

    Args:
        settings: by default those of the environment.

    Raises:
        SettingsError: a setting cannot be used.
        StoreError: the data folder or the database cannot be used, belongs to a newer version of this program, or the
            files of this database are somewhere else.
    """
    settings = settings or read_settings()
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The data folder {settings.data} cannot be made: {error.strerror}; set QWENVL_DEBUG_DATA to another one."
        ) from None
    engine = _engine(_url(settings))
    with _told():
        with engine.connect() as connection:
            ready = _version(connection) == HEAD
        if not ready:
            _update(engine)
        with engine.connect() as connection:
            name = connection.scalar(select(StoreRow.id))
            used = connection.scalar(select(exists().select_from(FileRow)))
    folder = settings.data / "files" / name
    if used and not folder.is_dir():
        raise StoreError(
            f"The files of this database are not in {settings.data}: set QWENVL_DEBUG_DATA to the folder they are in."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {folder} cannot be made: {error.strerror}.") from None
    return Store(engine, folder, settings.disk)


def sqlite_warning(version: tuple[int, int, int] = sqlite3.sqlite_version_info) -> str | None:
    """What to know about this SQLite: a rare bug of older ones can damage a database in WAL mode; None when fixed."""
    major, minor, patch = version
    fixed = version >= (3, 51, 3) or (major == 3 and {44: 6, 50: 7}.get(minor, patch + 1) <= patch)
    if fixed:
        return None
    return (
        f"SQLite {major}.{minor}.{patch} has a rare bug that can damage a database which several programs write to: "
        "use 3.51.3 or newer (3.50.7, 3.44.6), or PostgreSQL through QWENVL_DEBUG_DATABASE, where many people work."
    )


def _url(settings: Settings) -> URL:
    try:
        url = make_url(settings.database or "sqlite://")
        if url.drivername == "postgresql":
            return url.set(drivername="postgresql+psycopg")
    except (SQLAlchemyError, ValueError):
        raise StoreError("QWENVL_DEBUG_DATABASE is not an address that can be read: check its parts.") from None
    return url if url.database else url.set(database=str(settings.data / "store.sqlite3"))


_warned = False


def _engine(url: URL) -> Engine:
    if url.drivername != "sqlite":
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": BUSY})
    global _warned
    if not _warned and (warning := sqlite_warning()):
        _warned = True
        logger.warning(warning)
    engine = create_engine(url, connect_args={"timeout": BUSY})

    @event.listens_for(engine, "connect")
    def _(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # the driver is not to begin transactions by itself
        for setting in (f"busy_timeout = {BUSY * 1000}", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}")
        _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A reader that turns writer may be refused at once; one that begins as a writer waits for its turn.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Write ahead, so that readers and a writer do not wait for each other.

    Of several that switch a new database at the same moment SQLite refuses some at once, whatever its busy timeout.
    """
    end = time.monotonic() + BUSY
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)


def _version(connection: Connection) -> str | None:
    """The last migration that was run, or None for an empty database.

    Raises:
        StoreError: it is none that this program knows.
    """
    if not inspect(connection).has_table("alembic_version"):
        return None
    version = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if version is not None and version > HEAD:
        raise StoreError("The store was made by a newer version of this program: update this one to open it.")
    return version


def _update(engine: Engine) -> None:
    """Run the migrations that are missing, all or none; of several programs that open a new store one does it."""
    from alembic import command  # a tenth of a second that an up-to-date store need not wait for
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        _take_turn(connection)
        if _version(connection) == HEAD:
            return
        config.attributes["connection"] = connection
        command.upgrade(config, HEAD)
        if connection.scalar(select(StoreRow.id)) is None:
            connection.execute(StoreRow.__table__.insert().values(id=uuid.uuid4().hex[:12]))


def _take_turn(connection: Connection) -> None:
    """Wait until no other writer of this database is at work; the turn ends with the transaction."""
    if connection.dialect.name == "postgresql":  # SQLite's own lock was taken by BEGIN IMMEDIATE
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


@contextmanager
def _told() -> Iterator[None]:
    """Say what the database refused in one sentence; its own words hold no password."""
    try:
        yield
    except StaleDataError:
        raise ChangedMeanwhile("Someone else changed this first: reload to see it, then change it again.") from None
    except IntegrityError as error:
        raise StoreError(f"The database refused this: {_first_line(error.orig)}.") from error
    except DBAPIError as error:
        said = _first_line(error.orig)
        if "disk is full" in said or "No space left" in said:
            raise StoreError("The database's disk is full, so nothing was saved: free some space.") from None
        if "database is locked" in said:
            raise StoreError("Others kept the database busy, so nothing was saved: try again.") from None
        raise StoreError(f"The database cannot be used: {said}.") from error
    except SQLAlchemyError as error:
        raise StoreError(f"The database cannot be used: {_first_line(error)}.") from error


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
