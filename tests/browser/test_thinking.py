"""A thinking model on the page: thoughts folded away until they are opened, and a control that turns them off."""

import re

import pytest
from playwright.sync_api import expect

from tests.model.published import QWEN3_5
from tests.model.tiny import tiny_checkpoint

pytestmark = pytest.mark.browser


def test_thoughts_are_folded_and_can_ask_and_be_turned_off(visit, tmp_path):
    (tiny_checkpoint(tmp_path, "qwen3_vl") / "chat_template.jinja").write_text(QWEN3_5)
    visit.open(f"?pair=taipei-blur&model={tmp_path}")
    page = visit.page
    thoughts = page.locator(".side.correct .thoughts")
    expect(page.locator(".side.correct .verdict")).to_have_text("cut in its thoughts")
    expect(page.get_by_text("The correct run was cut in its thoughts after 2,112 tokens")).to_be_visible()
    expect(thoughts.locator(".chip").first).to_be_hidden()
    thoughts.locator("summary").click()
    expect(thoughts.locator(".chip").first).to_be_visible()
    thoughts.locator(".chip").nth(2).click()
    expect(page.locator(".side.correct .thoughts .chip").nth(2)).to_have_attribute("aria-pressed", "true")
    visit.wait_until_still()
    visit.see(left="h2")

    page.get_by_role("radio", name="Off").click()
    expect(page.locator(".side.correct .verdict")).to_have_text(re.compile("expected"), timeout=120_000)
    expect(page.locator(".side.correct .thoughts")).to_be_hidden()
    expect(page.locator(".side.correct .answer .chip")).not_to_have_count(0)
    visit.wait_until_still()
    visit.see(thinking="off")
    page.reload()
    visit.wait_until_answered()
    expect(page.locator(".side.correct .thoughts")).to_be_hidden()
    expect(page.get_by_role("radio", name="Off")).to_be_checked()
    assert visit.errors == []
