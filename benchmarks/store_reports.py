"""How many reports a second one writer commits to the store while another process reads it.

    python benchmarks/store_reports.py [--rounds 7] [--url URL] [--record]

A report has 20 metrics; a group of 500 reports, with the rows of the 64 trials they change, is one transaction. The
reader lists the trials and reads the newest events ten times a second. `--record` writes benchmarks/records/.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from multiprocessing.synchronize import Event
from typing import Any

from record import Record, arguments, take_turns

from tuner.records import Report, Reported, TrialState, TrialSummary
from tuner.spec import StudySpec
from tuner.store import open_store

GROUPS, GROUP, METRICS, TRIALS = 40, 500, 20, 64
ALONE, READ = "alone", "with a reader that polls"
PAUSE_SECONDS = 0.1
TARGET = 15_000


def main() -> None:
    parser = arguments(__doc__, rounds=7)
    parser.add_argument("--url", help="a store other than a temporary SQLite file; its study 'bench' is replaced")
    options = parser.parse_args()
    record = Record("store-reports", "Reports into the store", packages=("sqlalchemy",))
    reader_rounds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{folder}/tuner.db"
        rates = take_turns(
            {
                ALONE: lambda: measure(url, reader_rounds, with_reader=False),
                READ: lambda: measure(url, reader_rounds, with_reader=True),
            },
            options.rounds,
        )
    record.note(
        f"A turn is {GROUPS * GROUP:,} reports of {METRICS} metrics, in groups of {GROUP} with the rows of {TRIALS} "
        f"trials; SQLite {sqlite3.sqlite_version}."
    )
    by_clock = {name: [wall for wall, _ in turns] for name, turns in rates.items()}
    record.table("reports per second", by_clock, digits=0)
    by_cpu = {name: [cpu for _, cpu in turns] for name, turns in rates.items()}
    record.table("reports per second of the writer's CPU time", by_cpu, digits=0)
    record.note(reader_line(sorted(reader_rounds)))
    reached = statistics.median(by_clock[READ])
    met = reached >= TARGET
    record.target(f"{TARGET:,} reports per second with a reader", reached=f"{reached:,.0f}", met=met)
    record.publish(write=options.record)


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


def reader_line(rounds: list[float]) -> str:
    middle, late = statistics.median(rounds), rounds[int(0.99 * len(rounds))]
    return (
        f"The reader polled every {PAUSE_SECONDS} s: {len(rounds)} rounds (all trials, all new events, decoded), "
        f"median {1000 * middle:.0f} ms, 99 % within {1000 * late:.0f} ms."
    )


if __name__ == "__main__":
    main()
