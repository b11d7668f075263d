"""Regions are drawn in a real browser: by hand, by keyboard and by numbers; what arrives is what was drawn."""

import numpy as np
import pytest
from playwright.sync_api import expect

from qwenvl_debug.regions import Mask, Region, carry, region_mask, score_maps
from qwenvl_debug.regions.record import from_record, to_record
from qwenvl_debug.regions.score import covers_of
from qwenvl_debug.report.text import percent
from tests.browser import drawn
from tests.browser.conftest import Visit, forget_drawings, serve
from tests.browser.desk import Desk, close_to, touch

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app():
    with serve("tests/browser/editor_app.py") as where:
        yield where


@pytest.fixture(scope="module")
def window(browser):
    """One browser window for all tests here: what it has loaded once, it need not load again."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_navigation_timeout(90_000)
    yield context
    context.close()


@pytest.fixture
def desk(window, app):
    """A new session in a browser that remembers no drawing."""
    forget_drawings(app)
    visit = Visit(window.new_page(), app)
    visit.page.goto(f"{app}/_stcore/health")
    visit.page.evaluate("window.localStorage.clear()")
    desk = Desk(visit.page, app)
    desk.open()
    yield desk
    for page in window.pages:
        page.close()
    assert visit.errors == []
    assert visit.outside == []


def test_a_rectangle_drawn_with_the_mouse_is_where_the_mouse_was(desk):
    desk.tool("rectangle")
    desk.drag("correct", (100, 60), (260, 200))
    shape = desk.shape(0, 1, 0)
    assert shape["kind"] == "rectangle"
    assert (shape["x"], shape["y"], shape["width"], shape["height"]) == close_to(100, 60, 160, 140)


def test_an_ellipse_drawn_while_zoomed_is_where_the_mouse_was(desk):
    desk.svg("failing").focus()
    for _ in range(3):
        desk.page.keyboard.press("+")
    left, top, wide, _ = map(float, desk.svg("failing").get_attribute("viewBox").split())
    assert wide < 320 / 3
    desk.tool("ellipse")
    desk.drag("failing", (left + 10, top + 20), (left + 60, top + 90))
    shape = desk.shape(1, 0, 0)
    assert (shape["cx"], shape["cy"], shape["rx"], shape["ry"]) == close_to(left + 35, top + 55, 25, 35)


def test_the_wheel_zooms_at_the_pointer(desk):
    before = desk.at("correct", 500, 100)
    desk.page.mouse.move(*before)
    desk.page.keyboard.down("Control")
    desk.page.mouse.wheel(0, -100)
    desk.page.keyboard.up("Control")
    expect(desk.svg("correct")).not_to_have_attribute("viewBox", "0 0 640 480")
    assert desk.at("correct", 500, 100) == pytest.approx(before, abs=1.5)


def test_a_polygon_is_clicked_corner_by_corner_and_closed_by_enter(desk):
    corners = [(100, 300), (220, 320), (160, 420), (90, 400)]
    desk.tool("polygon")
    for corner in corners:
        desk.click("correct", *corner)
    desk.page.keyboard.press("Enter")
    shape = desk.shape(0, 1, 0)
    np.testing.assert_allclose(shape["points"], corners, atol=1.6)


def test_the_eraser_takes_away_what_the_brush_painted(desk):
    desk.tool("brush")
    desk.page.locator(".size").fill("40")
    desk.drag("correct", (100, 100), (300, 100))
    desk.shape(0, 1, 0)
    desk.tool("eraser")
    desk.drag("correct", (200, 40), (200, 160))
    kept = desk.until(lambda kept: len(kept[0]["regions"][1]["shapes"]) == 2)
    mask = region_mask(from_record(kept[0]["regions"][1]), drawn.SIZES[0])
    assert mask[100, 120]
    assert mask[100, 280]
    assert not mask[100, 200]
    assert mask[:, 110].sum() == pytest.approx(40, abs=2)


def test_keyboard_and_number_fields_alone_make_and_change_shapes(desk):
    page = desk.page
    desk.svg("failing").focus()
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    assert desk.shape(1, 0, 0) == {"kind": "rectangle", "x": 120, "y": 180, "width": 80, "height": 120}
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    desk.shape(1, 0, 0, lambda one: (one["x"], one["height"]) == (121, 121))
    field = page.get_by_label("width", exact=True)
    field.fill("33.25")
    field.press("Enter")
    desk.shape(1, 0, 0, lambda one: one["width"] == 33.25)

    desk.svg("failing").focus()
    page.keyboard.press("e")
    for label, value in (
        ("centre x", "50.5"),
        ("centre y", "60"),
        ("radius x", "20"),
        ("radius y", "10.125"),
        ("turn °", "30"),
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Add", exact=True).click()
    made = {"kind": "ellipse", "cx": 50.5, "cy": 60, "rx": 20, "ry": 10.125, "turn": 30}
    assert desk.shape(1, 0, 1) == made

    desk.svg("failing").focus()
    page.keyboard.press("n")
    page.keyboard.press("p")
    for keys in (["Space"], ["Shift+ArrowRight", "Space"], ["Shift+ArrowDown", "Space"], ["Enter"]):
        for key in keys:
            page.keyboard.press(key)
    assert desk.shape(1, 1, 0) == {"kind": "polygon", "points": [[160, 240], [170, 240], [170, 250]]}


def test_shapes_are_moved_resized_and_bent_with_the_mouse(desk):
    desk.tool("rectangle")
    desk.drag("correct", (100, 60), (200, 160))
    desk.shape(0, 1, 0)
    desk.tool("select")
    desk.drag("correct", (150, 110), (180, 130))
    moved = desk.shape(0, 1, 0, lambda one: one["x"] > 120)
    assert (moved["x"], moved["y"], moved["width"]) == close_to(130, 80, 100)
    desk.drag("correct", (230, 180), (260, 220))
    wider = desk.shape(0, 1, 0, lambda one: one["width"] > 110)
    assert (wider["x"], wider["y"], wider["width"], wider["height"]) == close_to(130, 80, 130, 140)

    desk.tool("polygon")
    for corner in ((300, 60), (400, 60), (350, 160)):
        desk.click("correct", *corner)
    desk.page.keyboard.press("Enter")
    desk.shape(0, 1, 1)
    desk.tool("select")
    desk.click("correct", 350, 80)
    desk.drag("correct", (350, 60), (350, 30))
    bent = desk.shape(0, 1, 1, lambda one: len(one["points"]) == 4)
    np.testing.assert_allclose(bent["points"][1], (350, 30), atol=1.6)


def test_undo_and_redo_go_through_every_change(desk):
    page = desk.page
    desk.tool("rectangle")
    desk.drag("correct", (100, 60), (200, 160))
    first = desk.shape(0, 1, 0)
    page.keyboard.press("ArrowRight")
    desk.shape(0, 1, 0, lambda one: one["x"] > first["x"])
    page.keyboard.press("Control+z")
    desk.shape(0, 1, 0, lambda one: one == first)
    page.keyboard.press("Control+z")
    desk.until(lambda kept: len(kept[0]["regions"]) == 1)
    page.keyboard.press("Control+Shift+z")
    desk.shape(0, 1, 0, lambda one: one == first)
    desk.row("correct", 1).locator(".members button").click()
    page.keyboard.press("Delete")
    desk.until(lambda kept: len(kept[0]["regions"]) == 1)


def test_name_expectation_and_colour_belong_to_the_region(desk):
    row = desk.row("correct", 0)
    row.locator(".region-name").fill("窗 window")
    row.locator(".region-name").press("Enter")
    row.locator(".expect").select_option("avoid")
    row.locator(".colour").fill("#112233")
    kept = desk.until(lambda kept: kept[0]["regions"][0]["colour"] == "#112233")
    assert (kept[0]["regions"][0]["name"], kept[0]["regions"][0]["expect"]) == ("窗 window", "avoid")
    row.locator(".region-name").fill("  ")
    row.locator(".region-name").press("Enter")
    expect(desk.page.locator(".live")).to_have_text("A region needs a name.")
    expect(row.locator(".region-name")).to_have_value("窗 window")


def test_drawings_survive_another_page_a_reload_and_reach_a_second_window(desk):
    desk.tool("rectangle")
    desk.drag("correct", (100, 60), (200, 160))
    made = desk.shape(0, 1, 0)
    desk.page.get_by_role("link", name="Other").click()
    expect(desk.page.get_by_role("heading", name="Elsewhere")).to_be_visible()
    desk.page.get_by_role("link", name="Draw").click()
    desk.ready()
    assert desk.shape(0, 1, 0) == made
    expect(desk.page.locator(".panel.correct .row")).to_have_count(2)
    desk.page.reload()
    desk.ready()
    assert desk.shape(0, 1, 0, lambda one: one == made) == made

    other = Desk(desk.page.context.new_page(), desk.address)
    other.open()
    assert other.shape(0, 1, 0) == made
    other.svg("correct").focus()
    other.page.keyboard.press("e")
    other.page.keyboard.press("Enter")
    other.shape(0, 2, 0)
    assert desk.shape(0, 2, 0)["kind"] == "ellipse"


def test_no_two_regions_of_a_picture_get_one_name_by_typing_by_copying_or_by_undoing(desk):
    def names(side):
        return [region["name"] for region in desk.kept()[side]["regions"]]

    desk.tool("rectangle")
    desk.drag("correct", (100, 60), (260, 200))
    desk.shape(0, 1, 0)
    field = desk.row("correct", 1).locator(".region-name")
    field.fill("  stamp ")
    field.press("Enter")
    desk.until(lambda _: names(0) == ["stamp", "stamp 2"])
    desk.page.locator(".panel.correct .copy").click()
    desk.page.locator(".panel.correct .copy").click()
    desk.until(lambda _: sorted(names(1)) == ["stamp", "stamp 2"])

    desk.row("correct", 0).locator(".remove").click()
    desk.until(lambda _: names(0) == ["stamp 2"])
    other = Desk(desk.page.context.new_page(), desk.address)
    other.open()
    field = other.row("correct", 0).locator(".region-name")
    field.fill("stamp")
    field.press("Enter")
    desk.until(lambda _: names(0) == ["stamp"])  # someone else has given the name that was free
    desk.page.locator(".undo").click()
    desk.until(lambda _: sorted(names(0)) == ["stamp", "stamp 2"])
    other.until(lambda kept: sorted(one["name"] for one in kept[0]["regions"]) == ["stamp", "stamp 2"])


def test_everything_is_copied_to_where_the_alignment_carries_it_and_undo_takes_it_back(desk):
    """Two wave pictures of two sizes that have too little in common to be aligned: scaled by size, and that is said."""
    desk.tool("ellipse")
    desk.drag("correct", (100, 60), (200, 160))
    desk.shape(0, 1, 0)
    desk.page.locator(".panel.correct .copy").click()
    kept = desk.until(lambda kept: len(kept[1]["regions"]) == 2)
    here, there = ([from_record(one) for one in side["regions"]] for side in kept)
    for source, copy in zip(here, there, strict=True):
        assert copy == carry(source, None, drawn.SIZES[0], drawn.SIZES[1]).region
    expect(desk.page.locator(".live")).to_contain_text("2 regions copied to the failing picture: scaled by size")
    desk.page.locator(".undo").click()
    desk.until(lambda kept: len(kept[1]["regions"]) == 0)


def test_a_mask_that_comes_with_a_picture_is_kept_pixel_by_pixel_and_can_be_deleted(desk):
    stamp = to_record(Region("stamp", (Mask(drawn.stamp()),)))["shapes"]
    assert desk.kept()[0]["regions"][0]["shapes"] == stamp
    desk.tool("select")
    desk.click("correct", 450, 330)
    expect(desk.page.locator(".what")).to_contain_text("Mask on the correct picture")
    desk.page.keyboard.press("Delete")
    desk.until(lambda kept: kept[0]["regions"] == [])


def test_what_the_server_draws_appears_and_can_be_undone(desk):
    desk.tool("rectangle")
    desk.drag("failing", (40, 60), (140, 160))
    desk.shape(1, 0, 0)
    desk.page.get_by_role("button", name="The server draws").click()
    expect(desk.row("failing", 0).locator(".region-name")).to_have_value("from server")
    desk.page.locator(".undo").click()
    expect(desk.row("failing", 0).locator(".region-name")).to_have_value("region 1")
    desk.until(lambda kept: kept[1]["regions"][0]["name"] == "region 1")


def test_the_numbers_on_the_page_are_those_of_python_for_the_same_region(desk):
    desk.tool("ellipse")
    desk.drag("correct", (100, 60), (330, 260))
    kept = desk.until(lambda kept: len(kept[0]["regions"]) == 2)
    region = from_record(kept[0]["regions"][1])
    stack = drawn.stack(0)
    cover = covers_of([region], drawn.SIZES[0], (12, 16))
    scores = {name: float(one[0, 0]) for name, one in score_maps(stack.values[1, 1].reshape(1, -1), cover).items()}
    cell = desk.page.locator(f'.score-card[data-region="{region.name}"] td[data-side=correct]')
    expect(cell.and_(desk.page.locator("[data-measure=mass]"))).to_contain_text(
        f"{percent(scores['mass'])} chance {percent(scores['chance'])}"
    )
    for name in ("auc", "rank_accuracy", "nss", "iou"):
        expect(cell.and_(desk.page.locator(f"[data-measure={name}]"))).to_have_text(f"{scores[name]:.2f}")
    empty = desk.page.locator(f'.score-card[data-region="{region.name}"] td[data-side=failing][data-measure=mass]')
    expect(empty).to_have_text("not drawn")


def test_a_finger_and_a_pen_draw_and_two_fingers_zoom_and_move_the_picture(desk):
    desk.svg("correct").scroll_into_view_if_needed()
    desk.tool("rectangle")
    touch(desk, "correct", [(100, 60)], [(180, 150)], [(260, 200)])
    shape = desk.shape(0, 1, 0)
    assert (shape["x"], shape["y"], shape["width"], shape["height"]) == close_to(100, 60, 160, 140)

    desk.tool("brush")
    pen = desk.page.context.new_cdp_session(desk.page)
    for kind, place in (("mousePressed", (100, 300)), ("mouseMoved", (160, 320)), ("mouseReleased", (220, 300))):
        x, y = desk.at("correct", *place)
        held = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        pen.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "pointerType": "pen", "force": 0.5, **held})
    stroke = desk.shape(0, 1, 1)
    assert stroke["kind"] == "brush"
    np.testing.assert_allclose(stroke["points"][0], (100, 300), atol=1.6)

    before, held = desk.kept(), desk.at("correct", 320, 240)
    touch(desk, "correct", [(300, 240), (340, 240)], [(280, 240), (360, 240)], [(240, 240), (400, 240)])
    view = [float(part) for part in desk.svg("correct").get_attribute("viewBox").split()]
    assert view[2] == pytest.approx(160, abs=2)  # four times as near
    assert desk.at("correct", 320, 240) == pytest.approx(held, abs=2)
    touch(desk, "correct", [(310, 240), (330, 240)], [(300, 230), (320, 230)])
    moved = [float(part) for part in desk.svg("correct").get_attribute("viewBox").split()]
    assert (moved[0] - view[0], moved[1] - view[1]) == pytest.approx((10, 10), abs=1)
    assert desk.kept() == before, "zooming with fingers draws nothing"


def test_a_rough_box_snaps_to_the_object_only_when_that_is_accepted(desk):
    page, true = desk.page, drawn.disc()
    desk.tool("rectangle")
    desk.drag("failing", (30, 320), (190, 470))
    box = desk.shape(1, 0, 0)
    page.keyboard.press("s")
    expect(page.locator(".accept")).to_be_visible()
    expect(page.locator(".panel.failing .found-outline")).to_be_visible()
    assert desk.kept()[1]["regions"][0]["shapes"] == [box]
    page.keyboard.press("Escape")
    expect(page.locator(".offer")).to_be_hidden()
    assert desk.kept()[1]["regions"][0]["shapes"] == [box]

    page.get_by_role("button", name="Snap to the object").click()
    expect(page.locator(".accept")).to_be_focused()
    page.keyboard.press("Enter")
    found = desk.shape(1, 0, 0, lambda one: one["kind"] == "mask")
    mask = region_mask(from_record({"version": 1, "name": "x", "shapes": [found]}), drawn.SIZES[1])
    assert (mask & true).sum() / (mask | true).sum() > 0.95
    page.locator(".undo").click()
    assert desk.shape(1, 0, 0, lambda one: one["kind"] == "rectangle") == box
