"""The book's page in a Chromium without a network, opened from the disk: what it shows, and clicks."""

import base64
import io
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.test_browser import SHOTS, options

SECONDS = 300  # for one answer on a busy machine; an idle one takes a fraction of one
ANSWERED = "document.getElementById('state').textContent"


@contextmanager
def opened(book):
    """The page, ready, and the addresses that it asked for."""
    with sync_playwright() as play:
        browser = play.chromium.launch(**options())
        try:
            context = browser.new_context(offline=True, viewport={"width": 390, "height": 844})
            context.set_default_timeout(1000 * SECONDS)
            page = context.new_page()
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto((book / "try_it.html").as_uri())
            yield Page(page), asked
        finally:
            browser.close()


class Page:
    def __init__(self, page):
        self.page = page
        self.wait()

    def wait(self):
        self.page.wait_for_function(f"/^(Ready|This)/.test({ANSWERED})")

    def after(self, act):
        """Do something, and give what the page then says: map, score, threshold, anomalous."""
        self.page.evaluate("document.getElementById('state').textContent = ''")
        act()
        self.wait()
        return self.page.evaluate("({...aaclip.last, map: [...aaclip.last.map]})")

    def click(self, selector):
        return self.after(lambda: self.page.click(selector))

    def part(self, number):
        return self.click(f"#parts button:nth-child({number + 1})")

    def say(self, words):
        self.page.fill("#words", words)
        return self.click("#say button")

    def drop(self, box, *files):
        return self.after(lambda: self.page.set_input_files(f"#{box} input", list(files)))

    def text(self, name):
        return self.page.inner_text(f"#{name}")

    def keep(self, name):
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")


def pixels(address):
    """The picture that a data: address holds."""
    file = io.BytesIO(base64.b64decode(address.split(",")[1]))
    return np.array(Image.open(file).convert("RGB"))
