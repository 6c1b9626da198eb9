"""What the command line says of mistakes in a spec, its arguments or the objective."""

from __future__ import annotations

import json

import pytest
from workplace import Workplace


@pytest.fixture
def place(tmp_path):
    return Workplace(tmp_path)


DIGITS = ["--set", "objective=objectives.digits:Digits"]
MNIST = ["--set", "objective=objectives.mnist:Mnist"]

MISTAKES = {
    "no file": (["run", "nope.yaml"], "nope.yaml"),
    "unknown key": (["run", "spec.yaml", "--set", "budgett.trials=3"], "budget"),
    "sampler": (["run", "spec.yaml", "--set", "sampler.name=tpee"], "tpe"),
    "no module": (["run", "spec.yaml", "--set", "objective=nothing:curve"], "nothing"),
    "not an objective": (["run", "spec.yaml", "--set", "objective=thing:not_one"], "not_one"),
    "no attribute": (["run", "spec.yaml", "--set", "objective=thing:curv"], "curve"),
    "executor": (["run", "spec.yaml", "--executor", "lane"], "no such executor: 'lane'"),
    "lanes of a function": (["run", "spec.yaml", "--executor", "lanes"], "executor: lanes train a Task"),
    "lanes where nothing fuses": (
        ["run", "spec.yaml", *DIGITS, "--set", "fixed.micro_batch=8", "--executor", "lanes"],
        "executor: its trials cannot be trained in lanes: micro_batch is not fused yet",
    ),
    "a lane of several GPUs": (
        ["run", "spec.yaml", *DIGITS, "--executor", "lanes", "--set", "resources.gpus=2"],
        "resources.gpus: a lane trains on one GPU, got 2",
    ),
    "no slots": (["run", "spec.yaml", "--set", "resources.slots=0"], "resources.slots"),
    "two local workers": (["run", "spec.yaml", "--parallel", "2"], "one worker"),
    "two local workers to compare": (
        ["compare", "spec.yaml", "--methods", "random,tpe", "--workers", "2"],
        "Set parallel: 1 (--parallel 1; --workers 1 of tune compare)",
    ),
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


def test_check_tells_whether_the_trials_fuse(place):
    out, _ = place.tune("check", "spec.yaml", *DIGITS)
    assert "its trials fuse: executor: lanes" in out
    space = ["--set", "space={norm: {choice: [batch, none]}, dropout: {float: [0, 0.5]}}"]
    out, _ = place.tune("check", "spec.yaml", *DIGITS, *space)
    assert "its trials do not fuse" in out
    assert "changes its running statistics in place" in out
    found = json.loads(place.tune("check", "spec.yaml", *DIGITS, *space, "--json")[0])["unfused"]
    assert {"what", "remedy", "place"} == found[0].keys()
    assert json.loads(place.tune("check", "spec.yaml", "--json")[0])["unfused"] is None, "of a function"


def test_check_and_schema(place):
    out, _ = place.tune("check", "spec.yaml")
    assert "spec.yaml is fine" in out
    (place.folder / "thing.py").unlink()
    assert "not imported" in place.tune("check", "spec.yaml", "--no-import")[0]
    assert json.loads(place.tune("schema")[0])["properties"]["space"]


def test_a_study_whose_code_is_broken_is_given_up_with_exit_code_1(place):
    out, _ = place.tune("run", "spec.yaml", "--set", "objective=thing:broken", code=1)
    assert "given up, as the first 5 trials all failed" in out
    assert "the disk is made of cheese  (thing.py:" in out
    trial = place.json("trial", "demo", "0")
    assert trial["state"] == "failed"
    assert "raise RuntimeError" in trial["details"]


def test_a_path_too_long_and_one_that_is_no_text(place):
    assert "cannot be read: File name too long" in place.tune("check", "a" * 5_000, code=2)[1]
    assert "must be UTF-8" in place.tune("list", "--store", "\udcff.db", code=1)[1]


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
