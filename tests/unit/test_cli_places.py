"""Where the command line keeps a study: stores, folders, and those of somebody else."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from by_hand import study_spec
from workplace import Workplace

from tuner.cli import comparing, running
from tuner.errors import UserMistake
from tuner.home import author
from tuner.spec import StudySpec
from tuner.spec.load import load_spec, with_overrides
from tuner.store import ComparisonPlan, open_store
from tuner.workflows.places import claim_folder, owns_folder, study_folder


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


def test_a_study_without_a_store_is_not_found_and_none_is_made(place):
    assert "No studies yet" in place.tune("list")[0]
    assert not (place.folder / "runs").exists()


def test_delete_leaves_another_stores_files(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    _, err = place.tune("run", "spec.yaml", "--trials", "2", "--store", "other.db", code=2)
    assert f"{place.folder}/runs/demo holds the files of a study 'demo' of another store" in err
    assert "--name" in err
    with closing(open_store(place.folder / "other.db")) as other:
        if "demo" not in other.names():
            other.create(load_spec(place.folder / "spec.yaml"))
    out, _ = place.tune("delete", "demo", "--yes", "--store", "other.db")
    assert f"{place.folder}/runs/demo stays, as it is not marked as this study's" in out
    assert (place.folder / "runs" / "demo" / "0" / "log.txt").exists()
    assert place.json("list", "--store", "other.db") == []
    place.tune("delete", "demo", "--yes")
    assert not (place.folder / "runs" / "demo").exists()


def test_a_folder_of_something_else_is_not_taken(place):
    (place.folder / "src").mkdir()
    (place.folder / "src" / "mine.py").touch()
    _, err = place.tune("run", "spec.yaml", "--set", "storage=.", "--name", "src", code=2)
    assert f"{place.folder}/src holds files of something else than study 'src'" in err
    assert [path.name for path in (place.folder / "src").iterdir()] == ["mine.py"]


def test_a_file_in_the_folders_place(place):
    _, err = place.tune("run", "spec.yaml", "--name", "tuner.db", code=2)
    assert "runs/tuner.db cannot be used: a file is in its place" in err


MINIMAL = {"objective": "a:b", "metric": {"name": "loss"}, "space": {"x": {"float": [0, 1]}}}


def test_an_empty_folder_and_ones_own_are_taken(tmp_path):
    with closing(open_store(tmp_path / "tuner.db")) as store:
        record = store.create(StudySpec.from_dict({**MINIMAL, "study": "demo"}))
        other = store.create(StudySpec.from_dict({**MINIMAL, "study": "other"}))
    folder = tmp_path / "a" / "b"
    assert not owns_folder(record, folder)
    for _ in range(2):
        assert claim_folder(record, folder) == folder
    assert owns_folder(record, folder)
    assert not owns_folder(other, folder)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
    with pytest.raises(UserMistake, match="holds the files of a study 'demo'"):
        claim_folder(other, folder)
    (folder / ".study").write_text("{")
    with pytest.raises(UserMistake, match="cannot be read"):
        claim_folder(record, folder)


def test_a_marker_that_a_kill_left_half_written_is_nobodys(tmp_path):
    with closing(open_store(tmp_path / "tuner.db")) as store:
        record = store.create(StudySpec.from_dict({**MINIMAL, "study": "demo"}))
    folder = tmp_path / "demo"
    code = (
        "import os, sys; from tuner.workflows import places; from tuner.store import open_store; "
        "os.link = os.fsync = lambda *a: os.kill(os.getpid(), 9); "
        "places.claim_folder(open_store(sys.argv[1]).study('demo'), places.Path(sys.argv[2]))"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "tuner.db"), str(folder)], check=False)
    assert killed.returncode == -9
    assert [path.name[:7] for path in folder.iterdir()] == [".study-"]
    claim_folder(record, folder)
    assert owns_folder(record, folder)


def test_a_folder_is_claimed_where_the_file_system_has_no_links(tmp_path, monkeypatch):
    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    with closing(open_store(tmp_path / "tuner.db")) as store:
        record = store.create(StudySpec.from_dict({**MINIMAL, "study": "demo"}))
    monkeypatch.setattr("os.link", no_links)
    assert owns_folder(record, claim_folder(record, tmp_path / "demo"))
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [".study"]


def test_home_is_one_place(place, monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("TUNER_HOME", "~/studies")
    spec = StudySpec.from_dict({**MINIMAL, "study": "demo"})
    assert study_folder(spec) == Path("/home/anna/studies/demo")
    with pytest.raises(UserMistake, match="~nosuch"):
        study_folder(with_overrides(spec, ["storage=~nosuch/x"]))
    monkeypatch.setenv("TUNER_HOME", "~nosuch")
    with pytest.raises(UserMistake, match="~nosuch"):
        study_folder(spec)


def test_an_author_without_a_name(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 123456)
    assert author() == "123456"
    monkeypatch.setenv("USER", "anna")
    assert author() == "anna"


def test_paths_are_text(tmp_path):
    odd = tmp_path / "a[/b] :smile: [red]"
    odd.mkdir(parents=True)
    place = Workplace(odd)
    out, _ = place.tune(
        "run", "spec.yaml", "--trials", "2", "--store", str(odd / "x[/b].db"), "--set", "storage='[/c]'"
    )
    assert f"{odd}/[/c]/demo" in out
    assert f"store       {odd}/x[/b].db" in out
    out, _ = place.tune("trial", "demo", "0", "--store", "x[/b].db")
    assert "[/c]/demo/0/log.txt" in out
    shutil.copy(odd / "spec.yaml", odd / "[/b].yaml")
    out, _ = place.tune("check", str(odd / "[/b].yaml"), "--set", "study=demo")
    assert f"{odd}/[/b].yaml is fine" in out


def test_a_run_and_its_next_commands_show_no_password(place, monkeypatch):
    local = open_store(place.folder / "server.db")
    for module in (running, comparing):  # a server, as far as the command line can tell
        monkeypatch.setattr(module, "open_store", lambda *_, **__: local)
    url = "postgresql://me:hunter2@host/db"
    out, err = place.tune("run", "spec.yaml", "--trials", "2", "--store", url)
    out_2, err_2 = place.tune(
        "compare", "spec.yaml", "--methods", "random,sobol", "--repeats", "1", "--budget", "trials=2", "--store", url
    )
    local.close()
    assert "store       postgresql://me:***@host/db" in out
    assert "tune resume demo --store 'postgresql://me:***@host/db'" in out
    assert "tune show demo-compare --store 'postgresql://me:***@host/db'" in out_2
    assert "hunter2" not in out + err + out_2 + err_2


def damage(place, study):
    with closing(sqlite3.connect(place.folder / "runs" / "tuner.db", isolation_level=None)) as connection:
        connection.execute("UPDATE studies SET spec = '{}' WHERE name = ?", [study])


def test_an_unreadable_study_is_in_nobodys_way(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    damage(place, "demo")
    out, _ = place.tune("list")
    assert "unreadable" in out
    assert "study 'demo' has a spec that this version of tuner cannot read" in out
    assert [(row["study"], row["state"]) for row in place.json("list")] == [("demo", "unreadable")]
    place.tune("run", "spec.yaml", "--trials", "2", "--name", "other")
    out, _ = place.tune("delete", "demo", "--yes")
    assert "its files stay" in out
    assert [row["study"] for row in place.json("list")] == ["other"]


def test_an_unreadable_comparison_is_in_nobodys_way(place):
    with closing(open_store(place.folder / "runs" / "tuner.db")) as store:
        store.comparisons.create(ComparisonPlan(study_spec(study="broken"), ("random",), 1))
    with closing(sqlite3.connect(place.folder / "runs" / "tuner.db", isolation_level=None)) as connection:
        connection.execute("UPDATE comparisons SET methods = '{'")
    place.tune("run", "spec.yaml", "--trials", "2")
    assert "comparison 'broken' cannot be read" in place.tune("list")[0]
    assert [row["study"] for row in place.json("list")] == ["demo", "broken"]


def test_looking_at_a_foreign_database_changes_nothing(place):
    foreign = place.folder / "foreign.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE wallets (money)")
    before = foreign.read_bytes()
    assert "wallets" in place.tune("list", "--store", "foreign.db", code=1)[1]
    assert foreign.read_bytes() == before
    (place.folder / "empty.db").touch()
    assert "No studies yet" in place.tune("list", "--store", "empty.db")[0]
    assert (place.folder / "empty.db").stat().st_size == 0
