"""A rank that is killed, leaves, hangs or raises: its trial fails in bounded time, and no process is left."""

import os
import time
from pathlib import Path

import pytest
import rank_tasks
from hand_trial import HandTrial
from rank_tasks import Misbehaving
from workplace import Workplace

from tuner.errors import TrialFailed
from tuner.records import FailureKind
from tuner.training import train

TIMEOUT = 3.0


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def failure_of(what, folder):
    """How the trial failed, after how many seconds."""
    started = time.monotonic()
    config = {"batch_size": 32, "ranks": 2, "rank_timeout": TIMEOUT}
    with pytest.raises(TrialFailed) as caught:
        train(Misbehaving(what, str(folder)), config, HandTrial(20, folder=folder))
    pids = [int(path.stem) for path in folder.glob("*.pid")]
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert not any(is_running(pid) for pid in pids)
    return caught.value, time.monotonic() - started


@pytest.mark.parametrize(
    ("what", "said"),
    [("kill", "died by SIGKILL"), pytest.param("exit", "died with exit code 3", marks=pytest.mark.slow)],
)
def test_a_rank_that_is_gone_fails_the_trial_as_a_lost_worker(tmp_path, what, said):
    failure, seconds = failure_of(what, tmp_path)
    assert failure.kind == FailureKind.WORKER_LOST
    assert f"rank 1 of 2 {said}" in str(failure)
    assert seconds < 60


@pytest.mark.slow
def test_a_rank_that_hangs_ends_the_trial_after_rank_timeout(tmp_path):
    failure, seconds = failure_of("hang", tmp_path)
    assert failure.kind == FailureKind.TIMEOUT
    assert "rank 0: another rank did not come within rank_timeout" in str(failure)
    assert TIMEOUT < seconds < 60


def test_what_a_rank_raises_keeps_its_message(tmp_path):
    failure, _ = failure_of("raise", tmp_path)
    assert failure.kind == FailureKind.EXCEPTION
    assert "rank 1: ValueError: the third step is one too many" in str(failure)
    assert "in _raise" in failure.details


SPEC = """
study: demo
objective: rank_tasks:Points
metric: {name: val_loss}
space: {lr: {float: [0.001, 0.1], log: true}}
fixed: {ranks: 2, batch_size: 32}
resources: {cpus: 2, gpus: 0}
scheduler: {name: asha, max_resource: 3}
budget: {trials: 2}
parallel: 1
executor: EXECUTOR
"""


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_study_of_trials_on_two_ranks(executor, tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "rank_tasks.py").write_text(Path(rank_tasks.__file__).read_text())
    (tmp_path / "spec.yaml").write_text(SPEC.replace("EXECUTOR", executor))
    process = place.start("run", "spec.yaml")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    shown = place.json("show", "demo")
    assert {trial["state"] for trial in shown["trials"]} <= {"complete", "pruned"}
    assert max(trial["resource"] for trial in shown["trials"]) == 3
    assert list(tmp_path.rglob("rank-1.txt")), "there was a second rank"
