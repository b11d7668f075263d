"""The Regions page as a person meets it: a gallery pair with the regions it comes with, scored as in Python."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from qwenvl_debug.case import Case, Picture
from qwenvl_debug.compare import align
from qwenvl_debug.maps import answer_query, map_stack
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.model import load_model
from qwenvl_debug.regions import Mask, Region, baselines, from_coco, score
from qwenvl_debug.report.text import percent

pytestmark = pytest.mark.browser
PAIR = pairs()[0]
CELLS = ".st-key-chart_region_heads_difference .mark-rect path"


@pytest.fixture(scope="module")
def run():
    """The failing side, asked with the expected answer."""
    return load_model("micro").ask(Case(PAIR.failing, PAIR.question), target=PAIR.expected)


def mask_of(side, name):
    with Image.open(PAIR.regions[side][name]) as image:
        return np.asarray(image.convert("L")) > 127


def test_a_gallery_pair_comes_with_regions_and_the_scores_are_those_of_python(visit, run):
    page = visit.page
    page.goto(f"{visit.address}/?pair={PAIR.id}")
    expect(page.locator(".layer-value")).to_have_text(re.compile(r"\d+ of \d+"), timeout=300_000)  # loads the model
    visit.wait_until_answered()
    page.get_by_role("link", name="Regions").click()
    title = page.get_by_text(re.compile(r"^Scores at layer \d+, mean of the heads$"))
    expect(title).to_be_visible(timeout=90_000)
    layer = int(re.search(r"\d+", title.inner_text())[0])
    for side in ("correct", "failing"):
        names = page.locator(f".panel.{side} .region-name").all()
        assert [name.input_value() for name in names] == list(PAIR.regions[side])

    name = page.locator(".score-card").first.get_attribute("data-region")
    found = score(run, Region(name, (Mask(mask_of("failing", name)),)), layer, query=answer_query(run))
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
    visit.see(pair=PAIR.id)
    page.get_by_role("link", name="Regions").click()
    expect(page.locator(".panel.correct .region-name").last).to_have_value("my mark", timeout=90_000)
    expect(page.locator('.score-card[data-region="my mark"]')).to_be_visible()


def test_regions_are_copied_to_where_the_alignment_carries_them_and_both_pages_say_how(visit):
    """Too close: the failing picture shows the middle of the correct one, enlarged, so points on both align them."""
    pair = next(pair for pair in pairs() if pair.id == "eiffel-close")
    pictures = Picture.open(pair.correct), Picture.open(pair.failing)
    laid, sizes = align(*pictures), tuple(picture.size for picture in pictures)
    assert laid.kind == "registered"
    page = visit.page
    page.goto(f"{visit.address}/?pair={pair.id}")
    expect(page.locator(".layer-value")).to_have_text(re.compile(r"\d+ of \d+"), timeout=300_000)  # loads the model
    visit.wait_until_answered()
    page.get_by_role("link", name="Regions").click()
    page.locator("[data-pick=rectangle]").click(timeout=90_000)
    page.locator(".panel.correct svg").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".panel.correct .region-name").last).to_have_value("region 3")
    page.get_by_role("link", name="Compare").click()
    visit.wait_until_answered()
    how = laid.carries(sizes)
    expect(page.get_by_text(f"“region 3” on the failing image: {how}")).to_be_visible(timeout=120_000)

    page.get_by_role("link", name="Regions").click()
    page.locator(".panel.correct .copy").click(timeout=90_000)
    expect(page.get_by_text(f"copied to the failing picture: {how}").first).to_be_visible(timeout=60_000)
    expect(page.locator(".panel.failing .region-name").last).to_have_value("region 3")


def test_a_link_opens_a_region_layer_and_head_and_a_click_moves_on_from_there(visit, run, tmp_path):
    page, name = visit.page, next(iter(PAIR.regions["failing"]))
    link = f"pair={PAIR.id}&region={name}&asks=t&layer=2&head=3&measure=lift"
    page.goto(visit.address)
    expect(page.get_by_role("heading", name="Compare")).to_be_visible(timeout=90_000)
    page.goto(f"{visit.address}/regions?{link}")
    expect(page.get_by_text("Scores at layer 2, head 3", exact=True)).to_be_visible(timeout=300_000)
    expect(page.get_by_text(f"Lift on “{name}” over the layers")).to_be_visible()

    page.get_by_text("Random-region baseline").click()
    asked, mask = answer_query(run), mask_of("failing", name)
    stack = map_stack(run, asked)
    less = baselines(stack.map(2, 3).values, mask).less
    places = page.locator(f'.score-card[data-region="{name}"] td[data-side=failing][data-beside="other places"]')
    words = "more than all 100" if less == 100 else f"more than {less or 'none'} of 100"
    expect(places.locator(".value")).to_have_text(words)

    for number in (9, 16):  # in turn, so that the chart has been drawn anew in between
        page.locator(CELLS).nth(number).click()
        head, layer = number % (stack.values.shape[1] + 1) - 1, number // (stack.values.shape[1] + 1)
        visit.see(layer=layer, head=head, region=name, measure="lift")
        expect(page.get_by_text(f"Scores at layer {layer}, head {head}", exact=True)).to_be_visible()
    expect(page.locator(".attention-switch")).to_have_attribute("aria-pressed", "true")

    small = tmp_path / "roof.png"
    size = tuple(side // 2 for side in run.case.pictures[0].size)
    image = Image.new("L", size)
    image.paste(255, (0, 0, size[0] // 2, size[1] // 2))
    image.save(small)
    (tmp_path / "other.json").write_text("{}")
    page.get_by_role("button", name="Bring in or take out").click()
    page.locator("[data-testid=stFileUploader] input").set_input_files([small, tmp_path / "other.json"])
    expect(page.get_by_text("1 region added to the correct picture")).to_be_visible()
    expect(page.get_by_text("other.json: this JSON is neither COCO")).to_be_visible()
    expect(page.get_by_text("was fitted to the picture's")).to_be_visible()
    expect(page.locator(".panel.correct .region-name").last).to_have_value("roof")
    with page.expect_download() as download:
        page.get_by_role("button", name="COCO JSON").click()
    taken = from_coco(json.loads(download.value.path().read_text(encoding="utf-8")), run.case.pictures[0].size)
    assert [region.name for region in taken.regions] == [*PAIR.regions["correct"], "roof"], "each file is taken once"
    np.testing.assert_array_equal(taken.regions[0].shapes[0].pixels, mask_of("correct", taken.regions[0].name))
    page.get_by_role("button", name="Open on Compare").click()
    visit.see(layer=layer, head=head)
    # Streamlit looks for its own health under the page's address first
    visit.errors = [error for error in visit.errors if "404" not in error]
