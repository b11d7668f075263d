"""What people do is kept: for another window, for after a restart; and two who draw at once lose nothing."""

import re
import time

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from qwenvl_debug.settings import Settings
from qwenvl_debug.store import Store, drawing_of, open_store
from tests.browser import drawn
from tests.browser.conftest import Visit, serve
from tests.browser.desk import Desk, close_to
from tests.browser.test_own_pictures import png

pytestmark = pytest.mark.browser
EDITOR = "tests/browser/editor_app.py"


def new_desk(browser, address: str) -> Desk:
    """A window of another browser: it shares nothing with others but the app."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_navigation_timeout(90_000)
    desk = Desk(context.new_page(), address)
    desk.open()
    return desk


def meanwhile(desk: Desk):
    return desk.page.locator(".meanwhile p")


def rectangle(desk: Desk) -> dict:
    return desk.kept()[1]["regions"][0]["shapes"][0]


def move_while(desk: Desk, other_does) -> None:
    """Drag the rectangle on the failing picture by 30 pixels; before it is let go, someone else does something."""
    desk.tool("select")
    x, y = rectangle(desk)["x"] + 20, rectangle(desk)["y"] + 20
    desk.page.mouse.move(*desk.at("failing", x, y))
    desk.page.mouse.down()
    desk.page.mouse.move(*desk.at("failing", x + 30, y), steps=4)
    other_does()
    desk.page.mouse.up()


def make_narrower(desk: Desk) -> None:
    """Change the rectangle by its number field, and wait until another program would find that in the store."""
    desk.row("failing", 0).locator(".members button").first.click()
    field = desk.page.get_by_label("width", exact=True)
    field.fill("50.5")
    field.press("Enter")
    desk.shape(1, 0, 0, lambda one: one["width"] == 50.5)


def remove(desk: Desk) -> None:
    """Delete the region, and wait until another program would find it gone."""
    desk.row("failing", 0).locator(".remove").click()
    desk.until(lambda kept: kept[1]["regions"] == [])


def test_two_who_draw_on_one_picture_see_each_other_and_whoever_is_later_is_asked(browser, tmp_path):
    with serve(EDITOR, tmp_path) as address:
        one, other = new_desk(browser, address), new_desk(browser, address)
        one.tool("rectangle")
        one.drag("failing", (40, 60), (140, 160))
        made = one.shape(1, 0, 0)
        assert other.shape(1, 0, 0) == made

        move_while(other, lambda: make_narrower(one))
        expect(meanwhile(other)).to_contain_text("Someone changed “region 1” on the failing picture meanwhile.")
        assert float(other.page.locator(".theirs").get_attribute("width")) == 50.5
        assert rectangle(one)["width"] == 50.5  # the first is kept …
        assert (rectangle(other)["x"], rectangle(other)["width"]) == close_to(70, 100)  # … and the later is not lost
        other.page.reload()
        other.ready()
        expect(meanwhile(other)).to_be_visible()
        other.page.get_by_role("button", name="Keep mine").click()
        expect(meanwhile(other)).to_have_count(0)
        one.shape(1, 0, 0, lambda shape: shape["x"] > 60 and shape["width"] > 90)

        move_while(other, lambda: make_narrower(one))
        other.page.get_by_role("button", name="Take theirs").click()
        other.shape(1, 0, 0, lambda shape: shape["width"] == 50.5)
        other.page.locator(".undo").click()
        one.shape(1, 0, 0, lambda shape: shape["x"] > 90 and shape["width"] > 90)

        move_while(other, lambda: remove(one))
        expect(meanwhile(other)).to_contain_text("Someone deleted “region 1” on the failing picture meanwhile.")
        other.page.get_by_role("button", name="Keep mine").click()
        one.shape(1, 0, 0, lambda shape: shape["x"] > 120)
        for desk in (one, other):
            desk.page.context.close()


def test_drawings_are_there_after_the_app_was_started_again_in_the_same_window_and_in_a_new_one(browser, tmp_path):
    with serve(EDITOR, tmp_path) as address:
        one = new_desk(browser, address)
        one.tool("ellipse")
        one.drag("failing", (40, 60), (140, 160))
        made = one.shape(1, 0, 0)
        one.row("correct", 0).locator(".remove").click()
        one.until(lambda kept: kept[0]["regions"] == [])
    store = open_store(Settings(tmp_path))
    (found,) = drawing_of(store, drawn.picture(1).sha256).regions
    assert (found.region.name, found.region.shapes[0].cx) == ("region 1", made["cx"])
    store.close()
    with serve(EDITOR, tmp_path, port=int(address.rsplit(":", 1)[1])):
        one.page.reload()
        one.ready()
        other = new_desk(browser, address)
        for desk in (one, other):
            assert desk.shape(1, 0, 0) == made
            assert desk.kept()[0]["regions"] == []
            expect(desk.page.locator(".panel.failing .row")).to_have_count(1)
            expect(desk.page.locator(".panel.correct .row")).to_have_count(0)
            desk.page.context.close()


def test_a_stroke_that_the_store_cannot_take_stays_in_the_browser_until_it_can(browser, tmp_path):
    with serve(EDITOR, tmp_path) as address:
        one = new_desk(browser, address)
        files = next((tmp_path / "files").iterdir())
        moved = files.rename(tmp_path / "moved")
        files.write_text("")  # nothing can be written here, not even by root
        one.tool("rectangle")
        one.drag("failing", (40, 60), (140, 160))
        made = one.shape(1, 0, 0)
        expect(one.page.get_by_text("Your drawing stays in this browser until then.")).to_be_visible()
        one.page.reload()
        one.ready()
        assert one.shape(1, 0, 0, lambda shape: shape == made)
        files.unlink()
        moved.rename(files)
        other = new_desk(browser, address)
        assert other.shape(1, 0, 0) == made  # it is sent again until it is kept
        for desk in (one, other):
            desk.page.context.close()


def test_a_question_that_was_asked_before_is_answered_from_the_store_and_can_be_asked_again(browser, tmp_path):
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, timezone_id="Asia/Shanghai")
    visit = Visit(context.new_page(), "")
    page = visit.page
    stored = page.get_by_text(re.compile(r"^Answered on \d+ [A-Z][a-z]{2}, \d\d:\d\d"))
    with serve(data=tmp_path) as visit.address:
        page.goto(f"{visit.address}/?pair=own")
        files = page.locator("input[type=file]")
        expect(files).to_have_count(2)
        for place, one in enumerate(
            (png("round.png", (40, 40, 200), 480, 320), png("tall.png", (200, 90, 30), 300, 420))
        ):
            files.nth(place).set_input_files(one)
            expect(page.get_by_role("button", name=f"Remove {one['name']}")).to_be_visible()
            visit.wait_until_still()
        page.get_by_label("Question", exact=True).fill("What colour is the circle?")
        page.keyboard.press("Tab")
        visit.wait_until_still()
        page.get_by_role("button", name="Ask both").click()
        visit.wait_until_answered()
        expect(stored).to_have_count(0)
        address = page.url
        expect(page.locator(".side .answer .chip")).not_to_have_count(0)
        answers = page.locator(".side .answer").all_inner_texts()
    with serve(data=tmp_path, port=int(visit.address.rsplit(":", 1)[1])):
        page.goto(address)
        visit.wait_until_answered()
        expect(stored).to_be_visible()
        expect(page.locator(".side .answer")).to_have_text(answers, use_inner_text=True)
        page.get_by_role("button", name="Ask again").click()
        expect(stored).to_have_count(0)
        expect(page.get_by_label("Question", exact=True)).to_have_value("What colour is the circle?")
        store = open_store(Settings(tmp_path))
        end = time.monotonic() + 120
        while rows_in(store, "runs") < 4:
            assert time.monotonic() < end, "The fresh runs were not kept beside the stored ones."
            page.wait_for_timeout(300)
        visit.wait_until_answered()
        expect(page.locator(".side .answer")).to_have_text(answers, use_inner_text=True)
        assert (rows_in(store, "runs"), rows_in(store, "cases")) == (4, 2)
        store.close()
        context.close()


def rows_in(store: Store, table: str) -> int:
    with store.reading() as session:
        return session.scalar(text(f"SELECT count(*) FROM {table}"))
