"""Take the README's pictures of the Compare page, light and dark: `python -m docs.take_screenshots`, by hand.

The app is started for it and shown in a real Chromium, as in the browser tests; nothing is drawn or retouched.
"""

import re
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.browser.conftest import FLAGS, chromium, serve

FOLDER = Path(__file__).parent
SIZE = {"width": 1280, "height": 1230}


def main() -> None:
    """Write docs/compare-light.png and docs/compare-dark.png."""
    with serve() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        for theme in ("light", "dark"):
            page = browser.new_context(viewport=SIZE, color_scheme=theme).new_page()
            page.goto(address)
            expect(page.locator(".layer-value")).to_have_text(re.compile(r"\d+ of \d+"), timeout=300_000)
            expect(page.locator(".st-key-chart_heads svg.marks")).to_be_visible()
            page.wait_for_timeout(2_000)  # charts fade in
            page.screenshot(path=FOLDER / f"compare-{theme}.png")
            page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
