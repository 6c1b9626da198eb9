"""The command line as a person meets it: in a folder, with exit codes and messages."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from by_hand import Hand
from rich.console import Console
from workplace import SPEC, Workplace

from tuner.cli.progress import ProgressDisplay
from tuner.records import Command, CommandKind


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


def test_only_a_task_is_told_to_fetch(place):
    (place.folder / "thing.py").write_text(
        "def curve(config, trial):\n    return config['x']\n\n"
        "def fetch():\n    raise RuntimeError('not for you')\n\n"
        "curve.fetch = fetch\n"
    )
    place.tune("run", "spec.yaml", "--trials", "1")


def test_spec_text_is_data(place):
    (place.folder / "spec.yaml").write_text(SPEC.replace("x:", "'[red]x[/red]':").replace('"x"', '"[red]x[/red]"'))
    (place.folder / "thing.py").write_text("def curve(config, trial):\n    return config['[red]x[/red]']\n")
    out, _ = place.tune("run", "spec.yaml", "--trials", "2")
    assert "[red]x[/red]" in out


def test_budgets_are_those_after_extensions(place):
    place.tune("run", "spec.yaml", "--trials", "2")
    out, _ = place.tune("resume", "demo", "--trials", "4")
    assert "tune resume demo --trials 8" in out
    out, _ = place.tune("run", "spec.yaml", "--trials", "2")
    assert "tune resume demo --trials 8" in out
    _, err = place.tune("resume", "demo", "--minutes", "1e-9", code=2)
    assert "0.01" in err


def test_columns_are_honoured(done, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, done.tune("show", "demo")[0].splitlines())) <= 60
    monkeypatch.setenv("COLUMNS", "0")
    assert "best 10 of 12" in done.tune("show", "demo")[0]


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
