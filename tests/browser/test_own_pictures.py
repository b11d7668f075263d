"""Two pictures of one's own: what is wrong is said in one sentence, what is typed stays, a reload finds it again."""

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def png(name: str, colour: tuple[int, int, int], width: int, height: int) -> dict:
    picture = np.full((height, width, 3), 235, np.uint8)
    cv2.circle(picture, (width // 3, height // 2), height // 5, colour, -1, cv2.LINE_AA)
    return {"name": name, "mimeType": "image/png", "buffer": cv2.imencode(".png", picture)[1].tobytes()}


def test_own_pictures_are_asked_about_and_found_again(visit):
    visit.page.goto(f"{visit.address}/?pair=own")
    page = visit.page
    files = page.locator("input[type=file]")
    expect(files).to_have_count(2)
    files.nth(0).set_input_files(png("round.png", (40, 40, 200), 480, 320))
    expect(page.get_by_role("button", name="Remove round.png")).to_be_visible()
    visit.wait_until_still()
    page.get_by_label("Question", exact=True).fill("What colour is the circle?")
    page.keyboard.press("Tab")
    visit.wait_until_still()
    files.nth(1).set_input_files({"name": "notes.png", "mimeType": "image/png", "buffer": b"not a picture"})
    expect(page.get_by_text("“notes.png” is not a picture")).to_be_visible()
    expect(page.get_by_text("Still needed: the failing picture.")).to_be_visible()
    expect(page.get_by_label("Question", exact=True)).to_have_value("What colour is the circle?")

    page.get_by_role("button", name="Remove notes.png").click()
    visit.wait_until_still()
    files.nth(1).set_input_files(png("tall.png", (200, 90, 30), 300, 420))
    page.get_by_role("button", name="Ask both").click()
    visit.wait_until_answered()
    visit.see(pair="own")
    sides = page.locator(".side .question .chips").all_inner_texts()
    assert ["".join(text.split()) for text in sides] == ["Whatcolouristhecircle?"] * 2

    address = page.url
    page.reload()
    visit.wait_until_answered()
    assert page.url == address


def test_an_unknown_model_is_said_in_one_sentence_and_the_pair_stays(visit):
    visit.open()
    page = visit.page
    pair = page.get_by_role("combobox", name="Pair").input_value()
    model = page.get_by_role("combobox", name="Model")
    model.click()
    model.fill("/no/such/folder")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").first).to_contain_text("/no/such/folder")
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_role("combobox", name="Pair").input_value() == pair
