"""A trial in several segments is the trial in one go, bit for bit: by hand-picked splits, and across processes.

tests/property/test_training.py draws splits and settings at random.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from training_runs import ADAMW, SGD, assert_same_state, flat, run, untimed

from tuner.training.checkpoint import load, save


@pytest.mark.parametrize("config", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("split", [(1,), (3,), (1, 2, 3)], ids=str)
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(config, split, tmp_path):
    config = {**config, "batch_size": 48}  # 200 rows: the last batch is smaller
    whole = run(config, until=4)
    metrics, state, start = [], None, 0
    for until in (*split, 4):
        torch.manual_seed(until)  # whatever the process did before makes no difference
        part = run(config, until=until, start=start, horizon=4, checkpoint=state)
        size, sha256 = save(part.states[-1], tmp_path / "checkpoint")
        state, start = load(tmp_path / "checkpoint", sha256, size), until
        metrics += part.metrics
    assert untimed(metrics) == untimed(whole.metrics)
    assert_same_state(state, whole.states[-1])


FP16 = {"precision": "fp16", "lr": 0.01, "initial_loss_scale": 256.0, "loss_scale_growth": 5}
OVERFLOWING = {"precision": "fp16", "lr": 0.01, "initial_loss_scale": 2.0**60, "overflow_limit": 7}


@pytest.mark.parametrize("config", [FP16, OVERFLOWING], ids=["growing", "overflowing"])
@pytest.mark.parametrize("stop", [1, 3, 6, 8])
def test_steps_within_an_epoch_are_gone_on_from_whatever_the_loss_scale_was_about_to_do(config, stop):
    config = {**config, "batch_size": 48}
    whole = run(config, until=12, unit="step")
    first = run(config, until=stop, horizon=12, unit="step")
    second = run(config, until=12, start=stop, checkpoint=first.kept, unit="step")
    assert untimed(first.metrics + second.metrics) == untimed(whole.metrics)
    assert first.events + second.events == whole.events
    assert_same_state(second.kept, whole.kept)


def test_reports_by_the_step_train_as_reports_by_the_epoch():
    config = {**ADAMW, "batch_size": 48}
    epochs, steps = run(config, until=3), run(config, until=15, unit="step")
    for part in ("model", "optimizer"):
        assert_same_state(epochs.kept[part], steps.kept[part])


def in_new_process(folder):
    """The last rung of `test_rungs_...`, as a worker that joins late would run it."""
    for name, config in (("sgd", SGD), ("adamw", ADAMW)):
        state = load(folder / f"{name}-3")
        save(run(config, until=9, start=3, checkpoint=state).states[-1], folder / f"{name}-9")


def test_rungs_in_several_processes_are_the_run_in_one_go(tmp_path):
    for name, config in (("sgd", SGD), ("adamw", ADAMW)):
        state, start = None, 0
        for until in (1, 3):
            save(
                run(config, until=until, start=start, horizon=9, checkpoint=state).states[-1],
                tmp_path / f"{name}-{until}",
            )
            state, start = load(tmp_path / f"{name}-{until}"), until
    here = Path(__file__)
    program = f"from pathlib import Path; from {here.stem} import *; in_new_process(Path({str(tmp_path)!r}))"
    paths = {"PYTHONPATH": os.pathsep.join([str(here.parents[1]), os.environ.get("PYTHONPATH", "")])}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=here.parent, env=os.environ | paths)
    for name, config in (("sgd", SGD), ("adamw", ADAMW)):
        whole, state = run(config, until=9), load(tmp_path / f"{name}-9")
        assert_same_state(state, whole.states[-1])
        assert state["model"]["1.num_batches_tracked"] == 9 * 2
        assert not torch.equal(state["model"]["1.running_mean"], torch.zeros(16))


def test_a_checkpoint_is_a_copy():
    trial = run(ADAMW, until=2)
    first, second = (dict(flat(state)) for state in trial.states)
    assert any(not torch.equal(first[k], second[k]) for k in first if k.startswith("/model"))
    again = run(ADAMW, until=1, horizon=2)
    assert_same_state(trial.states[0], again.states[0])
