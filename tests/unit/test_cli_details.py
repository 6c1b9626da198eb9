"""What reports carry besides numbers, and the checkpoints that stay, as a person gets at them."""

from __future__ import annotations

import math

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from workplace import SPEC, Workplace

import tuner
from tuner.errors import CheckpointError, StudyNotFound, UserMistake
from tuner.records import Details
from tuner.workflows.study import Study

OBJECTIVE = """
import torch

LOSSES = [0.5, 0.25, 0.75, 0.6, 0.7]

def talkative(config, trial):
    trial.pace(30.0)
    for epoch in range(trial.start + 1, trial.until + 1):
        if epoch == 2:
            trial.attach(curves={"loss": [1.0, float("nan")], "lr": [0.1, 0.2]}, events=["[red]spike[/red] at step 3"])
        if epoch == 4:
            trial.attach(curves={"loss": [4.0]}, events=[f"event {n}" for n in range(40)])
        state = {"epoch": epoch, "model": {"w": torch.full((2,), float(epoch))}, "averaged": None}
        trial.report(epoch, checkpoint=state, loss=LOSSES[epoch - 1] + trial.number)

def bare(config, trial):
    trial.report(1, loss=1.0)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("talkative"))
    (place.folder / "thing.py").write_text(OBJECTIVE)
    spec = SPEC.replace("thing:curve", "thing:talkative").replace("{name: asha, max_resource: 9}", "SCHEDULER")
    (place.folder / "spec.yaml").write_text(spec.replace("SCHEDULER", "{name: none, max_resource: 5}"))
    arguments = ["--trials", "2", "--set", "checkpoint.keep=1"]
    place.out, _ = place.tune("run", "spec.yaml", *arguments)
    place.tune("run", "spec.yaml", "--set", "objective=thing:bare", "--trials", "1", "--name", "bare")
    return place


@pytest.fixture
def study(place, monkeypatch) -> Study:
    monkeypatch.chdir(place.folder)
    monkeypatch.delenv("TUNER_HOME", raising=False)
    return tuner.study("demo")


def test_the_time_left_is_told_before_the_first_report(place):
    assert "2 min 30 s left" not in place.out
    assert "5 min 00 s left  1 trials: 1 running  no value yet" in place.out


def test_a_trial_tells_its_events(place):
    out, _ = place.tune("trial", "demo", "0")
    lines = [line.strip() for line in out.splitlines()]
    assert "epoch 4: event 39" in lines
    assert "11 earlier ones: with --json" in lines
    assert "epoch 4: event 9" not in lines
    assert "events" not in place.tune("trial", "bare", "0")[0]


def test_json_has_events_and_curves(place):
    reports = place.json("trial", "demo", "1")["reports"]
    assert [list(report) for report in reports] == [
        ["segment", "resource", "seconds", "metrics", "events", "curves"]
    ] * 5
    assert reports[0]["events"] == []
    assert reports[0]["curves"] == {}
    assert reports[1]["events"] == ["[red]spike[/red] at step 3"]
    assert reports[1]["curves"] == {"loss": [1.0, None], "lr": [0.1, 0.2]}
    assert len(reports[3]["events"]) == 40
    assert list(place.json("show", "demo")["trials"][0]) == [
        *("number", "state", "value", "config", "resource", "segments", "seconds", "failure")
    ]


def test_python_has_them_as_records_and_as_a_frame(study):
    (second, first), (fourth, _) = study.details(0)
    assert (second, fourth) == (2, 4)
    assert repr(first) == repr(Details({"loss": (1.0, math.nan), "lr": (0.1, 0.2)}, ("[red]spike[/red] at step 3",)))
    frame = study.steps_frame(0)
    index = pd.MultiIndex.from_tuples([(2, 0), (2, 1), (4, 0)], names=["resource", "point"])
    expected = pd.DataFrame({"loss": [1.0, math.nan, 4.0], "lr": [0.1, 0.2, math.nan]}, index=index)
    pd.testing.assert_frame_equal(frame, expected)
    assert len(tuner.study("bare").steps_frame(0)) == 0
    with pytest.raises(StudyNotFound, match="no trial 7"):
        study.details(7)


def test_the_best_and_the_last_checkpoint(study):
    assert study.load_checkpoint(0)["epoch"] == 2
    assert study.load_checkpoint(1, "last")["epoch"] == 5
    kept = sorted(path.name for path in (study.folder / "0").glob("*.ckpt"))
    assert kept == ["000000002-000.ckpt", "000000005-000.ckpt"], "keep: 1, and the best"
    with pytest.raises(UserMistake, match="'best' or 'last', got 'first'"):
        study.load_checkpoint(0, "first")
    with pytest.raises(CheckpointError, match="no best checkpoint: its objective gave none"):
        tuner.study("bare").load_checkpoint(0)
    with pytest.raises(StudyNotFound):
        study.load_checkpoint(2)


def test_weights_alone(study, tmp_path):
    study.save_weights(0, tmp_path / "best.safetensors")
    study.save_weights(0, tmp_path / "last.safetensors", which="last")
    assert torch.equal(load_file(tmp_path / "best.safetensors")["w"], torch.full((2,), 2.0))
    assert torch.equal(load_file(tmp_path / "last.safetensors")["w"], torch.full((2,), 5.0))


def test_a_checkpoint_that_is_gone_is_told(study):
    path = study.folder / "1" / "000000002-000.ckpt"
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(CheckpointError, match="epoch 2 is not there any more") as caught:
            study.load_checkpoint(1)
        assert "checkpoint.best" in str(caught.value)
    finally:
        path.with_suffix(".away").rename(path)
