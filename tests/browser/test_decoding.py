"""Decoding as the checkpoint says, on the page: chosen there, named beside the answers, and kept by the address."""

import json

import pytest
from playwright.sync_api import expect

from tests.model.tiny import tiny_checkpoint

pytestmark = pytest.mark.browser


def test_decoding_is_chosen_on_the_page_and_stays_in_its_address(visit, tmp_path):
    tiny_checkpoint(tmp_path, "qwen3_vl")
    path = tmp_path / "generation_config.json"
    own = {"do_sample": True, "temperature": 1.5, "repetition_penalty": 1.3}
    path.write_text(json.dumps(json.loads(path.read_text()) | own))
    visit.open(f"?pair=taipei-blur&model={tmp_path}")
    page = visit.page
    visit.wait_until_answered()
    expect(page.get_by_text("Greedy, without the checkpoint's generation settings").first).to_be_visible()
    page.get_by_role("radio", name="As the checkpoint says").click()
    expect(page.get_by_text("Checkpoint's generation settings, seed 0").first).to_be_visible(timeout=60_000)
    seed = page.get_by_role("spinbutton", name="Seed")
    seed.fill("5")
    seed.press("Enter")
    expect(page.get_by_text("Checkpoint's generation settings, seed 5").first).to_be_visible(timeout=60_000)
    visit.wait_until_still()
    visit.see(decoding="checkpoint", seed="5")
    page.reload()
    visit.wait_until_answered()
    expect(page.get_by_text("Checkpoint's generation settings, seed 5").first).to_be_visible()
    assert visit.errors == []
