"""The command line as a person meets it: in a folder, with exit codes and messages."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from by_hand import Hand
from rich.console import Console
from workplace import SPEC, Workplace

from tuner.cli.progress import ProgressDisplay
from tuner.errors import UserMistake
from tuner.home import author
from tuner.records import Command, CommandKind
from tuner.spec import StudySpec
from tuner.spec.load import load_spec, with_overrides
from tuner.store import open_store
from tuner.workflows.places import claim_folder, owns_folder, study_folder


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder in which the study has been run."""
    place = Workplace(tmp_path_factory.mktemp("done"))
    place.out, _ = place.tune("run", "spec.yaml")
    return place


def test_a_run_says_what_it_does_what_is_best_and_what_is_next(done):
    assert "demo: 12 trials; auto; asha, promote from 1 to 9 epochs; minimize loss" in done.out
    assert "demo: finished (all 12 trials are done)" in done.out
    assert "best 5 of 12 trials" in done.out
    assert "tune resume demo --trials 24" in done.out
    assert (done.folder / "runs" / "tuner.db").exists()
    assert (done.folder / "runs" / "demo" / "0" / "log.txt").read_text().count("epoch") >= 1


def test_show_json_is_the_promised_object(done):
    shown = done.json("show", "demo")
    assert list(shown) == ["study", "state", "metric", "direction", "counts", "best", "trials"]
    assert (shown["study"], shown["state"], shown["metric"], shown["direction"]) == (
        "demo",
        "finished",
        "loss",
        "minimize",
    )
    assert sum(shown["counts"].values()) == len(shown["trials"]) == 12
    assert shown["counts"]["running"] == shown["counts"]["paused"] == shown["counts"]["waiting"] == 0
    best = shown["best"]
    assert list(best) == ["number", "value", "config", "metrics"]
    trial = shown["trials"][best["number"]]
    assert list(trial) == ["number", "state", "value", "config", "resource", "segments", "seconds", "failure"]
    assert trial["resource"] == 9
    assert trial["value"] == best["value"] == best["metrics"]["loss"]
    finals = [t["value"] for t in shown["trials"] if t["resource"] == 9]
    assert best["value"] == min(finals)


def test_list_trial_and_log(done):
    (row,) = done.json("list")
    assert (row["study"], row["state"], row["trials"]) == ("demo", "finished", 12)
    best = done.json("show", "demo")["best"]["number"]
    trial = done.json("trial", "demo", str(best))
    assert [report["resource"] for report in trial["reports"]] == list(range(1, 10))
    assert trial["reports"][-1]["metrics"]["loss"] == trial["value"]
    log, _ = done.tune("trial", "demo", str(best), "--log")
    assert log.count("segment") == trial["segments"]
    assert "demo" in done.tune("list")[0]
    assert "epoch" in done.tune("trial", "demo", str(best))[0]


def test_a_second_run_is_done_already_and_writes_nothing(done):
    before = done.json("list")[0]["updated"]
    out, _ = done.tune("run", "spec.yaml")
    assert "demo is done already" in out
    assert done.json("list")[0]["updated"] == before


def test_another_spec_under_the_same_name_is_told_where_it_differs(done):
    _, err = done.tune("run", "spec.yaml", "--set", "seed=1", "--set", "space.x.float=[0, 2]", code=2)
    assert "study 'demo' exists with another spec" in err
    assert "seed: 0 -> 1" in err
    assert "space.x.float: [0.0, 1.0] -> [0.0, 2.0]" in err
    assert "--fresh" in err


def test_fresh_takes_the_next_name_and_name_another(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    place.tune("run", "spec.yaml", "--trials", "3", "--fresh")
    place.tune("run", "spec.yaml", "--trials", "2", "--name", "other")
    assert {row["study"]: row["trials"] for row in place.json("list")} == {"demo": 2, "demo-2": 3, "other": 2}


def test_resume_extends_a_finished_study(place):
    place.tune("run", "spec.yaml", "--trials", "3")
    out, _ = place.tune("resume", "demo", "--trials", "6")
    assert "going on with demo: 3 trials so far" in out
    shown = place.json("show", "demo")
    assert (shown["state"], len(shown["trials"])) == ("finished", 6)
    assert len(place.json("resume", "demo")["trials"]) == 6


def test_delete_removes_records_and_files(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    place.tune("delete", "demo", "--yes")
    assert place.json("list") == []
    assert not (place.folder / "runs" / "demo").exists()


def test_run_json_prints_one_object_and_nothing_else(place):
    out, _ = place.tune("run", "spec.yaml", "--trials", "2", "--json")
    assert json.loads(out)["study"] == "demo"


def test_nan_is_null_in_json(place):
    (place.folder / "thing.py").write_text(
        "def curve(config, trial):\n    trial.report(1, loss=config['x'], odd=float('nan'), far=float('inf'))\n"
    )
    place.tune("run", "spec.yaml", "--trials", "1")
    assert place.json("trial", "demo", "0")["reports"][0]["metrics"] | {"loss": 0} == {
        "loss": 0,
        "odd": None,
        "far": None,
    }


def test_a_study_whose_code_is_broken_is_given_up_with_exit_code_1(place):
    out, _ = place.tune("run", "spec.yaml", "--set", "objective=thing:broken", code=1)
    assert "given up, as the first 5 trials all failed" in out
    assert "the disk is made of cheese  (thing.py:" in out
    trial = place.json("trial", "demo", "0")
    assert trial["state"] == "failed"
    assert "raise RuntimeError" in trial["details"]


MNIST = ["--set", "objective=objectives.mnist:Mnist"]

MISTAKES = {
    "no file": (["run", "nope.yaml"], "nope.yaml"),
    "unknown key": (["run", "spec.yaml", "--set", "budgett.trials=3"], "budget"),
    "sampler": (["run", "spec.yaml", "--set", "sampler.name=tpee"], "tpe"),
    "no module": (["run", "spec.yaml", "--set", "objective=nothing:curve"], "nothing"),
    "not an objective": (["run", "spec.yaml", "--set", "objective=thing:not_one"], "not_one"),
    "no attribute": (["run", "spec.yaml", "--set", "objective=thing:curv"], "curve"),
    "executor": (["run", "spec.yaml", "--executor", "lanes"], "executor"),
    "two local workers": (["run", "spec.yaml", "--parallel", "2"], "one worker"),
    "local on a cluster": (["run", "spec.yaml", "--address", "auto"], "--address"),
    "budget of nothing": (["run", "spec.yaml", "--set", "budget.trials=null"], "budget"),
    "rungs": (["run", "spec.yaml", "--set", "scheduler.min_resource=10"], "min_resource"),
    "no study": (["show", "demo"], "demo"),
    "no study to resume": (["resume", "demo"], "demo"),
    "too many gpus": (["run", "spec.yaml", "--set", "resources.gpus=64"], "64 GPUs for a worker, but there are"),
    "trainer's setting": (["run", "spec.yaml", *MNIST, "--set", "fixed.optimizer=adamm"], "fixed.optimizer"),
    "trainer's axis": (["check", "spec.yaml", *MNIST, "--set", "space.lr={float: [-1, 1]}"], "space.lr"),
    "no report at a rung": (
        ["check", "spec.yaml", *MNIST, "--set", "scheduler.unit=step", "--set", "fixed.report_every=50"],
        "scheduler.min_resource: the trainer reports every 50 steps (report_every), got 1",
    ),
    "no report at the end": (
        ["check", "spec.yaml", *MNIST, "--set", "scheduler={min_resource: 2}", "--set", "fixed.report_every=2"],
        "scheduler.max_resource: the trainer reports every 2 epochs (report_every), got 9",
    ),
    "check": (["check", "spec.yaml", "--set", "space.x.float=[1, 0]"], "low must be below high"),
    "store": (["run", "spec.yaml", "--store", "mysql://me:secret@host/db"], "mysql"),
}


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_message_and_nothing_is_written(place, arguments, said):
    before = sorted(path.name for path in place.folder.iterdir() if path.name != "__pycache__")
    code = 1 if "--store" in arguments else 2
    out, err = place.tune(*arguments, code=code)
    assert err.startswith("error: ")
    assert said in err
    assert "secret" not in out + err
    assert sorted(path.name for path in place.folder.iterdir() if path.name != "__pycache__") == before


def test_steps_are_fine_where_every_rung_is_a_report(place):
    scheduler = "scheduler={unit: step, min_resource: 50, max_resource: 400}"
    out, _ = place.tune("check", "spec.yaml", *MNIST, "--set", scheduler, "--set", "fixed.report_every=50")
    assert "spec.yaml is fine" in out


def test_only_a_task_is_told_to_fetch(place):
    (place.folder / "thing.py").write_text(
        "def curve(config, trial):\n    return config['x']\n\n"
        "def fetch():\n    raise RuntimeError('not for you')\n\n"
        "curve.fetch = fetch\n"
    )
    place.tune("run", "spec.yaml", "--trials", "1")


def test_check_and_schema(place):
    out, _ = place.tune("check", "spec.yaml")
    assert "spec.yaml is fine" in out
    (place.folder / "thing.py").unlink()
    assert "not imported" in place.tune("check", "spec.yaml", "--no-import")[0]
    assert json.loads(place.tune("schema")[0])["properties"]["space"]


def test_a_study_without_a_store_is_not_found_and_none_is_made(place):
    assert "No studies yet" in place.tune("list")[0]
    assert not (place.folder / "runs").exists()


def test_spec_text_is_data(place):
    (place.folder / "spec.yaml").write_text(SPEC.replace("x:", "'[red]x[/red]':").replace('"x"', '"[red]x[/red]"'))
    (place.folder / "thing.py").write_text("def curve(config, trial):\n    return config['[red]x[/red]']\n")
    out, _ = place.tune("run", "spec.yaml", "--trials", "2")
    assert "[red]x[/red]" in out


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


MINIMAL = {"objective": "a:b", "metric": {"name": "loss"}, "space": {"x": {"float": [0, 1]}}}


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


def test_budgets_are_those_after_extensions(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    out, _ = place.tune("resume", "demo", "--trials", "4")
    assert "tune resume demo --trials 8" in out
    out, _ = place.tune("run", "spec.yaml", "--trials", "2")
    assert "tune resume demo --trials 8" in out
    _, err = place.tune("resume", "demo", "--minutes", "1e-9", code=2)
    assert "0.01" in err


def test_a_trial_that_failed_once_is_not_listed_as_failed(place):
    (place.folder / "thing.py").write_text(
        "def curve(config, trial):\n"
        "    if not trial.folder.joinpath('tried').exists():\n"
        "        trial.folder.joinpath('tried').touch()\n"
        "        raise RuntimeError('once')\n"
        "    return config['x']\n"
    )
    out, _ = place.tune("run", "spec.yaml", "--trials", "2", "--set", "failures.retries=1")
    assert "failed" not in [line.strip() for line in out.splitlines()]
    assert place.json("show", "demo")["counts"]["failed"] == 0


def test_columns_are_honoured(done, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, done.tune("show", "demo")[0].splitlines())) <= 60
    monkeypatch.setenv("COLUMNS", "0")
    assert "best 10 of 12" in done.tune("show", "demo")[0]


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


def test_a_path_too_long_and_one_that_is_no_text(place):
    assert "cannot be read: File name too long" in place.tune("check", "a" * 5_000, code=2)[1]
    assert "must be UTF-8" in place.tune("list", "--store", "\udcff.db", code=1)[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_output_that_cannot_be_written(done):
    def shell(line):
        tune = f"{shlex.quote(sys.executable)} -m tuner.cli"
        ended = subprocess.run(["sh", "-c", line.format(tune=tune)], cwd=done.folder, capture_output=True, text=True)
        return ended.returncode, ended.stdout, ended.stderr

    assert shell("{tune} list > /dev/full") == (1, "", "error: [Errno 28] No space left on device\n")
    code, _, err = shell("{tune} show nosuch >&-")
    assert (code, err.splitlines()[0]) == (2, "error: there is no study 'nosuch'")
    assert shell("{tune} show nosuch >&- 2>&-") == (2, "", "")
    assert shell("{tune} show demo >&-") == (0, "", "")


def test_the_live_block_has_the_extended_budget_and_an_end():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    hand = Hand(budget={"trials": 1})
    hand.play(lambda segment, resource: 1.0)
    with ProgressDisplay(console) as display:
        display(hand.controller)
    assert "1 of 1 trials" in console.file.getvalue()
    assert " left" not in console.file.getvalue()
    hand.controller.on_command(Command(CommandKind.EXTEND, "anna", budget={"trials": 3}), 1)
    with ProgressDisplay(console) as display:
        display(hand.controller)
    assert "1 of 3 trials" in console.file.getvalue()
