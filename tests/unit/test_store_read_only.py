"""A store that is opened for reading alone: nothing is written through it, and the database itself sees to that."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from store_samples import EVENTS, TRIALS, reported, spec

from tuner.errors import StoreError, StudyNotFound
from tuner.records import Command, CommandKind
from tuner.store import ComparisonPlan, ComparisonRun, open_store

OLD = Path(__file__).parents[1] / "golden" / "store_v1.db"


@pytest.fixture
def place(store_url):
    with closing(open_store(store_url)) as store:
        store.create(spec())
        store.comparisons.create(ComparisonPlan(spec("compared"), ("random",), 1))
        writer = store.write("mnist")
        writer.append(EVENTS, TRIALS)
        writer.release()
    return store_url


WRITES = {
    "create": lambda store: store.create(spec("new")),
    "delete": lambda store: store.delete("mnist"),
    "write": lambda store: store.write("mnist"),
    "post": lambda store: store.post("mnist", Command(CommandKind.STOP, "anna")),
    "compare": lambda store: store.comparisons.create(ComparisonPlan(spec("new"), ("random",), 1)),
    "change": lambda store: store.comparisons.change(ComparisonPlan(spec("compared"), ("random",), 2)),
    "run": lambda store: store.comparisons.add_run(ComparisonRun("compared", "random", 0, "new"), spec("new")),
    "forget": lambda store: store.comparisons.delete("compared"),
}


@pytest.mark.parametrize("create", [False, True])
def test_every_write_is_refused(place, create):
    with closing(open_store(place, create=create, read_only=True)) as store:
        for write in WRITES.values():
            with pytest.raises(StoreError, match="opened for reading alone"):
                write(store)
        assert (store.names(), len(store.trials("mnist")), len(store.values("mnist"))) == (["mnist"], 3, 2)


@pytest.mark.parametrize("statement", ["DELETE FROM trials", "CREATE TABLE mine (a INTEGER)", "DROP TABLE commands"])
def test_the_database_refuses_too(place, statement):
    with closing(open_store(place, read_only=True)) as store:
        for _ in range(2):  # again, with a connection that was used before
            with pytest.raises(StoreError, match=r"read-?only"), store._database._begin(writes=False) as connection:
                connection.execute(text(statement))
        assert len(store.trials("mnist")) == 3


def test_a_missing_store_is_seen_when_it_appears(tmp_path):
    file = tmp_path / "runs" / "tuner.db"
    with closing(open_store(file, read_only=True)) as store:
        assert store.studies() == store.names() == store.outlines() == store.comparisons.names() == []
        with pytest.raises(StudyNotFound, match="is not there yet"):
            store.values("mnist")
        with pytest.raises(StoreError, match="not there"):
            store.create(spec())
        assert not file.parent.exists()
        with closing(open_store(file)) as other:
            other.create(spec())
            assert [outline.name for outline in store.outlines()] == ["mnist"]
        assert store.names() == ["mnist"]
    assert [path.name for path in file.parent.iterdir()] == ["tuner.db"], "no log is left behind"


def test_an_older_store_is_left_as_it_is(tmp_path):
    shutil.copy(OLD, tmp_path / "old.db")
    with closing(open_store(tmp_path / "old.db", read_only=True)) as store:
        assert store.values("golden").value.tolist() == [0.5]
        with pytest.raises(StoreError, match="opened for reading alone"):
            store.write("golden")
    assert (tmp_path / "old.db").read_bytes() == OLD.read_bytes()


def test_many_threads_read_while_one_writes(place):
    with closing(open_store(place)) as writing, closing(open_store(place, read_only=True)) as store:

        def look(_):
            values = store.values("mnist")
            assert len(store.trials("mnist")) == 3
            assert store.outlines()[0].events >= values.number[-1]
            assert len(store.reports("mnist", [0, 7])) >= 2
            return len(values)

        writer = writing.write("mnist")
        with ThreadPoolExecutor(20) as pool:
            looks = pool.map(look, range(60))
            for resource in range(1, 51):
                writer.append([reported(0, resource)])
            seen = list(looks)
        writer.release()
        assert min(seen) >= 2
        assert len(store.values("mnist")) == 52
