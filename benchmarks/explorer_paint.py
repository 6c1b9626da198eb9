"""When a page is of use, clocked by the page itself: what `explorer.py` measures of first paints.

Chromium is started anew, with nothing in its cache, and left alone while the page loads. Under Playwright, whose
inspector collects every script's source positions, the same pages took longer: a Streamlit app of one Plotly line 2.0
to 2.4 s instead of 1.3 to 1.6.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from explorer_browser import FLAGS, LIMIT, USEFUL, WATCH, Page, chromium_path
from explorer_servers import free_port
from websockets.sync.client import connect

LOOK = 0.25
"""Seconds between two questions whether the page is of use; it notes the moment by itself."""

CLOCK = """
(function look() {
  let there = false;
  try { there = %s; } catch (error) { /* not loaded yet */ }
  if (there) window.useful = performance.now(); else requestAnimationFrame(look);
})();
"""

_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def painted(address: str, page: Page, limit: float = LIMIT) -> tuple[float, float]:
    """Seconds until the page is of use in a Chromium just started, and once more in a second tab, whose cache has the
    programs; what took longer than `limit` counts as that.
    """
    with _chromium() as port:
        first = _opened(port, f"{address}/{page.path}", USEFUL[page.useful], limit)
        return first, _opened(port, f"{address}/{page.path}", USEFUL[page.useful], limit) if first < limit else limit


@contextmanager
def _chromium() -> Iterator[int]:
    """A Chromium without a window; the port at which it takes orders."""
    port = free_port()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        place = [f"--remote-debugging-port={port}", "--remote-allow-origins=*", f"--user-data-dir={folder}"]
        command = [chromium_path(), "--headless", "--no-first-run", "--window-size=1400,1000", *FLAGS, *place]
        started = subprocess.Popen([*command, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            time.sleep(1.5)  # it is still busy with itself
            yield port
        finally:
            started.terminate()
            started.wait()


def _wait(port: int) -> None:
    until = time.monotonic() + LIMIT
    while True:
        try:
            _direct.open(f"http://127.0.0.1:{port}/json/version", timeout=2).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise SystemExit("Chromium does not answer") from None
            time.sleep(0.1)


def _opened(port: int, url: str, condition: str, limit: float) -> float:
    """Open a tab, wait until the condition holds in it, close it; the seconds from its navigation to that frame."""
    order = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
    with _direct.open(order) as answer:
        tab = json.load(answer)
    with connect(tab["webSocketDebuggerUrl"], max_size=None) as line:
        _say(line, 1, "Page.enable")
        _say(line, 2, "Page.addScriptToEvaluateOnNewDocument", source=WATCH + CLOCK % condition)
        _say(line, 3, "Page.navigate", url=url)
        until, useful = time.monotonic() + limit, 0.0
        while not useful and time.monotonic() < until:
            time.sleep(LOOK)
            found = _say(line, 4, "Runtime.evaluate", expression="window.useful || 0", returnByValue=True)
            useful = float(found["result"]["value"]) / 1000
    _direct.open(f"http://127.0.0.1:{port}/json/close/{tab['id']}").close()
    return useful or limit


def _say(line: Any, number: int, method: str, **parameters: Any) -> dict[str, Any]:
    line.send(json.dumps({"id": number, "method": method, "params": parameters}))
    while True:
        heard = json.loads(line.recv())
        if heard.get("id") == number:
            return heard["result"]
