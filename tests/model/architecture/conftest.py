"""Every shipped configuration, recounted once for all tests of this folder."""

import pytest

from qwenvl_debug.model.architecture import describe, published


@pytest.fixture(scope="session")
def recounted():
    """From a shipped model's name to its description, made anew from its configuration on the meta device."""
    return {one.name: describe(one.name) for one in published()}
