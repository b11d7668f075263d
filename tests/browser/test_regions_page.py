"""The Regions page as a person meets it: a gallery pair with the regions it comes with, scored as in Python."""

import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from qwenvl_debug.case import Case
from qwenvl_debug.maps import answer_query
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.model import load_model
from qwenvl_debug.regions import Mask, Region, score
from qwenvl_debug.report.text import percent

pytestmark = pytest.mark.browser


def test_a_gallery_pair_comes_with_regions_and_the_scores_are_those_of_python(visit):
    pair = pairs()[0]
    page = visit.page
    page.goto(f"{visit.address}/?pair={pair.id}")
    expect(page.locator(".layer-value")).to_have_text(re.compile(r"\d+ of \d+"), timeout=300_000)  # loads the model
    visit.wait_until_answered()
    page.get_by_role("link", name="Regions").click()
    title = page.get_by_text(re.compile(r"^Scores at layer \d+, mean of the heads$"))
    expect(title).to_be_visible(timeout=90_000)
    layer = int(re.search(r"\d+", title.inner_text())[0])
    for side in ("correct", "failing"):
        names = page.locator(f".panel.{side} .region-name").all()
        assert [name.input_value() for name in names] == list(pair.regions[side])

    name = page.locator(".score-card").first.get_attribute("data-region")
    with Image.open(pair.regions["failing"][name]) as image:
        region = Region(name, (Mask(np.asarray(image.convert("L")) > 127),))
    run = load_model("micro").ask(Case(pair.failing, pair.question), target=pair.expected)
    found = score(run, region, layer, query=answer_query(run))
    card = page.locator(f'.score-card[data-region="{name}"] td[data-side=failing]')
    expect(card.and_(page.locator("[data-measure=mass]"))).to_contain_text(
        f"{percent(found.mass)} chance {percent(found.chance)}"
    )
    expect(card.and_(page.locator("[data-measure=auc]"))).to_have_text(f"{found.auc:.2f}")

    page.locator("[data-pick=ellipse]").click()
    page.locator(".panel.correct svg").focus()
    page.keyboard.press("Enter")
    drawn = page.locator(".panel.correct .region-name").last
    drawn.fill("my mark")
    drawn.press("Enter")
    expect(page.locator(".score-card").first).to_have_attribute("data-region", "my mark")
    page.get_by_role("link", name="Compare").click()
    visit.wait_until_answered()
    visit.see(pair=pair.id)
    page.get_by_role("link", name="Regions").click()
    expect(page.locator(".panel.correct .region-name").last).to_have_value("my mark", timeout=90_000)
    expect(page.locator('.score-card[data-region="my mark"]')).to_be_visible()
