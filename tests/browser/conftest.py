"""A real browser before the explorer, which is started as a user starts it: one server and one browser a module.

Whatever a reader sees must come without an error in the browser's console and from this machine alone; what was seen
last is kept in build/screenshots/.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from explored import fill
from serving import PATIENCE, ROOT, served

from tuner.store import StudyStore, open_store

SCREENSHOTS = ROOT / "build" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PROBED = re.compile(r"/\w+/_stcore/(health|host-config)$")

OWN = {"data", "blob", "about"}
"""Schemes of addresses that leave no machine."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright's package drives the browser: pip install playwright"
    )
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no Chromium is on the PATH (looked for {', '.join(BROWSERS)}): apt-get install chromium")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store lies."""
    return tmp_path_factory.mktemp("explored") / "tuner.db"


@pytest.fixture(scope="module")
def store(browser: Any, path: Path) -> Iterator[StudyStore]:
    """The store that the explorer shows; to write to it is to be another process than the explorer's."""
    made = open_store(path)
    fill(made)
    yield made
    made.close()


@pytest.fixture(scope="module")
def explorer(store: StudyStore, path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which `tune app` serves it."""
    with served(path, tmp_path_factory.mktemp("served") / "stderr") as address:
        yield address


@pytest.fixture
def expect(browser: Any) -> Any:
    """Playwright's `expect`, which waits for what it is told to expect."""
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * PATIENCE)
    return expect


class Opened:
    """`opened("compare?trials=1")`: that page, or an address, in a fresh browser of its own."""

    def __init__(self, browser: Any, explorer: str, name: str) -> None:
        self._browser, self._explorer, self._name = browser, explorer, name
        self._pages: list[Any] = []
        self.complaints: list[str] = []
        """Errors of the pages, and what they asked of other machines."""

    def __call__(self, where: str = "") -> Any:
        context = self._browser.new_context(viewport={"width": 1400, "height": 1000})
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        self._pages.append(page)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._asked)
        page.goto(where if "://" in where else f"{self._explorer}/{where}")
        return page

    def _said(self, message: Any) -> None:
        # At the address of a page Streamlit asks for its server below that address before it asks at the root.
        if message.type == "error" and not PROBED.search(message.location["url"]):
            self.complaints.append(f"{message.text} {message.location['url']}")

    def _asked(self, request: Any) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in OWN and parts.hostname != "127.0.0.1":
            self.complaints.append(f"asked {request.url}")

    def keep(self, page: Any, name: str) -> None:
        """Keep a picture of what the page shows now."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{re.sub(r'[^a-z]+', '-', name.lower())}.png")

    def close(self) -> None:
        """Close all, with a picture of each."""
        for number, page in enumerate(self._pages, 1):
            self.keep(page, self._name if number == 1 else f"{self._name}-again")
            page.context.close()


@pytest.fixture
def opened(browser: Any, explorer: str, request: pytest.FixtureRequest) -> Iterator[Opened]:
    """Opens the explorer's pages, and at the end sees that none of them complained."""
    pages = Opened(browser, explorer, request.node.name.removeprefix("test_"))
    yield pages
    pages.close()
    assert not pages.complaints
