"""Opening a store: where it is, who may read it, and what is said when it cannot be used."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from refused_stores import refused
from sqlalchemy import text

from tuner.errors import StoreError, StudyNotFound, UserMistake
from tuner.records import Command, CommandKind
from tuner.spec import StudySpec
from tuner.store import (
    default_store_url,
    open_store,
    shown_store,
)
from tuner.store.tables import schema

SPEC = StudySpec.from_dict(
    {"study": "mnist", "objective": "a:b", "metric": {"name": "loss"}, "space": {"lr": {"float": [0.1, 1.0]}}}
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "runs" / "tuner.db"


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


@pytest.mark.parametrize("path", ["runs/\udcff.db", "runs/\0.db"])
def test_a_path_that_is_no_text(path):
    refused(path, "must be UTF-8")


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


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:hunter2@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("postgresql://host/db?user=me&password=hunter2", "postgresql://host/db?user=me"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("sqlite:///runs/tuner.db", "sqlite:///runs/tuner.db"),
        ("runs/a b.db", "runs/a b.db"),
    ],
)
def test_a_store_is_shown_without_its_password(given, shown):
    assert shown_store(given) == shown


def test_a_newer_version_is_refused(file):
    with closing(open_store(file)) as store, store._database.writing() as connection:
        connection.execute(schema.update().values(version=99))
    assert "Upgrade tuner" in str(refused(file, r"newer version of tuner \(schema 99; this one knows up to 4\)"))


def test_many_may_open_it_first(file):
    """Processes that find no store make one together."""
    code = f"from tuner.store import open_store; s = open_store({str(file)!r}); s.studies(); s.close()"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
