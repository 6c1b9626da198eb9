"""How many reports a second one writer commits to the store while another process reads it.

    python benchmarks/store_reports.py [--url URL] [--record]

A report has 20 metrics; a group of 500 reports, with the rows of the 64 trials they change, is one transaction. The
reader lists the trials and reads the newest events ten times a second. `--record` writes benchmarks/records/.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import sqlalchemy

from tuner.records import Report, Reported, TrialState, TrialSummary
from tuner.spec import StudySpec
from tuner.store import open_store

RUNS, GROUPS, GROUP, METRICS, TRIALS = 7, 40, 500, 20, 64
PAUSE_SECONDS = 0.1
TARGET = 15_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", help="a store other than a temporary SQLite file; its study 'bench' is replaced")
    parser.add_argument("--record", action="store_true", help="write a record under benchmarks/records/")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/tuner.db"
        rounds, rates = [], {False: [], True: []}
        for _ in range(RUNS):
            for with_reader in (False, True):  # by turns: both see the same other load on the machine
                rates[with_reader].append(measure(url, rounds, with_reader=with_reader))
    text = report(rates[False], rates[True], sorted(rounds))
    print(text)
    if options.record:
        path = Path(__file__).parent / "records" / f"{datetime.now(UTC):%Y-%m-%d}-store-reports.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def measure(url: str, rounds: list[float], *, with_reader: bool) -> tuple[float, float]:
    """What `write` measured in one run; the seconds of each of the reader's rounds are added to `rounds`."""
    with closing(open_store(url)) as store:
        if "bench" in (study.name for study in store.studies()):
            store.delete("bench")
        store.create(spec())
    if not with_reader:
        return write(url)
    context = multiprocessing.get_context("spawn")
    ready, done, answer = context.Event(), context.Event(), context.SimpleQueue()
    reader = context.Process(target=read_on, args=(url, ready, done, answer))
    reader.start()
    ready.wait()
    rate = write(url)
    done.set()
    rounds += answer.get()
    reader.join()
    assert reader.exitcode == 0
    return rate


def write(url: str) -> tuple[float, float]:
    """Reports a second of one writer, and a second of its own CPU time; the reports are made beforehand."""
    groups = [make_group(number) for number in range(GROUPS)]
    with closing(open_store(url)) as store:
        writer = store.write("bench")
        start, start_cpu = time.perf_counter(), time.process_time()
        for reports, trials in groups:
            writer.append(reports, trials)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
        writer.release()
        assert store.study("bench").events == GROUPS * GROUP
    return GROUPS * GROUP / seconds, GROUPS * GROUP / cpu_seconds


def read_on(url: str, ready: Event, done: Event, answer: Any) -> None:
    """Poll as the explorer does, until told to end; answers how many seconds each round took."""
    rounds, after = [], 0
    with closing(open_store(url, create=False)) as store:
        ready.set()
        while not done.is_set():
            start = time.perf_counter()
            store.trials("bench")
            after = max([after, *(entry.number for entry in store.journal("bench", after=after))])
            rounds.append(time.perf_counter() - start)
            done.wait(PAUSE_SECONDS)
    answer.put(rounds)


def make_group(number: int) -> tuple[list[Reported], list[TrialSummary]]:
    metrics = [{f"metric_{i:02}": (number + 1) * (i + 1) / 7 + n for i in range(METRICS)} for n in range(GROUP)]
    reports = [Reported(Report(n % TRIALS, 0, number * GROUP + n, metrics[n], 0.25)) for n in range(GROUP)]
    config = {"lr": 1e-3, "batch_size": 64, "optimizer": "adamw"}
    rows = [TrialSummary(n, TrialState.RUNNING, config, number, 99, metrics=metrics[n]) for n in range(TRIALS)]
    return reports, rows


def spec() -> StudySpec:
    space = {"lr": {"float": [1e-5, 1.0], "log": True}}
    return StudySpec.from_dict({"study": "bench", "objective": "a:b", "metric": {"name": "loss"}, "space": space})


def line(what: str, rates: Iterable[float]) -> str:
    rates = list(rates)
    return f"| {what} | {statistics.median(rates):,.0f} | {min(rates):,.0f} | {max(rates):,.0f} |"


def report(alone: list[tuple[float, float]], read: list[tuple[float, float]], rounds: list[float]) -> str:
    met = statistics.median(wall for wall, _ in read) >= TARGET
    return f"""# Reports into the store

{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. Command: `python benchmarks/store_reports.py --record`

{RUNS} runs of {GROUPS * GROUP:,} reports of {METRICS} metrics, in groups of {GROUP} with the rows of {TRIALS} trials.

| reports/s | median | lowest | highest |
|---|---|---|---|
{line("alone", (wall for wall, _ in alone))}
{line(f"with a reader that polls every {PAUSE_SECONDS} s", (wall for wall, _ in read))}
{line("alone, per second of the writer's CPU time", (cpu for _, cpu in alone))}
{line("with the reader, per second of the writer's CPU time", (cpu for _, cpu in read))}

Reader: {len(rounds)} rounds (all trials, all new events, decoded), median {1000 * statistics.median(rounds):.0f} ms,
99 % within {1000 * rounds[int(0.99 * len(rounds))]:.0f} ms.
Target: {TARGET:,} reports/s with a reader: {"met" if met else "MISSED"}.

Python {platform.python_version()}, SQLAlchemy {sqlalchemy.__version__}, SQLite {sqlite3.sqlite_version}
({platform.system()} {platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f},
the benchmark's own processes included).
"""


if __name__ == "__main__":
    main()
