"""A thinking model on the page: thoughts folded away until they are opened, and a control that turns them off."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from qwenvl_debug.model import load_model
from qwenvl_debug.settings import Settings
from qwenvl_debug.store import open_store, save_run
from qwenvl_debug.ui.pairs import gallery_choice
from tests.browser.conftest import DATA
from tests.model.published import QWEN3_5
from tests.model.tiny import tiny_checkpoint

pytestmark = pytest.mark.browser


def keep_short_thoughts(folder, data):
    """Answer the pair with few thoughts and keep it as what the app would make: thousands of tokens take minutes."""
    model, store = load_model(folder), open_store(Settings(data))
    choice = gallery_choice("taipei-blur")
    for case in (choice.correct, choice.failing):
        run = model.ask(case, max_new_tokens=40)
        save_run(store, replace(run, provenance=replace(run.provenance, settings=model.settings())))
    store.close()


def test_thoughts_are_folded_and_can_ask_and_be_turned_off(visit, tmp_path):
    (tiny_checkpoint(tmp_path, "qwen3_vl") / "chat_template.jinja").write_text(QWEN3_5)
    keep_short_thoughts(tmp_path, DATA[visit.address])
    visit.open(f"?pair=taipei-blur&model={tmp_path}")
    page = visit.page
    thoughts = page.locator(".side.correct .thoughts")
    expect(page.locator(".side.correct .verdict")).to_have_text("cut in its thoughts")
    expect(page.get_by_text("The correct run was cut in its thoughts after 40 tokens")).to_be_visible()
    expect(thoughts.locator(".chip").first).to_be_hidden()
    thoughts.locator("summary").click()
    expect(thoughts.locator(".chip").first).to_be_visible()
    thoughts.locator(".chip").nth(2).click()
    expect(thoughts.locator(".chip").nth(2)).to_have_attribute("aria-pressed", "true")
    visit.wait_until_still()
    visit.see(left="h2")

    page.get_by_role("radio", name="Off").click()
    expect(page.locator(".side.correct .verdict")).to_have_text(re.compile("expected"), timeout=120_000)
    expect(thoughts).to_be_hidden()
    expect(page.locator(".side.correct .answer .chip")).not_to_have_count(0)
    visit.wait_until_still()
    visit.see(thinking="off")
    page.reload()
    visit.wait_until_answered()
    expect(thoughts).to_be_hidden()
    expect(page.get_by_role("radio", name="Off")).to_be_checked()
    assert visit.errors == []
