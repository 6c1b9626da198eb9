"""Warm starts: what a study takes from others, when it takes it, and that it keeps it."""

from __future__ import annotations

import shutil

import pytest

import tuner
from objectives.synthetic import LR, curves
from tuner.errors import SpecError, UserMistake
from tuner.space import Choice, Float, Int
from tuner.spec import StudySpec
from tuner.store import open_store
from tuner.workflows import run as workflow
from tuner.workflows.memory import MOST, with_memory

SPACE = {"lr": Float(1e-5, 1.0, log=True), "weight_decay": Float(1e-6, 0.1, log=True)}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a study of the synthetic curves in an empty folder."""
    monkeypatch.setenv("TUNER_HOME", str(tmp_path))

    def run(name, trials, objective=curves, **parts):
        parts = {"space": SPACE, "metric": "val_loss", "scheduler": tuner.ASHA(max_resource=9)} | parts
        parts["budget"] = {"trials": trials, **parts.get("budget", {})}
        return tuner.run(objective, study=name, executor="local", storage=str(tmp_path), **parts)

    return run


def spec_of(**parts):
    data = {"study": "new", "objective": "objectives.synthetic:curves", "metric": {"name": "val_loss"}, "space": SPACE}
    return StudySpec.from_dict(data | {"warm_start": ["old"]} | parts)


def test_a_study_starts_with_the_best_of_another_and_searches_around_it(run):
    old = run("old", 27)
    new = run("new", 9, warm_start=["old"])
    assert new.trials[0].config == old.best.config
    (memory,) = new.spec.memory
    assert (memory.study, memory.trials, len(memory.configs)) == ("old", 27, 6)
    assert memory.configs[0] == old.best.config
    ranked = sorted(old.trials, key=lambda trial: (-trial.resource, trial.value))
    assert list(memory.configs) == [trial.config for trial in ranked[:6]]


def test_what_is_taken_at_most(run):
    run("old", 80, sampler="random", scheduler=tuner.NoScheduler(max_resource=1))
    memory = with_memory(open_store(), spec_of()).memory[0]
    assert (memory.trials, len(memory.configs)) == (80, MOST)


def test_the_memory_is_kept_whatever_becomes_of_the_other_study(run, tmp_path):
    run("old", 9)
    first = run("new", 6, warm_start=["old"])
    open_store().delete("old")
    again = run("new", 6, warm_start=["old"])
    assert again.spec == first.spec
    assert tuner.resume("new", curves, trials=12).spec.memory == first.spec.memory
    shutil.rmtree(tmp_path / "old")
    run("old", 9, seed=1)
    whole = run("new", 12, warm_start=["old"], fresh=True)
    assert whole.name == "new-2"
    assert whole.spec.memory != first.spec.memory


def test_a_resumed_study_asks_what_it_would_have_asked(run):
    run("old", 12)
    run("short", 6, warm_start=["old"])
    tuner.resume("short", curves, trials=20)
    long = run("long", 20, warm_start=["old"])
    assert [trial.config for trial in tuner.study("short").trials] == [trial.config for trial in long.trials]


def test_common_axes_go_by_value_and_the_rest_is_the_prior_or_the_middle(run):
    old = run("old", 12, space={"lr": Float(1e-5, 1.0, log=True), "gone": Int(1, 3)}, fixed={"weight_decay": 1e-4})
    space = {
        "lr": Float(1e-5, 1.0, log=True),
        "weight_decay": Choice((1e-4, 1e-3)),
        "width": Int(1, 9, prior=8),
        "depth": Int(1, 9),
    }
    best = run("new", 3, space=space, warm_start=["old"]).trials[1].config
    assert best == {"lr": old.best.config["lr"], "weight_decay": 1e-4, "width": 8, "depth": 5}


def test_values_outside_the_space_are_dropped(run):
    run("old", 12)
    space = {"lr": Float(LR, 1.0, log=True), "weight_decay": Float(1e-6, 0.1, log=True)}
    taken = with_memory(open_store(), spec_of(space=space)).memory[0].configs
    assert any("lr" not in config for config in taken)
    assert all(config.get("lr", LR) >= LR and "weight_decay" in config for config in taken)


def refused(spec, given, remedy):
    with pytest.raises(SpecError) as caught:
        workflow.settle_name(open_store(create=False), spec)
    assert caught.value.path == "warm_start[0]"
    assert given in caught.value.message
    assert remedy in caught.value.hint


def test_mistakes_are_told_and_nothing_is_written(run, tmp_path):
    refused(spec_of(), "no study 'old'", "no studies yet")
    assert list(tmp_path.iterdir()) == []
    run("old", 9)
    refused(spec_of(warm_start=["odl"]), "no study 'odl'", "Did you mean 'old'?")
    refused(spec_of(space={"width": Int(1, 9)}), "none of this study's axes (width)", "It has lr, weight_decay")
    metric = {"name": "val_accuracy", "direction": "maximize"}
    refused(spec_of(metric=metric), "was to minimize val_loss, and this one is to maximize val_accuracy", "enqueue")
    refused(spec_of(space={"lr": Float(2.0, 3.0)}), "no value of lr that lies in this space", "Widen")
    writer = open_store().write("old")
    refused(spec_of(), "study 'old' is running", "tune stop old")
    writer.release()
    assert open_store().names() == ["old"]


def test_a_study_without_a_value_teaches_nothing(run):
    def broken(config, trial):
        raise RuntimeError("no")

    run("old", 5, objective=broken, failures={"retries": 0})
    refused(spec_of(), "has no trial with a value", "Leave it out")


def test_a_spec_is_not_run_before_it_remembers(run):
    run("old", 9)
    prepared = workflow.prepare(spec_of(executor="local"), curves)
    with pytest.raises(UserMistake, match="not yet taken"):
        workflow.run(open_store(), prepared)
    assert open_store().names() == ["old"]
