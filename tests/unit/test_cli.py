"""The command line as a person meets it: in a folder, with exit codes and messages."""

from __future__ import annotations

import json

import pytest
from workplace import SPEC, Workplace


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
    assert "demo: 12 trials; tpe; asha, promote from 1 to 9 epochs; minimize loss" in done.out
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
    "trainer's unit": (["check", "spec.yaml", *MNIST, "--set", "scheduler.unit=step"], "scheduler.unit"),
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
