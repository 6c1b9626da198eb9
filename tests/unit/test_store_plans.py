"""SQLite finds a trial's events, and those that are no reports, by index: left to itself it walks through them all."""

from contextlib import closing

import pytest
from sqlalchemy import event
from store_samples import EVENTS, reported, spec

from tuner.store import open_store

READS = {
    "reports of one": (lambda store: store.reports("mnist", 7), "journal_by_trial"),
    "reports of two": (lambda store: store.reports("mnist", [7, 8]), "journal_by_trial"),
    "kinds": (lambda store: list(store.journal("mnist", kinds=["segment_issued", "ticked"])), "journal_but_reports"),
    "details": (lambda store: store.details("mnist", 7), "details_by_trial"),
}


@pytest.mark.parametrize(("read", "index"), READS.values(), ids=READS)
def test_the_index_is_used(tmp_path, read, index):
    with closing(open_store(tmp_path / "tuner.db")) as store:
        store.create(spec())
        writer = store.write("mnist")
        writer.append([*EVENTS, *(reported(trial, 1) for trial in range(100))])
        writer.release()
        plans = []

        @event.listens_for(store._database._engine, "before_cursor_execute")
        def explain(_connection, cursor, statement, parameters, *_):
            if "journal" in statement or "details" in statement:
                plans.append(cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall())

        read(store)
    (plan,) = plans
    assert f"USING INDEX {index} " in str(plan)
    assert "TEMP B-TREE" not in str(plan) or read is READS["reports of two"][0]
