"""Opening a store: where it is, who may read it, and what is said when it cannot be used."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from tuner.errors import StoreError, StudyNotFound, UserMistake
from tuner.records import Command, CommandKind, Details, Reported, StudyEnded
from tuner.spec import StudySpec
from tuner.store import StudyState, default_store_url, migrations, open_store
from tuner.store.tables import METADATA, schema

GOLDEN = Path(__file__).parents[1] / "golden" / "store_v2.db"
GOLDEN_1 = GOLDEN.with_name("store_v1.db")
SPEC = StudySpec.from_dict(
    {"study": "mnist", "objective": "a:b", "metric": {"name": "loss"}, "space": {"lr": {"float": [0.1, 1.0]}}}
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "runs" / "tuner.db"


def refused(file, sign, **options):
    with pytest.raises(StoreError, match=sign) as caught:
        open_store(file, **options).studies()
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__, "the person sees no traceback of a library"
    return error


def test_the_default_place(monkeypatch):
    monkeypatch.delenv("TUNER_HOME", raising=False)
    assert default_store_url() == "sqlite:///runs/tuner.db"
    monkeypatch.setenv("TUNER_HOME", "/data/ours")
    assert default_store_url() == "sqlite:////data/ours/tuner.db"
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("TUNER_HOME", "~/studies")
    assert default_store_url() == "sqlite:////home/anna/studies/tuner.db"
    monkeypatch.setenv("TUNER_HOME", "~nosuch/studies")
    with pytest.raises(UserMistake, match="~nosuch"):
        open_store()


def test_nothing_said_is_the_default_place(monkeypatch, tmp_path):
    monkeypatch.setenv("TUNER_HOME", str(tmp_path / "why?not=100%25"))
    with closing(open_store()) as store:
        store.create(SPEC)
    assert (tmp_path / "why?not=100%25" / "tuner.db").exists()


def test_files_are_for_the_user_alone(file):
    with closing(open_store(file)) as store:
        store.create(SPEC)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {"tuner.db": 0o600, "tuner.db-wal": 0o600, "tuner.db-shm": 0o600}
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_reading_makes_no_store(file):
    with closing(open_store(file, create=False)) as store:
        assert store.studies() == []
        with pytest.raises(StudyNotFound, match="mnist"):
            store.study("mnist")
        with pytest.raises(StudyNotFound):
            store.post("mnist", Command(CommandKind.STOP, "anna"))
        with pytest.raises(StoreError, match="for reading"):
            store.create(SPEC)
        assert not file.parent.exists()
        with closing(open_store(file)) as other:
            other.create(SPEC)
        assert [study.name for study in store.studies()] == ["mnist"], "it is seen as soon as it is there"


def test_damaged_files(file):
    file.parent.mkdir()
    file.write_bytes(b"not a database, but long enough to be looked at" * 100)
    assert "not a database" in str(refused(file, "cannot be used"))
    file.unlink()
    with closing(open_store(file)) as store:
        store.create(SPEC)
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)
    assert "damaged" in str(refused(file, "cannot be used"))


def test_a_database_of_something_else(file):
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE wallets (money)")
    before = file.read_bytes()
    for create in (False, True):
        refused(file, "something else: it has the tables wallets", create=create)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["tuner.db"]


def test_reading_leaves_an_empty_file_empty(file):
    file.parent.mkdir()
    file.touch()
    with closing(open_store(file, create=False)) as store:
        assert store.studies() == store.names() == []
        with pytest.raises(StudyNotFound, match="mnist"):
            store.trials("mnist")
    assert file.read_bytes() == b""
    assert [path.name for path in file.parent.iterdir()] == ["tuner.db"]


def test_reading_migrates_nothing(file, monkeypatch):
    open_store(file).close()
    before = file.read_bytes()
    monkeypatch.setattr(migrations, "MIGRATIONS", {3: lambda connection: None})
    assert open_store(file, create=False).names() == [], "an older one is read as it is"
    monkeypatch.setattr(migrations, "READABLE", 3)
    assert "Bring it up to date" in str(
        refused(file, r"older version of tuner \(schema 2; this one reads 3\)", create=False)
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


@pytest.mark.parametrize("path", ["runs/\udcff.db", "runs/\0.db"])
def test_a_path_that_is_no_text(path):
    refused(path, "must be UTF-8")


DAMAGE = {
    "config": ("UPDATE trials SET config = '{'", lambda store: store.trials("golden"), "the trials of study 'golden'"),
    "state": ("UPDATE trials SET state = 'odd'", lambda store: store.trials("golden"), "the trials of study 'golden'"),
    "event": ("UPDATE journal SET body = '{}'", lambda store: list(store.journal("golden")), "the journal of study"),
    "curves": ("UPDATE details SET curves = '{'", lambda store: store.details("golden", 0), "the details of trial 0"),
    "events": ("UPDATE details SET events = '3'", lambda store: store.details("golden", 0), "the details of trial 0"),
    "report": ("UPDATE journal SET body = 'x'", lambda store: store.reports("golden"), "the journal of study"),
    "command": ("UPDATE commands SET body = ''", lambda store: store.commands("golden"), "the commands of study"),
    "spec": ("UPDATE studies SET spec = '[]'", lambda store: store.study("golden"), "study 'golden' has a spec that"),
}


@pytest.mark.parametrize(("statement", "look", "said"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_rows_are_told(tmp_path, statement, look, said):
    shutil.copy(GOLDEN, tmp_path / "old.db")
    with closing(sqlite3.connect(tmp_path / "old.db", isolation_level=None)) as connection:
        connection.execute(statement)
    with closing(open_store(tmp_path / "old.db")) as store:
        with pytest.raises(StoreError, match=said):
            look(store)
        assert set(store.names()) == {"golden", "empty"}
        store.delete("golden")
        assert store.names() == ["empty"]


def test_a_place_that_cannot_be(tmp_path):
    (tmp_path / "file").touch()
    refused(tmp_path / "file" / "tuner.db", "cannot be made")
    refused(tmp_path, r"directory|unable to open")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_is_read_only(file):
    with closing(open_store(file)) as store:
        store.create(SPEC)
    file.chmod(0o400)
    with pytest.raises(StoreError, match=r"Allow writing|permissions|Permission"), closing(open_store(file)) as store:
        store.create(SPEC)


def test_what_sqlite_says_of_a_read_only_store(file):
    with closing(open_store(file)) as store:
        with store._database.reading() as connection:
            connection.execute(text("PRAGMA query_only = ON"))
        with pytest.raises(StoreError, match="readonly") as caught:
            store.create(SPEC)
    assert "Allow writing" in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://me:hunter2@host/db", "postgresql://me:hunter2@host:port/db", "sqlite://"])
def test_urls_that_cannot_be(url):
    error = refused(url, r"URL|store")
    assert "hunter2" not in str(error)
    assert "postgresql://USER" in str(error)


def test_a_password_is_told_to_nobody():
    error = refused("postgresql://me:hunter2@127.0.0.1:1/db?connect_timeout=2", "the store postgresql://me:")
    assert "hunter2" not in repr(error) + str(error) + repr(error.__cause__)


def test_a_newer_version_is_refused(file):
    with closing(open_store(file)) as store, store._database.writing() as connection:
        connection.execute(schema.update().values(version=99))
    assert "Upgrade tuner" in str(refused(file, r"newer version of tuner \(schema 99; this one knows up to 2\)"))


@pytest.mark.parametrize("golden", [GOLDEN_1, GOLDEN], ids=lambda path: path.stem)
def test_golden_stores_open(tmp_path, golden):
    shutil.copy(golden, tmp_path / "old.db")
    with closing(open_store(tmp_path / "old.db")) as store:
        assert {study.name for study in store.studies()} == {"golden", "empty"}
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
        assert (resource, repr(details)) == (1, repr(NO_DETAILS if golden is GOLDEN_1 else THE_DETAILS))
        with closing(open_store(tmp_path / "new.db")) as new:
            assert shape(store) == shape(new)


NO_DETAILS = Details()
THE_DETAILS = Details({"loss": (1.5, float("nan")), "lr": (0.1, 0.2)}, ("the loss scale fell to 32768",))


def shape(store):
    """The tables' columns and keys, and the indexes."""
    with store._database.reading() as connection:
        return {
            table: [
                connection.execute(text(f"PRAGMA {pragma}({table})")).all()
                for pragma in ("table_info", "foreign_key_list", "index_list")
            ]
            for table in METADATA.tables
        }


def test_migrations_run_once_and_in_one_transaction(file, monkeypatch):
    open_store(file).close()

    def second(connection):
        connection.execute(text("ALTER TABLE studies ADD COLUMN colour TEXT"))

    def third(connection):
        connection.execute(insert(schema).values(version=4))
        raise OSError("the light went out")

    monkeypatch.setattr(migrations, "MIGRATIONS", {3: second, 4: third})
    with pytest.raises(OSError, match="light"):
        open_store(file)
    monkeypatch.setattr(migrations, "MIGRATIONS", {3: second})
    for _ in range(2):
        with closing(open_store(file)) as store, store._database.reading() as connection:
            assert migrations.stored_version(connection) == 3
            assert connection.execute(text("SELECT count(colour) FROM studies")).scalar() == 0


def test_many_may_open_it_first(file):
    """Processes that find no store make one together."""
    code = f"from tuner.store import open_store; s = open_store({str(file)!r}); s.studies(); s.close()"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
