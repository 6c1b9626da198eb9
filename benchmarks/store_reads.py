"""How long the explorer's reads of a large study take, and how much memory.

    python benchmarks/large_study.py --store FILE
    python benchmarks/store_reads.py --store FILE [--study large] [--rounds 5] [--record]

Each read runs in a process of its own, which opens the store for reading alone, for each round: its first call, opening
included, and a second one, the latter by the clock and in CPU time, which hangs less on what else the machine does.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from record import Record, arguments, take_turns

from tuner.store import SqlStore, open_store

Read = Callable[[SqlStore, str], Any]

READS: dict[str, Read] = {
    "study()": lambda store, study: store.study(study),
    "values()": lambda store, study: store.values(study),
    "trials()": lambda store, study: store.trials(study),
    "outlines()": lambda store, _: store.outlines(),
    "journal(kinds=segments)": lambda store, study: list(
        store.journal(study, kinds=("segment_issued", "segment_ended", "commanded", "study_ended"))
    ),
    "reports(20 trials)": lambda store, study: store.reports(study, range(1_000, 1_020)),
}


FIRST, SECOND, CPU = "ms, the first call", "ms, the second call", "ms of CPU time, the second call"


def main() -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--store", required=True)
    parser.add_argument("--study", default="large")
    options = parser.parse_args()
    record = Record("store-reads", "Reads of a large study", packages=("sqlalchemy", "numpy"))
    with closing(open_store(options.store, read_only=True)) as store:
        events, trials = store.study(options.study).events, len(store.trials(options.study))
    record.note(f"{trials:,} trials, {events:,} events; SQLite {sqlite3.sqlite_version}.")
    contestants = {name: lambda name=name: apart(options.store, options.study, name) for name in READS}
    turns = take_turns(contestants, options.rounds)
    for column, what in enumerate((FIRST, SECOND, CPU, "MiB, the process's peak")):
        record.table(what, {name: [turn[column] for turn in mine] for name, mine in turns.items()}, digits=0)
    record.publish(write=options.record)


def apart(place: str, study: str, name: str) -> tuple[float, ...]:
    """What `measure` says in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, (place, study, name))


def measure(place: str, study: str, name: str) -> tuple[float, ...]:
    """Milliseconds of the first and the second call, the latter's CPU time, the peak of the process's memory in MiB."""
    with closing(open_store(place, read_only=True)) as store:
        milliseconds = []
        for _ in range(2):
            start, start_cpu = time.perf_counter(), time.process_time()
            READS[name](store, study)
            milliseconds.append(1_000 * (time.perf_counter() - start))
            cpu = 1_000 * (time.process_time() - start_cpu)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return (*milliseconds, cpu, int(status["VmHWM"].split()[0]) / 1024)  # ru_maxrss would be the parent's, too


if __name__ == "__main__":
    main()
