"""Uploaded pictures are kept by content: as many in memory as fit, and in the store what was asked about."""

import numpy as np
import pytest

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.ui import archive, pairs


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


def test_a_picture_that_was_asked_about_is_found_after_a_restart_and_one_that_was_not_is_forgotten():
    asked, seen = pairs.Vault().keep(picture(1)), pairs.Vault().keep(picture(2))
    archive.keep_case(Case(picture(1), "Which tower?"))
    archive.settle()
    after = pairs.Vault()
    assert after.find(asked) == picture(1)
    assert after.find(seen) is None
    for name in ("%" * 24, asked[:-1], asked.upper() + "x", ""):
        assert after.find(name) is None
