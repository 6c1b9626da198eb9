"""The pages that `explorer.py` opens, when one is of use, and how long a change of a choice takes to show.

A change is clocked in the page, frame by frame, from the key or the pointer going down.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
NAMES = ("chromium", "chromium-browser", "google-chrome")
LIMIT = 30.0
"""Seconds after which a page or a change is given up; that is what is then recorded."""

WATCH = """
window.seen = {
  began: 0,
  deep(selector, root = document) {
    const found = [...root.querySelectorAll(selector)];
    for (const element of root.querySelectorAll('*'))
      if (element.shadowRoot) found.push(...seen.deep(selector, element.shadowRoot));
    return found;
  },
  visible(element) { const box = element.getBoundingClientRect(); return box.width > 0 && box.height > 0; },
  figures() {
    return [...document.querySelectorAll('.js-plotly-plot')].filter(plot =>
      seen.visible(plot) && (plot.data || []).some(trace => trace.type === 'parcoords' || seen.size(trace) > 0)
      && plot.querySelector('.trace, .gl-canvas, .parcoords'));
  },
  size(trace) { const x = trace.x || trace.y || trace.z; return x ? (x.length ?? (x.bdata || '').length) : 0; },
  trace(trace) {
    const part = values => !values ? '' : values.bdata ? values.bdata.slice(0, 200) + values.bdata.slice(-40)
      : values.length ? [...values].slice(0, 30).join() + values[values.length - 1] : '';
    return [trace.name, trace.type, seen.size(trace), part(trace.x), part(trace.y)].join();
  },
  rows() { return [...document.querySelectorAll('[data-testid=stDataFrame] canvas tbody tr')]; },
  cells() { return seen.deep('vaadin-grid-cell-content').filter(cell => cell.textContent.trim()); },
  figure() { return seen.figures().map(plot => plot.data.map(seen.trace).join()).join('|'); },
  table() { return seen.rows().slice(0, 20).map(row => row.textContent).join('|') + '.'; },
  grid() { return seen.cells().slice(0, 100).map(cell => cell.textContent.trim()).join('|'); },
};
for (const what of ['pointerdown', 'keydown'])
  document.addEventListener(what, () => { seen.began = performance.now(); }, true);
"""

USEFUL = {
    "figure": "seen.figures().length > 0",
    "table": "seen.rows().length > 0",
    "grid": "seen.cells().length > 30",
    "words": "document.querySelector('[data-testid=stAlert]') !== null",
}


@dataclass(frozen=True)
class Change:
    """A choice that is changed: what the reader does, and what of the page then changes (`figure`, `table`, `grid`)."""

    what: str
    act: Callable[[Any], None]
    of: str


@dataclass(frozen=True)
class Page:
    """A page: its address, what is to be seen before it is of use, and changes to it."""

    name: str
    path: str
    useful: str
    changes: tuple[Change, ...] = ()


def radio(name: str) -> Callable[[Any], None]:
    """Choose one of several."""
    return lambda page: page.get_by_role("radio", name=name, exact=True).first.click()


def enter(label: str, text: str) -> Callable[[Any], None]:
    """Write into a field and press Enter; it counts from there."""

    def act(page: Any) -> None:
        field = page.get_by_label(label).first
        field.fill(text)
        field.press("Enter")

    return act


def pill(name: str) -> Callable[[Any], None]:
    """Press a pill."""
    return lambda page: page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).first.click()


PAGES = (
    Page("Studies", "", "table", (Change("search", enter("Search", "no such study"), "table"),)),
    Page(
        "Study",
        "study",
        "figure",
        (
            Change("best so far along time", radio("time"), "figure"),
            Change("filter the trials", pill("pruned"), "table"),
        ),
    ),
    Page("Compare trials", "compare", "figure", (Change("along seconds", radio("seconds"), "figure"),)),
    Page("Hyperparameters", "hyperparameters", "figure", (Change("slices", radio("Slices"), "figure"),)),
    Page("Generalization", "generalization", "figure", (Change("all trials", radio("all"), "figure"),)),
    Page("Training dynamics", "dynamics", "figure", (Change("another trial", enter("Trial, 0 to", "7"), "figure"),)),
    Page("Search strategies (no comparison)", "strategies", "words"),
)
OPTUNA = Page(
    "optuna-dashboard",
    "dashboard/studies/1",
    "figure",
    (Change("history by start", radio("Datetime start"), "figure"),),
)
LEAST = Page("Streamlit, one line of Plotly", "", "figure")
TENSORBOARD = Page(
    "TensorBoard HParams",
    "#hparams",
    "grid",
    (Change("hide a column", lambda page: page.locator("paper-checkbox", has_text="clip_norm").click(), "grid"),),
)


def chromium_path() -> str:
    """Of the Chromium that is there."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit(f"no Chromium on the PATH ({', '.join(NAMES)})")
    return path


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        launched = started.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        yield launched
        launched.close()


def changes(chromium: Any, address: str, page: Page) -> dict[str, float]:
    """Seconds until each of the page's changes shows, each made for the first time in a fresh context."""
    if not page.changes:
        return {}
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(1000 * LIMIT)
    try:
        tab = context.new_page()
        tab.add_init_script(WATCH)
        tab.goto(f"{address}/{page.path}", wait_until="commit")
        until(tab, USEFUL[page.useful])
        return {one.what: changed(tab, one) for one in page.changes}
    finally:
        context.close()


def changed(tab: Any, change: Change) -> float:
    """Seconds from the reader's act until what it changes has changed."""
    quiet(tab, change.of)
    tab.evaluate(f"seen.before = seen.{change.of}()")
    change.act(tab)
    now = f"seen.{change.of}()"
    return until(tab, f"{now} && {now} !== seen.before", "seen.began")


def until(tab: Any, condition: str, since: str = "0") -> float:
    """Seconds from a moment of the page's clock to the first frame in which the condition holds; at most LIMIT."""
    from playwright.sync_api import TimeoutError as TooLong

    try:
        found = tab.wait_for_function(f"window.seen && ({condition}) && performance.now() - {since}", polling="raf")
        return float(found.json_value()) / 1000
    except TooLong:
        return LIMIT


def quiet(tab: Any, of: str) -> None:
    """Wait until a page has been the same for a second and its script has ended, so that the change is what shows."""
    tab.evaluate("seen.last = null; seen.since = performance.now()")
    tab.wait_for_function(
        f"""(() => {{
          const app = document.querySelector('[data-testid=stApp]');
          const now = seen.{of}() + (app ? app.dataset.testScriptState : '');
          if (now !== seen.last || now.endsWith('running')) {{ seen.last = now; seen.since = performance.now(); }}
          return performance.now() - seen.since > 1000;
        }})()""",
        polling=100,
    )
