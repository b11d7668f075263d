"""The Architecture page in a real browser: what someone reads off the drawing, and how it follows what they choose."""

import json

import pytest
from playwright.sync_api import expect

from qwenvl_debug.model.architecture import described

pytestmark = pytest.mark.browser


def choose(page, label, typed):
    """Type into a selector and take what it offers."""
    field = page.locator("[data-testid=stSelectbox]").filter(has_text=label).get_by_role("combobox")
    field.click()
    field.fill(typed)
    field.press("Enter")


def test_someone_follows_a_picture_through_a_model_and_sets_another_beside_it(visit):
    visit.open()
    page = visit.page
    page.get_by_test_id("stTopNavSection").filter(has_text="Model").click()
    page.get_by_test_id("stTopNavDropdownLink").filter(has_text="Architecture").click()
    expect(page.locator(".box.decoder .title")).to_have_text("Language decoder")
    visit.wait_until_still()

    choose(page, "Model", "Qwen/Qwen2.5-VL-3B-Instruct")
    expect(page.locator(".box.vision .mark")).to_have_count(32)
    visit.see(architecture="Qwen%2FQwen2.5-VL-3B-Instruct")
    full = page.locator(".box.vision .strip > div", has=page.locator(".mark.full"))
    titles = full.evaluate_all("marks => marks.map(mark => mark.title)")
    assert titles == [f"block {number}: vision full" for number in (7, 15, 23, 31)]
    assert page.locator(".box.vision .size").get_attribute("title").startswith("631,975,680 weights")

    width = page.get_by_role("spinbutton", name="Picture width")
    width.fill("1920")
    width.press("Enter")
    height = page.get_by_role("spinbutton", name="Picture height")
    height.fill("1080")
    height.press("Enter")
    expect(page.locator(".diagram")).to_contain_text("2,691 picture tokens")

    with page.expect_download() as got:
        page.get_by_role("button", name="Download as JSON").click()
    made = json.loads(got.value.path().read_text(encoding="utf-8"))
    assert made["total"] == described("Qwen/Qwen2.5-VL-3B-Instruct").total
    assert made["picture"]["tokens"] == 2691

    choose(page, "Side by side with", "Qwen/Qwen3-VL-8B-Instruct")
    expect(page.locator(".diagram")).to_have_count(2)
    second = page.locator(".diagram").nth(1)
    assert "Deepstack to Language decoder: added after layers 0, 1, 2." in second.get_attribute("aria-label")
    expect(second.locator(".box.vision .tap.on")).to_have_count(3)
    for box in second.locator(".box").all():
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth + 1"), "words leave their box"
