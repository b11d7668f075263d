"""How fast is the Compare page on a pair as large as a real model's? `python -m benchmarks.bench_page`, by hand.

Prints how long the server takes for each thing it does, and how long a real Chromium takes to open and redraw.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import statistics
import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, sync_playwright

from benchmarks import large_pair
from qwenvl_debug.maps import find_sinks
from qwenvl_debug.ui import compare_view, extras, viewer_data
from tests.browser.conftest import FLAGS, chromium, serve

SHOWN = """() => document.querySelector('[data-testid=stBidiComponentIsolated]')?.shadowRoot
    ?.querySelector('.viewer')?.dataset.shown ?? ''"""
STEP = """([id, value]) => {
    const root = document.querySelector('[data-testid=stBidiComponentIsolated]').shadowRoot
    const input = root.querySelector('#' + id)
    const began = performance.now()
    input.value = value
    input.dispatchEvent(new Event(input.tagName === 'SELECT' ? 'change' : 'input', { bubbles: true }))
    root.querySelector('.bar').getBoundingClientRect()
    return performance.now() - began
}"""


def timed(words: str, do: Callable[[], Any], times: int = 1) -> Any:
    """Do something, print how long it took (the median of several times), and return what it made."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        made = do()
        took.append(time.perf_counter() - began)
    print(f"{words:<58} {statistics.median(took) * 1000:8.0f} ms")
    return made


def server() -> None:
    """What the server does for the page, one by one."""
    choice = large_pair.pair()
    answers = large_pair.answered(choice)
    query = {"left": "t", "right": "t", "shows": "picture", "align": ""}
    shown = choice.correct.pictures[0], choice.failing.pictures[0]

    def compared(**other: str) -> Any:
        alignment, _ = compare_view._alignment(*shown, "")
        return compare_view._compared({**query, **other}, 0, None, alignment, answers)

    comparison, maps = timed("first comparison, alignment and maps", compared)
    timed(
        "the same with other words",
        lambda: compared(left="q1", right="q1"),
    )
    timed(
        "the same words, sinks left out",
        lambda: compared(shows="no_sinks"),
    )
    timed("sinks of one side", lambda: find_sinks(answers.forced[1]))
    seed = {"id": "0", "layer": 0, "head": -1}
    data = timed(
        "laying out what is sent",
        lambda: viewer_data.answered(
            choice, answers, comparison, maps, query, wanted="picture", seed=seed, place={}, identity="0"
        ),
        3,
    )
    pictures = choice.correct.pictures[0], choice.failing.pictures[0]
    timed("what is known beside the maps", lambda: extras.extras_data("0", comparison, pictures, None), 3)
    text = timed("as JSON", lambda: json.dumps(data), 3)
    cells = sum(len(base64.b64decode(side["maps"]["cells"])) for side in data["sides"])
    print(f"sent: {len(text) / 1e6:.1f} MB, of which {cells / 1e6:.1f} MB are cells before base64")


def browser(page: Page, address: str) -> None:
    """What a person waits for in the browser."""

    def until_shown(other_than: str) -> str:
        page.wait_for_function(
            f"before => {{ const now = ({SHOWN})(); return now && now.split(' ')[0] !== before }}", arg=other_than
        )
        return page.evaluate(SHOWN)

    for words in ("opening the page while the pair itself is being made", "opening the page, answers kept"):
        began = time.perf_counter()
        page.goto(address)
        until_shown("")
        print(f"{words:<58} {(time.perf_counter() - began) * 1000:8.0f} ms")
    ranked = page.get_by_text(re.compile("stand above the noise|Nothing differs beyond"))
    ranked.wait_for(timeout=120_000)
    page.wait_for_timeout(1500)
    for words, name, values in (
        ("layer slider", "layer", [str(n) for n in range(1, 30)]),
        ("head", "head", ["3", "17", "-1", "8", "30"]),
        ("difference", "overlay", ["difference", "own"] * 3),
        ("layer slider, difference", "overlay", ["difference"]),
        ("layer slider, difference", "layer", [str(n) for n in range(1, 30)]),
        ("scale without spikes", "reach", ["calm"]),
        ("layer slider, difference, without spikes", "layer", [str(n) for n in range(1, 30)]),
        ("scale of all layers", "reach", ["layers"]),
        ("layer slider, difference, all layers", "layer", [str(n) for n in range(1, 30)]),
        ("opacity", "opacity", ["20", "40", "60", "80"]),
    ):
        took = [page.evaluate(STEP, [name, value]) for value in values]
        print(f"redraw: {words:<50} {statistics.median(took):8.1f} ms, at most {max(took):.1f}")
    for words, name, value in (
        ("asking with the question", "asks", "q"),
        ("another normalisation", "shows", "row"),
        ("back again", "shows", "picture"),
    ):
        before = page.evaluate(SHOWN).split(" ")[0]
        began = time.perf_counter()
        page.evaluate(STEP, [name, value])
        until_shown(before)
        print(f"{words + ', until it is drawn':<58} {(time.perf_counter() - began) * 1000:8.0f} ms")


def main() -> None:
    """Print all figures, or with --server only those that need no browser."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", action="store_true", help="only what the server does")
    only_server = parser.parse_args().server
    server()
    if only_server:
        return
    with serve("benchmarks/large_pair.py") as address, sync_playwright() as playwright:
        chrome = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        browser(chrome.new_context(viewport={"width": 1280, "height": 1000}).new_page(), address)
        chrome.close()


if __name__ == "__main__":
    main()
