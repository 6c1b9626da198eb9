"""A lane whose process is killed in the middle of a study: everything that it held goes on, and nothing is lost."""

from __future__ import annotations

import os
import signal
import time

import pytest
from workplace import Workplace

TASK = """
import os
from pathlib import Path
import torch
from torch import nn
from tuner.training import Splits, Task

class Clouds(Task):
    def data(self):
        generator = torch.Generator().manual_seed(0)
        targets = torch.arange(600) % 2
        inputs = torch.randn(600, 4, generator=generator) + targets[:, None]
        return Splits((inputs[60:], targets[60:]), (inputs[:60], targets[:60]))

    def model(self, config):
        Path(__file__).with_name("pid").write_text(str(os.getpid()))
        return nn.Linear(4, 2)

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)
"""
SPEC = """
study: demo
objective: thing:Clouds
metric: {name: val_loss}
space: {lr: {float: [0.001, 0.1], log: true}}
fixed: {optimizer: sgd, batch_size: 8}
scheduler: {name: asha, type: promote, min_resource: 3, max_resource: 27}
budget: {trials: 30}
executor: lanes
resources: {slots: 8}
"""


@pytest.mark.slow
def test_a_study_outlives_its_lane(tmp_path):
    place = Workplace(tmp_path)
    (tmp_path / "thing.py").write_text(TASK)
    (tmp_path / "spec.yaml").write_text(SPEC)
    process = place.start("run", "spec.yaml")
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "runs").rglob("*.ckpt"))) < 12:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 0, err

    shown = place.json("show", "demo")
    assert shown["state"] == "finished"
    assert {trial["state"] for trial in shown["trials"]} == {"complete", "pruned"}
    assert len(shown["trials"]) == 30
    reports = [place.json("trial", "demo", str(number))["reports"] for number in range(30)]
    for trial, own in zip(shown["trials"], reports, strict=True):
        assert [report["resource"] for report in own] == list(range(1, trial["resource"] + 1)), "one curve, no gaps"
    n_segments = sum(trial["segments"] for trial in shown["trials"])
    n_stretches = sum(sum(rung <= trial["resource"] for rung in (3, 9, 27)) for trial in shown["trials"])
    assert n_segments > n_stretches, "some were taken up again"
