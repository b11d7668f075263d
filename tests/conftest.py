"""No test ever touches what the person who runs it has stored."""

import os
import shutil
import tempfile


def pytest_configure(config):
    """Every test, and every app or command that a test starts, keeps its things in a folder that goes afterwards."""
    folder = tempfile.mkdtemp(prefix="qwenvl-debug-tests-")
    os.environ["QWENVL_DEBUG_DATA"] = folder
    os.environ.pop("QWENVL_DEBUG_DATABASE", None)
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
