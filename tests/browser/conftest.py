"""A running app and a real Chromium. A missing browser fails these tests: what nobody saw is not known to work."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import text

from qwenvl_debug.settings import Settings
from qwenvl_debug.store import open_store

ROOT = Path(__file__).parents[2]
STARTING = 90
"""Seconds the app may take to start, on a slow machine with cold caches."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
expect.set_options(timeout=30_000)


def chromium() -> str | None:
    """The browser: QWENVL_DEBUG_CHROMIUM, else one on the PATH, else None for Playwright's own."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return os.environ.get("QWENVL_DEBUG_CHROMIUM") or next((path for path in found if path), None)


@contextmanager
def serve(script: str = "streamlit_app.py", data: Path | None = None, port: int | None = None):
    """The app, or another script, on a free port of localhost; its address.

    Args:
        script: what is run.
        data: the folder in which it keeps things; by default a new one that goes with the app.
        port: where it listens, to stand in for an app that has ended.
    """
    if data is None:
        with tempfile.TemporaryDirectory(prefix="qwenvl-debug-data-") as folder:
            with serve(script, Path(folder), port) as address:
                DATA[address] = Path(folder)
                yield address
            return
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", script]
    options = ["--server.headless", "true", "--server.address", "localhost", "--server.port", str(port)]
    environment = os.environ | {"QWENVL_DEBUG_DATA": str(data)}
    app = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
    address = f"http://localhost:{port}"
    try:
        until = time.monotonic() + STARTING
        while not healthy(address):
            assert app.poll() is None, "The app ended while starting."
            assert time.monotonic() < until, f"The app did not start within {STARTING} seconds."
            time.sleep(0.2)
        yield address
    finally:
        app.terminate()
        app.wait(timeout=20)


DATA: dict[str, Path] = {}
"""The folders of the apps that run, by their addresses."""


def forget_drawings(address: str) -> None:
    """Take all drawings out of an app's store, so that the next test finds its pictures as they come."""
    if not (DATA[address] / "store.sqlite3").exists():
        return
    store = open_store(Settings(DATA[address]))
    with store.writing() as session:
        for table in ("regions", "drawings"):
            session.execute(text(f"DELETE FROM {table}"))
    store.close()


def healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def address():
    with serve() as where:
        yield where


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield running
        running.close()


class Visit:
    """A browser page on the app, with what went over its wires: frames sent, hosts asked, errors logged."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.frames, self.outside, self.errors = [], [], []
        page.on("websocket", lambda socket: socket.on("framesent", lambda frame: self.frames.append(frame)))
        page.on("request", self._note_request)
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note_request(self, request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.outside.append(request.url)

    def open(self, query: str = "") -> None:
        self.page.goto(f"{self.address}/{query}")
        self.wait_until_answered()

    def wait_until_answered(self) -> None:
        expect(self.page.locator(".layer-value")).to_have_text(re.compile(r"\d+ of \d+"), timeout=240_000)
        self.wait_until_still()

    def wait_until_still(self) -> None:
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")

    def see(self, **parts) -> None:
        """Wait until the address holds these parts."""
        for name, value in parts.items():
            expect(self.page).to_have_url(re.compile(rf"[?&]{name}={re.escape(str(value))}(&|$)"))

    @property
    def layer(self) -> int:
        return int(self.page.locator("#layer").input_value())

    def slide(self, layer: int) -> None:
        """Drag the layer slider with the mouse."""
        slider = self.page.locator("#layer")
        slider.scroll_into_view_if_needed()
        box, last, thumb = slider.bounding_box(), int(slider.get_attribute("max")), 16

        def place(value: int) -> float:
            return box["x"] + thumb / 2 + (box["width"] - thumb) * value / last

        middle = box["y"] + box["height"] / 2
        self.page.mouse.move(place(self.layer), middle)
        self.page.mouse.down()
        self.page.mouse.move(place(layer), middle, steps=8)
        self.page.mouse.up()


@pytest.fixture
def visit(browser, address):
    """A visit that must end without an error in the console and without a request to any other host."""
    forget_drawings(address)
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    visit = Visit(context.new_page(), address)
    yield visit
    context.close()
    assert visit.errors == []
    assert visit.outside == []
