"""Makes tests/golden/store_vN.db, N being the schema of the tuner that it runs with: python tests/golden/make_store.py

A store is kept as it was made: it must open in every later version. To make an older one again, run this with the tuner
of its time, which comes first on PYTHONPATH.
"""

import importlib
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tuner.records import (
    Checkpoint,
    Command,
    CommandKind,
    Ending,
    Failure,
    FailureKind,
    Report,
    Reported,
    Segment,
    SegmentEnd,
    SegmentEnded,
    SegmentIssued,
    StudyEnded,
    TrialState,
    TrialSummary,
)
from tuner.spec import StudySpec
from tuner.store import migrations, open_store

records, stores = importlib.import_module("tuner.records"), importlib.import_module("tuner.store")
"""For the names that older versions lack."""

VERSION = migrations.newest()
SPEC = {
    "study": "golden",
    "objective": "somewhere:something",
    "metric": {"name": "val_loss"},
    "space": {"lr": {"float": [1e-5, 1.0], "log": True}},
}
CONFIG = {"lr": 1e-05}


def main(path: Path) -> None:
    path.unlink(missing_ok=True)
    with closing(open_store(path, clock=lambda: 1_800_000_000.0)) as store:
        store.create(StudySpec.from_dict(SPEC))
        store.create(StudySpec.from_dict({**SPEC, "study": "empty"}))
        store.post("golden", Command(CommandKind.STOP, "anna", trial=0))
        writer = store.write("golden")
        failure = Failure(FailureKind.OUT_OF_MEMORY, "no room", "line\nline")
        writer.append(
            [
                SegmentIssued(Segment(0, 0, 0, 9, CONFIG, 1, 9, (1, 3), None), "w-0"),
                Reported(report()),
                SegmentEnded(SegmentEnd(0, 0, Ending.FAILED, failure)),
                StudyEnded("done"),
            ],
            [
                TrialSummary(
                    0, TrialState.FAILED, CONFIG, 1, 9, 0.5, 0.5, 1, float("nan"), 1, 0.5, {"val_loss": 0.5}, failure
                )
            ],
        )
        writer.release()
        if VERSION >= 3:
            add_comparison(store)
    with closing(sqlite3.connect(path)) as connection:  # one file, without its -wal
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


def report() -> Report:
    """With details, since version 2."""
    details = {}
    if VERSION >= 2:
        curves = {"loss": (1.5, float("nan")), "lr": (0.1, 0.2)}
        details["details"] = records.Details(curves, ("the loss scale fell to 32768",))
    return Report(0, 0, 1, {"val_loss": 0.5, "gap": float("nan")}, 0.5, Checkpoint(1, "0/1", 9, "ab"), **details)


def add_comparison(store: Any) -> None:
    """Since version 3."""
    shared = StudySpec.from_dict({**SPEC, "study": "compared"})
    replay = stores.Replay("mnist.parquet", "ab", 8)
    store.comparisons.create(stores.ComparisonPlan(shared, ("random", "asha+tpe"), 3, replay))
    run = stores.ComparisonRun("compared", "asha+tpe", 2, "compared.asha-tpe.2")
    ended = [stores.JournalEntry(1, 1_800_000_001.5, StudyEnded("done"))]
    store.comparisons.add_run(run, StudySpec.from_dict({**SPEC, "study": run.study, "seed": 5}), ended)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name(f"store_v{VERSION}.db"))
