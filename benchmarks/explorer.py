"""How soon the explorer's pages are of use on a large study, against optuna-dashboard and TensorBoard's HParams tab.

    python benchmarks/large_study.py --store FILE
    python benchmarks/explorer_servers.py
    python benchmarks/explorer.py --store FILE [--study large] [--loaded FOLDER] [--rounds 3] [--record]

Each page is opened in a headless Chromium just started, with nothing in its cache: the page Study as the first of a
server that has just been started, then all pages, of which that server has worked out nothing but Study yet; and once
more in a second tab. Then its choices are changed, each for the first time. The peers' pages are opened just so, and a
Streamlit app that does nothing but draw one Plotly line of two points: below that no page of the explorer can come.
`explorer_paint.py` and `explorer_browser.py` say what is clocked.
"""

from __future__ import annotations

import os
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

from explorer_browser import LEAST, LIMIT, OPTUNA, PAGES, TENSORBOARD, Page, browser, changes
from explorer_paint import painted
from explorer_servers import PACKAGES, explorer, least, load_peers, memory, optuna_dashboard, tensorboard
from record import Record, arguments

from tuner.store import open_store

Rows = dict[str, dict[str, list[float]]]
COLD = "seconds to the first useful paint, server just started, browser's cache empty"
WARM = "seconds to the first useful paint, server warm, browser's cache empty"
AGAIN = "seconds to the first useful paint, once more in a second tab"
CHANGE = "seconds from a change of a choice to the changed figure or table"
MEMORY = "MiB of the server's processes (PSS), all pages opened"
FIRST = next(page for page in PAGES if page.name == "Study")
TARGETS = {WARM: 2.0, AGAIN: 2.0, CHANGE: 0.7, MEMORY: 1024.0}


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--store", required=True)
    parser.add_argument("--study", default="large")
    parser.add_argument("--loaded", type=Path, help="where the peers' copies are kept (beside the store)")
    options = parser.parse_args()
    folder = options.loaded or Path(f"{options.store}.peers")
    load_peers(options.store, options.study, folder)
    record = Record(
        "explorer", "The explorer on a large study", packages=("streamlit", "plotly", "pandas", "playwright")
    )
    ours: Rows = defaultdict(lambda: defaultdict(list))
    theirs: Rows = defaultdict(lambda: defaultdict(list))
    with closing(open_store(options.store, read_only=True)) as store:
        n_trials, n_events = len(store.trials(options.study)), store.study(options.study).events
    record.note(f"{n_trials:,} trials, {n_events:,} events; {Path(options.store).stat().st_size / 2**20:,.0f} MiB.")
    loads: list[str] = []
    with browser() as chromium:
        for number in range(1, options.rounds + 1):
            loads.append(f"{os.getloadavg()[0]:.1f}")
            one_of_ours(chromium, options.store, ours)
            one_of_theirs(chromium, LEAST, least, theirs)
            one_of_theirs(chromium, OPTUNA, lambda: optuna_dashboard(folder), theirs)
            one_of_theirs(chromium, TENSORBOARD, lambda: tensorboard(folder), theirs, n_trials)
            print(f"round {number} of {options.rounds}", flush=True)
    report(record, ours, theirs, loads)
    record.publish(write=options.record)


def one_of_ours(chromium: Any, store: str, rows: Rows) -> None:
    """A round of the explorer: one page first, whatever it takes, then all of them."""
    with explorer(store) as (address, process):
        rows[COLD][FIRST.name].append(painted(address, FIRST)[0])
        for page in PAGES:
            measure(chromium, address, page, rows)
        rows[MEMORY]["explorer"].append(memory(process))


def one_of_theirs(
    chromium: Any,
    page: Page,
    start: Callable[[], AbstractContextManager[tuple[str, int]]],
    rows: Rows,
    n_runs: int | None = None,
) -> None:
    """A round of a peer; TensorBoard is first left to read its `n_runs` event files."""
    with start() as (address, process):
        if n_runs:
            rows["seconds until all event files were read"][page.name].append(until_read(address, n_runs))
        rows[COLD][page.name].append(painted(address, page)[0])
        measure(chromium, address, page, rows)
        rows[MEMORY][page.name].append(memory(process))


def measure(chromium: Any, address: str, page: Page, rows: Rows) -> None:
    fresh, second = painted(address, page)
    rows[WARM][page.name].append(fresh)
    rows[AGAIN][page.name].append(second)
    if second == LIMIT:
        return
    for what, seconds in changes(chromium, address, page).items():
        rows[CHANGE][f"{page.name}: {what}"].append(seconds)


def until_read(address: str, n_runs: int) -> float:
    """Seconds until TensorBoard lists as many runs; at most LIMIT."""
    direct, start = urllib.request.build_opener(urllib.request.ProxyHandler({})), time.monotonic()
    while time.monotonic() - start < LIMIT:
        with direct.open(f"{address}/data/runs", timeout=LIMIT) as answer:
            if answer.read().count(b"trial-") >= n_runs:
                break
        time.sleep(0.5)
    return time.monotonic() - start


def report(record: Record, ours: Rows, theirs: Rows, loads: list[str]) -> None:
    record.note(
        f"Peers, in an environment of their own: {', '.join(PACKAGES)}. Optuna's storage (SQLite) has the trials, "
        "their parameters and val_loss at all of their reports, and none of the other metrics; TensorBoard one event "
        "file a trial, with hyperparameters and the last val_loss alone, and no curve. The explorer has all metrics. "
        "TensorBoard is opened once it has read all files, so that its first row is not of a server just started."
    )
    record.note(f"Load average (1 minute) before each round: {', '.join(loads)}. What took {LIMIT:.0f} s was given up.")
    for what, rows in ours.items():
        record.table(what, {**rows, **theirs.get(what, {})}, digits=0 if what == MEMORY else 2)
    for what in theirs.keys() - ours.keys():
        record.table(what, theirs[what])
    for what, most in TARGETS.items():
        name, worst = max(((name, sorted(v)[len(v) // 2]) for name, v in ours[what].items()), key=lambda pair: pair[1])
        record.target(f"{what}: {most:,g} at most", reached=f"{worst:,.2f} ({name})", met=worst <= most)


if __name__ == "__main__":
    main()
