"""Pictures of every page, light and dark, wide and narrow, into docs/images: `make screenshots`.

`--all` pictures every state of the tour into a folder, to look at.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.needs import chromium_path
from tests.pages.tour import SETTINGS, Tour
from tests.scenarios.houses import Dev
from tests.scenarios.test_modes import QUIET

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SHOWN = {
    *("sign-in", "sign-up", "sign-up-sent", "forgot", "reset", "verify", "address", "code", "account"),
    *("account-proof", "profile", "promises-race", "inbox"),
}
"""The states of which the guide has pictures."""
SIZES = {"wide": (920, 500), "narrow": (360, 640)}
SCHEMES = ("light", "dark")


@contextmanager
def house(**settings: str) -> Iterator[Dev]:
    """A `watchword dev` in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        dev = Dev(Path(folder), **settings)
        try:
            dev.ready()
            yield dev
        finally:
            dev.process.terminate()
            dev.stop()


def picture(page: Page, size: str, scheme: str) -> bytes:
    """A PNG of what a screen of that size shows: the page's top, or what its address or a dialog leads to."""
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
    if page.locator("dialog[open]").count() == 0:
        page.evaluate(
            "(document.querySelector(':target')?.closest('section') ?? document.body).scrollIntoView()"
        )
    return page.screenshot(animations="disabled", caret="hide")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every state, into FOLDER")
    parser.add_argument("--language", default="en")
    options = parser.parse_args()
    folder = options.all or IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    with house(**SETTINGS) as dev, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=QUIET)
        for name, page in Tour(dev, browser, options.language).each():
            if options.all is None and name not in SHOWN:
                continue
            for size in SIZES:
                for scheme in SCHEMES:
                    (folder / f"{name}-{size}-{scheme}.png").write_bytes(picture(page, size, scheme))
            page.set_viewport_size({"width": 1280, "height": 800})
        browser.close()


if __name__ == "__main__":
    main()
