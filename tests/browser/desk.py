"""Hands for the region editor: mouse and fingers in pixels of the picture, and eyes for what the server heard."""

import json
import time

import pytest
from playwright.sync_api import expect


class Desk:
    """A person at the editor: draws in pixels of the picture, and reads what the server heard."""

    def __init__(self, page, address: str) -> None:
        self.page, self.address = page, address

    def open(self) -> None:
        self.page.goto(self.address)
        self.ready()

    def ready(self) -> None:
        expect(self.svg("failing")).to_be_visible(timeout=90_000)
        expect(self.page.locator(".st-key-kept code")).to_be_visible()
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")

    def svg(self, side: str):
        return self.page.locator(f".panel.{side} svg")

    def row(self, side: str, number: int):
        return self.page.locator(f".panel.{side} .row").nth(number)

    def tool(self, name: str) -> None:
        self.page.locator(f"[data-pick={name}]").click()

    def at(self, side: str, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place of the picture is."""
        return tuple(
            self.svg(side).evaluate(
                """(svg, [x, y]) => {
                    const place = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM())
                    return [place.x, place.y]
                }""",
                [x, y],
            )
        )

    def drag(self, side: str, *places: tuple[float, float]) -> None:
        self.svg(side).scroll_into_view_if_needed()
        self.page.mouse.move(*self.at(side, *places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.at(side, *place), steps=4)
        self.page.mouse.up()

    def click(self, side: str, x: float, y: float) -> None:
        self.svg(side).scroll_into_view_if_needed()
        self.page.mouse.click(*self.at(side, x, y))

    def kept(self) -> list[dict]:
        return json.loads(self.page.locator(".st-key-kept code").inner_text())

    def until(self, met, seconds: float = 30) -> list[dict]:
        """Wait until the server has heard something; what it then holds."""
        end = time.monotonic() + seconds
        while True:
            kept = self.kept()
            try:
                if met(kept):
                    return kept
            except (IndexError, KeyError):
                pass
            assert time.monotonic() < end, f"The server did not hear of it; it holds {json.dumps(kept)[:2000]}"
            time.sleep(0.1)

    def shape(self, side: int, region: int, number: int, met=lambda shape: True) -> dict:
        """A shape as the server has it, once it is there and as it should be."""
        kept = self.until(lambda kept: met(kept[side]["regions"][region]["shapes"][number]))
        return kept[side]["regions"][region]["shapes"][number]


def close_to(*values):
    return pytest.approx(values, abs=1.6)  # a pixel of the screen, in pixels of the picture


def touch(desk, side, *moments):
    """Fingers on the picture: each moment gives where they are, as it is seen at first; at the end all are lifted."""
    fingers = desk.page.context.new_cdp_session(desk.page)
    screen = [[desk.at(side, *place) for place in places] for places in moments]
    for number, places in enumerate(screen):
        at = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
        fingers.send("Input.dispatchTouchEvent", {"type": "touchMove" if number else "touchStart", "touchPoints": at})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
