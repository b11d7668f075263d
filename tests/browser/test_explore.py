"""Explore and Sweep as a person meets them: a head picked in the head map, a sweep stopped, and one run to its end."""

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_a_head_of_the_head_map_shows_its_maps_and_opens_on_compare(visit):
    page = visit.page
    visit.open("?pair=pearl-fog")
    page.get_by_role("link", name="Explore").click()
    name = page.locator(".headmap .name")
    expect(name).to_have_text(re.compile(r"^Layer \d+, head \d+$"), timeout=90_000)
    longest = name.inner_text()
    page.locator(".headmap svg").focus()
    page.keyboard.press("ArrowRight")
    expect(name).not_to_have_text(longest)
    layer, head = re.findall(r"\d+", name.inner_text())
    expect(page.locator(".headmap canvas").first).to_have_attribute(
        "aria-label", f"Attention of layer {layer}, head {head} over the correct picture"
    )
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(2)
    page.get_by_role("button", name="Open on Compare").click()
    visit.wait_until_answered()
    visit.see(layer=layer, head=head)


def test_a_sweep_can_be_stopped_and_run_again_and_a_step_opens_as_a_comparison(visit):
    page = visit.page
    visit.open("?pair=pearl-fog")
    page.get_by_role("link", name="Sweep").click()
    start = page.get_by_role("button", name="Run the sweep")
    start.click()
    # While a script runs, Streamlit has a button of the same name in its own bar: that stops the page, not the model.
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    expect(start).to_be_enabled(timeout=60_000)
    expect(page.get_by_text("Step by step", exact=True)).not_to_be_visible()
    start.click()
    expect(page.get_by_text("Step by step", exact=True)).to_be_visible(timeout=120_000)
    expect(page.get_by_text(re.compile("the answer flips between|does not flip"))).to_be_visible()
    # A picture that is asked for after the page was left is not there any more.
    page.wait_for_function(
        "() => { const all = [...document.querySelectorAll('[data-testid=stImage] img')]; "
        "return all.length === 7 && all.every(image => image.complete && image.naturalWidth) }"
    )
    page.get_by_role("button", name="Compare", exact=True).first.click()
    visit.wait_until_answered()
    visit.see(pair="own")
