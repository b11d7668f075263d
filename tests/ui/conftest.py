"""Each test of the pages has a store of its own; it is made only where a test uses it."""

import pytest


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """The folder of the test's own store."""
    monkeypatch.setenv("QWENVL_DEBUG_DATA", str(tmp_path / "data"))
    return tmp_path / "data"
