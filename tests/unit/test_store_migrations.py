"""Stores of older versions and damaged ones: what is read, what is migrated, and what is said."""

import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from refused_stores import refused
from sqlalchemy import insert, text
from store_samples import EVENTS, reported, spec

from tuner.errors import StoreError, StudyHeld, StudyNotFound
from tuner.records import Command, CommandKind, Details, Reported, StudyEnded, Ticked
from tuner.store import (
    ComparisonPlan,
    ComparisonRun,
    Replay,
    StudyState,
    migrations,
    open_store,
)
from tuner.store.processes import this_process
from tuner.store.tables import METADATA, schema

GOLDEN = Path(__file__).parents[1] / "golden" / "store_v3.db"
GOLDEN_1, GOLDEN_2 = GOLDEN.with_name("store_v1.db"), GOLDEN.with_name("store_v2.db")
RUN = ComparisonRun("compared", "asha+tpe", 2, "compared.asha-tpe.2")
NO_DETAILS = Details()
THE_DETAILS = Details({"loss": (1.5, float("nan")), "lr": (0.1, 0.2)}, ("the loss scale fell to 32768",))


@pytest.fixture
def file(tmp_path):
    return tmp_path / "runs" / "tuner.db"


def test_reading_migrates_nothing(file, monkeypatch):
    open_store(file).close()
    before = file.read_bytes()
    monkeypatch.setattr(migrations, "MIGRATIONS", {5: lambda connection: None})
    assert open_store(file, create=False).names() == [], "an older one is read as it is"
    monkeypatch.setattr(migrations, "READABLE", 5)
    assert "Bring it up to date" in str(
        refused(file, r"older version of tuner \(schema 4; this one reads 5\)", create=False)
    )
    assert file.read_bytes() == before
    open_store(file).close()
    assert open_store(file, create=False).names() == []


def test_an_older_store_is_read_as_it_is_and_migrated_when_it_is_written(tmp_path):
    shutil.copy(GOLDEN_1, tmp_path / "old.db")
    before = (tmp_path / "old.db").read_bytes()
    with closing(open_store(tmp_path / "old.db", create=False)) as store:
        assert [report.resource for report in store.reports("golden", 0)] == [1]
        assert store.details("golden", 0) == []
        assert (tmp_path / "old.db").read_bytes() == before
        report = replace(store.reports("golden", 0)[0], resource=2, details=Details({}, ("hello",)))
        writer = store.write("golden")
        writer.append([Reported(report)])
        writer.release()
        assert store.details("golden", 0) == [(2, Details({}, ("hello",)))]


def test_no_store_is_migrated_under_a_writer_of_the_older_version(tmp_path):
    """It would go on in the old way, and its values would be missing."""
    file = tmp_path / "old.db"
    shutil.copy(GOLDEN, file)
    me = this_process()
    holder = (me.host, me.boot, me.pid, me.started, time.time(), time.time())
    with closing(sqlite3.connect(file)) as database:
        database.execute(
            "UPDATE studies SET token = 'its', host = ?, boot = ?, pid = ?, started = ?, since = ?, heartbeat = ? "
            "WHERE name = 'golden'",
            holder,
        )
        database.commit()
    with closing(open_store(file, create=False)) as store, pytest.raises(StudyHeld, match="brought up to date, but"):
        store.create(spec("another"))
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("SELECT version FROM schema").fetchone() == (3,)
        database.execute("UPDATE studies SET token = ''")
        database.commit()
    with closing(open_store(file)) as store:
        assert len(store.values("golden")) == len(store.reports("golden"))


DAMAGE = {
    "config": ("UPDATE trials SET config = '{'", lambda store: store.trials("golden"), "the trials of study 'golden'"),
    "state": ("UPDATE trials SET state = 'odd'", lambda store: store.trials("golden"), "the trials of study 'golden'"),
    "event": ("UPDATE journal SET body = '{}'", lambda store: list(store.journal("golden")), "the journal of study"),
    "curves": ("UPDATE details SET curves = '{'", lambda store: store.details("golden", 0), "the details of trial 0"),
    "events": ("UPDATE details SET events = '3'", lambda store: store.details("golden", 0), "the details of trial 0"),
    "values": ("UPDATE report_values SET records = 'x'", lambda store: store.values("golden"), "the values of study"),
    "report": ("UPDATE journal SET body = 'x'", lambda store: store.reports("golden"), "the journal of study"),
    "command": ("UPDATE commands SET body = ''", lambda store: store.commands("golden"), "the commands of study"),
    "methods": (
        "UPDATE comparisons SET methods = '{'",
        lambda store: store.comparisons.find("compared"),
        "comparison 'compared'",
    ),
    "replay": (
        "UPDATE comparisons SET replay = '7'",
        lambda store: store.comparisons.find("compared"),
        "comparison 'compared'",
    ),
    "spec": ("UPDATE studies SET spec = '[]'", lambda store: store.study("golden"), "study 'golden' has a spec that"),
}


@pytest.mark.parametrize(("statement", "look", "said"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_rows_are_told(tmp_path, statement, look, said):
    shutil.copy(GOLDEN, tmp_path / "old.db")
    open_store(tmp_path / "old.db").close()  # migrates it
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as connection:
        connection.execute(statement)
    with closing(open_store(tmp_path / "old.db")) as store:
        with pytest.raises(StoreError, match=said):
            look(store)
        assert set(store.names()) == {"golden", "empty", RUN.study}
        store.delete("golden")
        assert set(store.names()) == {"empty", RUN.study}


@pytest.mark.parametrize("what", ["spec", "state"])
def test_outlines_tell_of_damage_and_show_the_rest(tmp_path, what):
    shutil.copy(GOLDEN, tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as connection:
        connection.execute(DAMAGE[what][0] + (" WHERE name = 'golden'" if what == "spec" else ""))
    with closing(open_store(tmp_path / "old.db", create=False)) as store:
        outlines = {outline.name: outline for outline in store.outlines()}
    assert set(outlines) == {"golden", "empty", RUN.study}
    assert {name: outline.error == "" for name, outline in outlines.items()} == {
        name: name != "golden" for name in outlines
    }
    golden = outlines["golden"]
    assert DAMAGE[what][2] in golden.error
    assert (golden.spec is None) == (what == "spec")
    assert (golden.state, golden.events, golden.values) == (StudyState.FINISHED, 4, ((0, 1, 0.5),))


@pytest.mark.parametrize("golden", [GOLDEN_1, GOLDEN_2, GOLDEN], ids=lambda path: path.stem)
def test_golden_stores_open(tmp_path, golden):
    shutil.copy(golden, tmp_path / "old.db")
    with closing(open_store(tmp_path / "old.db")) as store:
        assert {study.name for study in store.studies()} - {RUN.study} == {"golden", "empty"}
        assert store.comparisons.runs() == ([RUN] if golden is GOLDEN else [])
        study = store.study("golden")
        assert (study.state, study.reason, study.events) == (StudyState.FINISHED, "done", 4)
        assert study.spec.study == "golden"
        entries = list(store.journal("golden"))
        assert [entry.number for entry in entries] == [1, 2, 3, 4]
        assert isinstance(entries[1].event, Reported)
        assert isinstance(entries[3].event, StudyEnded)
        (trial,) = store.trials("golden")
        assert (trial.value, trial.config) == (0.5, {"lr": 1e-05})
        assert trial.gap != trial.gap
        assert store.commands("golden")[0].command == Command(CommandKind.STOP, "anna", trial=0)
        ((resource, details),) = store.details("golden", 0) or [(1, NO_DETAILS)]
        values = store.values("golden")
        assert [column.tolist() for column in columns(values)] == [[2], [1_800_000_000.0], [0], [0], [1], [0.5]]
        assert [entry.number for entry in store.journal("golden", kinds=("segment_ended", "study_ended"))] == [3, 4]
        assert (resource, repr(details)) == (1, repr(NO_DETAILS if golden is GOLDEN_1 else THE_DETAILS))
        with closing(open_store(tmp_path / "new.db")) as new:
            assert shape(store) == shape(new)


def columns(values):
    return (values.number, values.time, values.trial, values.segment, values.resource, values.value)


def test_values_are_the_same_before_and_after_a_migration(tmp_path):
    with closing(open_store(tmp_path / "new.db")) as store:
        store.create(spec("many"))
        writer = store.write("many")
        for group in range(5):
            writer.append([reported(n % 7, group * 1_000 + n) for n in range(1, 1_001)])
        writer.append([Ticked(1.0), *EVENTS, reported(1, 9_999)])
        writer.release()
        expected = [column.tolist() for column in columns(store.values("many"))]
    with closing(sqlite3.connect(tmp_path / "new.db", isolation_level=None)) as connection:
        connection.execute("DROP TABLE report_values")
        connection.execute("DROP INDEX journal_but_reports")
        connection.execute("UPDATE schema SET version = 3")
    for create in (False, True):
        with closing(open_store(tmp_path / "new.db", create=create)) as store:
            found = store.values("many")
            assert repr([column.tolist() for column in columns(found)]) == repr(expected)
            assert store.values("many", after=4_999).number.tolist() == expected[0][4_999:]
            assert [entry.number for entry in store.journal("many", kinds=("ticked",))] == [5_001, 5_008]


@pytest.mark.parametrize("damage", ["UPDATE journal SET body = '{}'", "UPDATE studies SET spec = '[]'"])
def test_damage_keeps_no_store_from_being_migrated(tmp_path, damage):
    shutil.copy(GOLDEN, tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as connection:
        connection.execute(damage)
    with closing(open_store(tmp_path / "old.db")) as store:
        found = [column.tolist() for column in columns(store.values("golden"))]
        assert repr(found) in ("[[], [], [], [], [], []]", "[[2], [1800000000.0], [0], [0], [1], [nan]]")


def test_a_golden_comparison(tmp_path):
    shutil.copy(GOLDEN, tmp_path / "old.db")
    with closing(open_store(tmp_path / "old.db")) as store:
        plan = store.comparisons.find("compared").plan
        assert (plan.methods, plan.repeats, plan.replay) == (
            ("random", "asha+tpe"),
            3,
            Replay("mnist.parquet", "ab", 8),
        )
        assert [(entry.number, entry.time) for entry in store.journal(RUN.study)] == [(1, 1_800_000_001.5)]


def test_an_older_store_has_no_comparisons_until_it_is_written(tmp_path):
    shutil.copy(GOLDEN_2, tmp_path / "old.db")
    with closing(open_store(tmp_path / "old.db", create=False)) as store:
        assert store.comparisons.names() == store.comparisons.runs() == []
        with pytest.raises(StudyNotFound, match="no comparison 'compared'"):
            store.comparisons.find("compared")
        plan = ComparisonPlan(store.study("golden").spec.model_copy(update={"study": "compared"}), ("random",), 1)
        assert store.comparisons.create(plan).plan == plan


def shape(store):
    """The tables' columns and keys, and the indexes, in whatever order those were made."""

    def told(pragma, table):
        return connection.execute(text(f"PRAGMA {pragma}({table})")).all()

    with store._database.reading() as connection:
        return {
            table: (
                told("table_info", table),
                told("foreign_key_list", table),
                {index[1:]: tuple(told("index_info", index.name)) for index in told("index_list", table)},
            )
            for table in METADATA.tables
        }


def test_migrations_run_once_and_in_one_transaction(file, monkeypatch):
    open_store(file).close()

    def second(connection):
        connection.execute(text("ALTER TABLE studies ADD COLUMN colour TEXT"))

    def third(connection):
        connection.execute(insert(schema).values(version=6))
        raise OSError("the light went out")

    monkeypatch.setattr(migrations, "MIGRATIONS", {5: second, 6: third})
    with pytest.raises(OSError, match="light"):
        open_store(file)
    monkeypatch.setattr(migrations, "MIGRATIONS", {5: second})
    for _ in range(2):
        with closing(open_store(file)) as store, store._database.reading() as connection:
            assert migrations.stored_version(connection) == 5
            assert connection.execute(text("SELECT count(colour) FROM studies")).scalar() == 0
