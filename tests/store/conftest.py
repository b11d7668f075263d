"""Every test of the store runs twice: on SQLite, and on a real PostgreSQL that is started for the tests.

PostgreSQL is looked for at the URL in QWENVL_DEBUG_TEST_POSTGRES (of a user who may create databases), else its
programs on this machine. Without either the tests are skipped, but for CI, where that is a failure.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import psycopg
import pytest
import torch

from qwenvl_debug.case import Case
from qwenvl_debug.model import load_model
from qwenvl_debug.settings import Settings
from qwenvl_debug.store import open_store
from qwenvl_debug.store.tables import Base
from tests.model.tiny import tiny_checkpoint

torch.set_num_threads(1)
DATABASE = "qwenvl_debug_tests"
"""The database on PostgreSQL that the tests use, and empty."""


def _program(name):
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")) or [shutil.which(name)]
    return found[-1] and str(found[-1])


def _make_database(server):
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE template0 ENCODING 'UTF8'")


def _empty(database):
    """Forget all rows but which store it is; quicker than making the tables again."""
    names = ", ".join(table.name for table in Base.metadata.sorted_tables if table.name != "store")
    with psycopg.connect(database, autocommit=True) as connection:
        if connection.execute("SELECT to_regclass('scores')").fetchone()[0]:
            connection.execute(f"TRUNCATE {names} RESTART IDENTITY")


@pytest.fixture(scope="session")
def postgres():
    """The URL of a PostgreSQL server, without a database."""
    given = os.environ.get("QWENVL_DEBUG_TEST_POSTGRES")
    if given:
        _make_database(given.rstrip("/"))
        yield given.rstrip("/")
        return
    if not _program("postgres"):
        said = "There is no PostgreSQL here: install it, or name one in QWENVL_DEBUG_TEST_POSTGRES."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(said)
    root = os.geteuid() == 0
    as_user = ["runuser", "-u", "postgres", "--"] if root else []  # the server refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="qwenvl-debug-pg-", dir="/tmp"))  # a socket's path must be short
    if root:
        shutil.chown(folder, "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(*arguments):
        subprocess.run([*as_user, *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=60)

    data = str(folder / "data")
    call(_program("initdb"), "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    call(_program("pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    try:
        _make_database(f"postgresql://tester@127.0.0.1:{port}")
        yield f"postgresql://tester@127.0.0.1:{port}"
    finally:
        call(_program("pg_ctl"), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path):
    """Settings of a store that was never opened, in a folder of its own."""
    if request.param == "sqlite":
        return Settings(tmp_path / "data")
    server = request.getfixturevalue("postgres")
    with psycopg.connect(f"{server}/{DATABASE}", autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return Settings(tmp_path / "data", database=f"{server}/{DATABASE}")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with the SQLite database of an empty store, to be copied: quicker than making it each time."""
    folder = tmp_path_factory.mktemp("made")
    open_store(Settings(folder)).close()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """An empty store."""
    if request.param == "sqlite":
        settings = Settings(shutil.copytree(request.getfixturevalue("made"), tmp_path / "data"))
    else:
        settings = Settings(tmp_path / "data", database=f"{request.getfixturevalue('postgres')}/{DATABASE}")
        _empty(settings.database)
    opened = open_store(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A tiny model."""
    return load_model(tiny_checkpoint(tmp_path_factory.mktemp("store") / "model", "qwen3_vl"))


@pytest.fixture(scope="session")
def case():
    """A question in two languages about two pictures that are not square."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 60, 90, 3), dtype=np.uint8)
    return Case(list(pixels), "Which tower? 哪座塔？", expected="东方明珠", system="Be brief.")


@pytest.fixture(scope="session")
def run(model, case):
    """Its answer, with a vision trace; a good part of a second, so it is asked once."""
    return model.ask(case, max_new_tokens=4, vision_layers=(0,))
