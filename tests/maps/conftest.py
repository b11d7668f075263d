"""The bundled model, loaded once for all tests of maps."""

import pytest

from qwenvl_debug.model import load_model


@pytest.fixture(scope="session")
def micro():
    return load_model("micro")
