"""Uploaded pictures are kept by content, as many as fit."""

import numpy as np
import pytest

from qwenvl_debug.case import Picture
from qwenvl_debug.ui import pairs


def picture(seed):
    return Picture.open(np.random.default_rng(seed).integers(0, 256, (10, 10, 3), dtype=np.uint8))


def test_a_kept_picture_is_found_by_its_content():
    vault = pairs.Vault()
    name = vault.keep(picture(1))
    assert vault.find(name) == picture(1)
    assert vault.keep(picture(1)) == name
    assert vault.find("another") is None
    assert vault.find(None) is None


@pytest.mark.parametrize(("room", "found"), [(300 * 3, [1, 2, 3]), (0, [2, 3])])
def test_the_oldest_pictures_go_when_memory_is_full_and_a_pair_always_fits(monkeypatch, room, found):
    monkeypatch.setattr(pairs, "KEPT_BYTES", room)
    vault = pairs.Vault()
    names = {seed: vault.keep(picture(seed)) for seed in (0, 1, 2, 3)}
    assert [seed for seed, name in names.items() if vault.find(name)] == found
