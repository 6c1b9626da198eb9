"""A study whose checkpoints are in an object store, its driver and workers killed: it goes on from what is there."""

from __future__ import annotations

import hashlib
import os
import signal

import pytest
from test_interruptions import PAUSE, group_is_gone, wait_for_trials
from workplace import Workplace

from tuner.spec.load import load_spec
from tuner.storage import open_storage
from tuner.store import open_store
from tuner.workflows.kept import find_checkpoint


def check_checkpoints(place, storage):
    """Those that the study would go on from, or show, are there and whole."""
    spec, store = load_spec(place.folder / "spec.yaml"), open_store(place.folder / "runs" / "tuner.db")
    for trial in store.trials("demo"):
        own = store.reports("demo", trial.number)
        for kept in (find_checkpoint(spec, own, "last"), find_checkpoint(spec, own, "best")):
            assert hashlib.sha256(storage.read(kept.path)).hexdigest() == kept.sha256


def test_a_study_resumed_after_a_kill_is_the_undisturbed_one(tmp_path, s3):
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
    undisturbed, place = Workplace(tmp_path / "undisturbed"), Workplace(tmp_path / "killed")
    undisturbed.tune("run", "spec.yaml", *PAUSE)
    option = ["--set", f'storage="{s3.url("runs")}"']
    process = place.start("run", "spec.yaml", *PAUSE, *option)
    wait_for_trials(place, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert place.json("show", "demo")["counts"]["running"] == 0, "no zombie"
    place.tune("resume", "demo")
    assert place.story("demo") == undisturbed.story("demo")
    check_checkpoints(place, open_storage(s3.url("runs/demo")))


@pytest.mark.slow
def test_workers_on_ray_go_on_from_the_object_store_after_a_kill_of_all(tmp_path, s3):
    place = Workplace(tmp_path)
    arguments = ["--set", "executor=ray", "--set", "parallel=2", "--set", f'storage="{s3.url("runs")}"']
    process = place.start("run", "spec.yaml", *PAUSE, *arguments)
    wait_for_trials(place, 4, seconds=90)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert group_is_gone(process.pid)
    place.tune("resume", "demo")
    shown = place.json("show", "demo")
    assert (shown["state"], shown["counts"]["failed"], len(shown["trials"])) == ("finished", 0, 12)
    for trial in shown["trials"]:
        number = str(trial["number"])
        reports = place.json("trial", "demo", number)["reports"]
        assert [report["resource"] for report in reports] == list(range(1, trial["resource"] + 1))
        sums = [sum(trial["config"]["x"] / epoch for epoch in range(1, n + 1)) for n in range(1, len(reports) + 1)]
        assert [report["metrics"]["sum"] for report in reports] == pytest.approx(sums), "its state came along"
        assert "epoch" in place.tune("trial", "demo", number, "--log")[0]
    check_checkpoints(place, open_storage(s3.url("runs/demo")))
