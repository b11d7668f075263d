"""The Compare page as a person meets it: a gallery pair, its answers, its maps, its charts, its address."""

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from qwenvl_debug.case import Case
from qwenvl_debug.compare import compare, noise_floor
from qwenvl_debug.maps import answer_query, map_stack
from qwenvl_debug.micro.gallery import pairs
from qwenvl_debug.micro.ground_truth import true_regions
from qwenvl_debug.model import load_model
from qwenvl_debug.ui.reading import percent

pytestmark = pytest.mark.browser
CELLS = ".st-key-chart_heads .mark-rect path"


def open_ranked(visit, query=""):
    """Open the page and wait until the noise is measured: until then the page asks the server how far that is."""
    visit.open(query)
    expect(visit.page.locator(".st-key-findings")).to_be_visible(timeout=120_000)
    visit.wait_until_still()


def test_the_first_screen_shows_a_right_and_a_wrong_answer_with_their_maps(visit):
    visit.open()
    page = visit.page
    expect(page.locator(".side.correct .verdict")).to_have_class(re.compile("right"))
    expect(page.locator(".side.failing .verdict")).to_have_class(re.compile("wrong"))
    for side in ("correct", "failing"):
        assert page.locator(f".side.{side} .answer .chip").count() >= 1
        colours = page.evaluate(
            """side => {
                const canvas = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot
                    .querySelector(`.side.${side} .cells`)
                const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
                return new Set(new Uint32Array(data.buffer)).size
            }""",
            side,
        )
        assert colours > 5


def test_layer_head_opacity_and_colours_are_redrawn_without_the_server(visit):
    open_ranked(visit)
    page = visit.page
    before = len(visit.frames)
    visit.slide(0)
    assert visit.layer == 0
    last = int(page.locator("#layer").get_attribute("max"))
    visit.slide(last)
    assert visit.layer == last
    page.select_option("#head", "1")
    page.select_option("#palette", "Viridis")
    page.select_option("#reach", "layers")
    page.locator("#opacity").fill("30")
    visit.see(layer=last, head=1)
    page.wait_for_timeout(1000)
    assert len(visit.frames) == before


def test_a_word_that_is_clicked_asks_on_both_sides(visit):
    visit.open()
    visit.page.locator(".side.failing .question .chip").nth(1).click()
    visit.see(left="q1", right="q1")
    expect(visit.page.locator(".side.correct .question .chip").nth(1)).to_have_attribute("aria-pressed", "true")
    expect(visit.page.locator("#asks")).to_have_value("q1")


def test_each_word_shows_its_probability_and_the_best_alternatives(visit):
    visit.open()
    visit.page.locator(".side.failing .answer .chip").first.hover()
    expect(visit.page.locator(".tip .alternatives .word")).to_have_count(5)
    expect(visit.page.locator(".tip-head")).to_contain_text("%")


def test_a_heatmap_cell_moves_the_viewer_each_time_it_is_clicked(visit):
    visit.open()
    page = visit.page
    for _ in range(2):
        visit.slide(0)
        visit.see(layer=0)
        cell = page.locator(f'{CELLS}[aria-label*="layer: 1"][aria-label*="head: 0"]')
        cell.click()
        visit.see(layer=1, head=0)
        expect(page.locator("#head")).to_have_value("0")


def test_a_curve_moves_the_viewer_to_the_nearest_layer(visit):
    visit.open()
    visit.slide(0)
    visit.see(layer=0)
    chart = visit.page.locator(".st-key-chart_map_distance svg.marks")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    visit.page.mouse.click(box["x"] + box["width"] - 12, box["y"] + box["height"] / 3)
    visit.see(layer=visit.page.locator("#layer").get_attribute("max"))


def test_the_address_reopens_the_same_view(visit):
    visit.open()
    page = visit.page
    first = re.search(r"pair=([^&]+)", page.url)[1]
    pair = page.get_by_role("combobox", name="Pair")
    pair.click()
    page.get_by_role("option").nth(1).click()
    expect(page).not_to_have_url(re.compile(f"pair={first}(&|$)"))
    visit.wait_until_answered()
    page.locator(".side.correct .answer .chip").first.click()
    visit.see(left="a0")
    visit.slide(1)
    page.select_option("#head", "2")
    visit.see(layer=1, head=2)
    address, shown = page.url, pair.input_value()
    page.reload()
    visit.wait_until_answered()
    assert page.url == address
    assert (visit.layer, page.locator("#head").input_value()) == (1, "2")
    assert pair.input_value() == shown
    expect(page.locator(".side.correct .answer .chip").first).to_have_attribute("aria-pressed", "true")


def test_another_pair_does_not_inherit_the_last_ones_view(visit):
    visit.open("?layer=0&head=1")
    visit.page.locator(".side.correct .question .chip").first.click()
    visit.see(left="q0")
    visit.page.get_by_role("combobox", name="Pair").click()
    visit.page.get_by_role("option").nth(1).click()
    visit.see(left="t", right="t", head="mean")


def test_pointing_at_a_cell_outlines_it_on_both_sides_and_says_its_share(visit):
    visit.open()
    page = visit.page
    page.locator(".side.correct .cells").hover()
    expect(page.locator(".side .outline:visible")).to_have_count(2)
    for side in ("correct", "failing"):
        expect(page.locator(f".side.{side} .readout")).to_have_text(
            re.compile(r"Row \d+, column \d+: .*%.*even spread")
        )


def test_the_keyboard_walks_over_the_cells(visit):
    visit.open()
    page = visit.page
    page.locator(".side.failing .cells").focus()
    page.keyboard.press("ArrowRight")
    readout = page.locator(".side.failing .readout")
    row, column = map(int, re.match(r"Row (\d+), column (\d+)", readout.inner_text()).groups())
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(readout).to_contain_text(f"Row {row - 1}, column {column + 1}:")
    expect(page.locator(".live")).to_contain_text("Correct: Row")
    page.keyboard.press("Escape")
    expect(page.locator(".side .outline:visible")).to_have_count(0)


def test_nonsense_in_the_address_opens_the_page_all_the_same(visit):
    visit.open("?pair=none-such&layer=-9&head=many&left=zz&right=a99&shows=all")
    assert visit.page.get_by_test_id("stException").count() == 0
    assert visit.layer >= 0


def test_a_view_can_be_saved_as_a_picture(visit):
    visit.open()
    with visit.page.expect_download() as download:
        visit.page.locator(".save").click()
    with open(download.value.path(), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_the_share_a_cell_shows_is_the_share_the_model_gave_it(visit):
    pair, layer, head = pairs()[0], 1, 1
    run = load_model("micro").ask(Case(pair.correct, pair.question), target=pair.expected)
    shares = map_stack(run, answer_query(run)).map(layer, head).values
    row, col = map(int, np.unravel_index(shares.argmax(), shares.shape))

    visit.open(f"?pair={pair.id}&layer={layer}&head={head}&left=t&right=t")
    canvas = visit.page.locator(".side.correct .cells")
    box = canvas.bounding_box()
    place = {
        "x": (col + 0.5) * box["width"] / shares.shape[1],
        "y": (row + 0.5) * box["height"] / shares.shape[0],
    }
    canvas.hover(position=place)
    said = visit.page.locator(".side.correct .readout")
    expect(said).to_contain_text(f"Row {row + 1}, column {col + 1}: {percent(float(shares.max()))} ")


def test_the_page_opens_on_what_stands_out_most_and_lists_it_beside_the_noise(visit):
    pair = pairs()[0]
    model, sides = load_model("micro"), (pair.correct, pair.failing)
    correct, failing = (model.ask(Case(one, pair.question), target=pair.expected) for one in sides)
    left, right = true_regions(pair, "correct"), true_regions(pair, "failing")
    noise = noise_floor(correct, regions=left)
    layer, head = compare(correct, failing, left_regions=left, right_regions=right, noise=noise).ranking.top()

    visit.open(f"?pair={pair.id}")
    page = visit.page
    expect(page.locator(".st-key-findings")).to_be_visible(timeout=120_000)
    expect(page.get_by_text(re.compile(r"\d+ of \d+ heads stand above the noise"))).to_be_visible()
    visit.see(layer=layer, head="mean" if head < 0 else head)
    page.get_by_role("combobox", name="Pair").click()
    page.get_by_role("option").nth(1).click()
    expect(page).not_to_have_url(re.compile(f"pair={pair.id}(&|$)"))
    expect(page.locator("#layer")).to_be_enabled(timeout=120_000)
    visit.slide(0)
    page.select_option("#head", "1")
    expect(page.locator(".st-key-findings")).to_be_visible(timeout=120_000)
    visit.wait_until_still()
    visit.see(layer=0, head=1)  # whoever has moved is not moved again


def test_every_layer_and_head_is_shown_small_and_opened_by_a_click_or_the_keys_in_the_browser(visit):
    open_ranked(visit, "?pair=pearl-fog&layer=1&head=mean")
    page = visit.page
    last = int(page.locator("#layer").get_attribute("max"))
    layers, heads = page.locator(".mosaic.layers .tile"), page.locator(".mosaic.heads .tile")
    expect(layers).to_have_count(last + 1)
    expect(heads).to_have_count(page.locator("#head option").count())
    before = len(visit.frames)
    layers.nth(last).click()
    expect(layers.nth(last)).to_have_attribute("aria-checked", "true")
    page.keyboard.press("ArrowLeft")
    visit.see(layer=last - 1)
    heads.nth(2).click()
    visit.see(layer=last - 1, head=1)
    expect(page.locator(".mosaic.layers .mosaic-title")).to_have_text("Every layer, head 1")
    assert len(visit.frames) == before
    page.locator(".mosaic.heads summary").click()
    expect(heads.first).to_be_hidden()
    page.reload()
    visit.wait_until_answered()
    expect(heads.first).to_be_hidden()
    expect(layers.first).to_be_visible()


def test_the_difference_and_how_the_pictures_lie_on_each_other_are_shown_without_the_server(visit):
    open_ranked(visit, "?pair=pearl-fog&layer=3&head=mean")
    page = visit.page
    expect(page.locator(".alignment")).to_have_text("Same frame: cells are compared one to one.")
    before = len(visit.frames)
    page.select_option("#overlay", "difference")
    expect(page.locator(".ticks")).to_contain_text(re.compile(r"failing \+.*%.*0.*correct \+.*%"))
    page.locator(".side.failing .cells").hover()
    for side in ("correct", "failing"):
        expect(page.locator(f".side.{side} .readout")).to_contain_text(re.compile("more in the|the same in both"))
    page.locator(".lay").click()
    page.locator("#swipe-at").focus()
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator(".swipe .border").evaluate("border => border.style.left") == "3%"
    page.keyboard.press("Escape")
    expect(page.locator(".swipe")).to_be_hidden()
    assert len(visit.frames) == before
    page.reload()
    visit.wait_until_answered()
    expect(page.locator("#overlay")).to_have_value("difference")


def test_a_person_may_say_how_the_pictures_lie_on_each_other_and_the_link_says_it_too(visit):
    visit.open("?pair=cat-tilt")
    page = visit.page
    lies = page.locator(".alignment")
    expect(lies).to_have_text(re.compile(r"^Registered: \d+ of \d+ points"))
    page.select_option("#align", label="not at all")
    expect(lies).to_contain_text("because you said so")
    visit.see(align="by+region")
    expect(page.locator("#overlay option").nth(1)).to_be_disabled()
    page.select_option("#align", label="edge on edge")
    expect(lies).to_have_text(re.compile(r"^Same frame: .*Stated by you\.$"))
    visit.see(align="same+frame")
    page.reload()
    visit.wait_until_answered()
    expect(page.locator("#align")).to_have_value("same frame")
    expect(lies).to_contain_text("Stated by you.")
    page.select_option("#align", label="found out")
    expect(lies).to_have_text(re.compile(r"^Registered: "))
    expect(page).not_to_have_url(re.compile("align="))


def test_an_alignment_that_cannot_be_had_says_why_for_as_long_as_it_is_asked_for(visit):
    visit.open("?pair=cat-negative&align=registered")
    page = visit.page
    why = page.get_by_text(re.compile(r"points agree.*What was found out is used instead\."))
    expect(why).to_be_visible()
    expect(page.locator(".alignment")).to_have_text(re.compile("^Same frame"))
    expect(page.get_by_text(re.compile("stand above the noise|Nothing differs beyond"))).to_be_visible(timeout=120_000)
    expect(why).to_be_visible()
    page.select_option("#align", label="found out")
    expect(why).to_have_count(0)


def test_several_words_ask_when_they_are_chosen_by_shift_or_by_a_drag_and_their_number_is_said(visit):
    visit.open("?pair=pearl-fog")
    page = visit.page
    expect(page.locator(".asked")).to_contain_text("the average of 3 tokens on each side")
    words = page.locator(".side.failing .target .chip")
    words.nth(0).hover()
    page.mouse.down()
    words.nth(1).hover()
    page.mouse.up()
    visit.see(left="t0-1", right="t0-1")
    expect(page.locator(".asked")).to_contain_text("the average of 2 tokens on each side")
    page.locator(".side.correct .question .chip").nth(1).click()
    visit.see(left="q1", right="q1")
    page.locator(".side.correct .question .chip").nth(3).click(modifiers=["Shift"])
    visit.see(left="q1-3", right="q1-3")
    page.locator(".side.failing .answer .chip").nth(0).click()
    visit.see(left="q1-3", right="a0")  # “Canton” is not in the other answer
    both = "Asked with “tower is this”, the average of 3 tokens, and “Canton”, one token."
    expect(page.locator(".asked")).to_have_text(both)
    page.select_option("#asks", "t")
    visit.see(left="t", right="t")
    page.select_option("#asks", label="“tower”")
    visit.see(left="q1", right="q1")


def test_another_way_to_count_is_the_same_on_both_sides_and_asks_the_neutral_question_where_it_must(visit):
    visit.open("?pair=pearl-fog&layer=3")
    page = visit.page
    expect(page.locator("#shows option")).to_have_count(5)
    page.select_option("#shows", "ratio")
    page.locator(".side.correct .cells").hover()
    held = re.compile("of the map held against the neutral question")
    for side in ("correct", "failing"):
        expect(page.locator(f".side.{side} .readout")).to_contain_text(held, timeout=120_000)
    visit.see(shows="ratio")
    page.locator("#sinks").check()
    expect(page.locator(".sink-words")).to_contain_text(re.compile("No sinks at layer 3|marks sinks"))
    page.reload()
    visit.wait_until_answered()
    expect(page.locator("#shows")).to_have_value("ratio")


def test_regions_are_outlined_and_their_share_is_told_beside_chance(visit):
    visit.open("?pair=pearl-fog&layer=3&head=mean")
    page = visit.page
    share = page.locator(".region-share").first
    expect(share).to_contain_text(re.compile(r"correct \d.* % \(chance .*failing \d.* % \(chance"))
    said = share.inner_text()
    assert page.locator(".side.correct .marks path[data-name]").count() > 0
    visit.slide(0)
    assert share.inner_text() != said
    page.locator("#regions").uncheck()
    expect(page.locator(".region-shares")).to_be_hidden()
    assert page.locator(".sheet .marks path").count() == 0
