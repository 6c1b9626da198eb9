"""Makes tests/golden/store_v3.db, a store of schema version 3: python tests/golden/make_store_v3.py

Run it with the tuner of that version only. The file is kept as it was: it must open in every later one.
"""

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from tuner.records import (
    Checkpoint,
    Command,
    CommandKind,
    Details,
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
from tuner.store import ComparisonPlan, ComparisonRun, JournalEntry, Replay, open_store

SPEC = {
    "study": "golden",
    "objective": "somewhere:something",
    "metric": {"name": "val_loss"},
    "space": {"lr": {"float": [1e-5, 1.0], "log": True}},
}
CONFIG = {"lr": 1e-05}
METRICS = {"val_loss": 0.5, "gap": float("nan")}
DETAILS = Details({"loss": (1.5, float("nan")), "lr": (0.1, 0.2)}, ("the loss scale fell to 32768",))


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
                Reported(Report(0, 0, 1, METRICS, 0.5, Checkpoint(1, "0/1", 9, "ab"), DETAILS)),
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
        shared = StudySpec.from_dict({**SPEC, "study": "compared"})
        store.comparisons.create(ComparisonPlan(shared, ("random", "asha+tpe"), 3, Replay("mnist.parquet", "ab", 8)))
        run = ComparisonRun("compared", "asha+tpe", 2, "compared.asha-tpe.2")
        ended = [JournalEntry(1, 1_800_000_001.5, StudyEnded("done"))]
        store.comparisons.add_run(run, StudySpec.from_dict({**SPEC, "study": run.study, "seed": 5}), ended)
    with closing(sqlite3.connect(path)) as connection:  # one file, without its -wal
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("store_v3.db"))
